"""Changes to accounts of the sandbox beside those of the harness."""

import subprocess

from harness.sandbox import exclusively


def change(*argv: str, given: str = "") -> None:
    """Run a tool of the machine that changes accounts; one at a time, as they lock each other."""
    with exclusively("accounts"):
        done = subprocess.run(argv, input=given, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
