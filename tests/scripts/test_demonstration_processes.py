"""How the quickstart ends what it started."""

import os
import subprocess
import sys
from pathlib import Path

from harness.sandbox import checkout
from harness.waiting import until

_END = """
import sys
from scripts.demonstration.processes import Process, end
end([Process.of(int(sys.argv[1]))])
"""
_STARTS_ANOTHER_WHEN_ASKED_TO_END = """
import signal, subprocess, time
def start(*_):
    child = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
signal.signal(signal.SIGTERM, start)
print("ready", flush=True)
while True:
    time.sleep(1)
"""


def test_what_is_started_while_it_is_asked_to_end_ends_too() -> None:
    """As when a server replaces a worker that was asked before it was."""
    argv = [sys.executable, "-c", _STARTS_ANOTHER_WHEN_ASKED_TO_END]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        environment = {**os.environ, "PYTHONPATH": str(checkout())}  # it is not installed
        ending = [sys.executable, "-c", _END, str(server.pid)]
        subprocess.run(ending, env=environment, check=True)
        late = int(server.stdout.readline())
    until(lambda: not Path(f"/proc/{late}").exists(), "the late one's end")
