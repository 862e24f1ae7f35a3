"""Puts everything back if the installation ends without having said that it is done.

    python -I -m scripts.installation.guardian <pipe

It waits at a pipe whose other end the installation has: killed, or cut off with its terminal, that
one cannot put anything back by itself.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scripts.host.programs import ENVIRONMENT
from scripts.installation import state

_DONE = b"done"


@contextmanager
def watching() -> Iterator[None]:
    """Have an installation watched while it changes anything."""
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "scripts.installation.guardian"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
    ) as guardian:
        try:
            yield
        finally:
            # However it ended: what had to be put back was, by the installation itself.
            if guardian.stdin is not None:
                with suppress(BrokenPipeError), guardian.stdin as pipe:  # it was ended: no guard
                    pipe.write(_DONE)


def main() -> int:
    """Wait, and put back what was left half-done."""
    if sys.stdin.buffer.read() == _DONE:
        return 0
    from scripts.installation import recovery  # noqa: PLC0415 - large, and rarely needed

    with state.turn(waits=True):
        for line in recovery.recover():
            with suppress(OSError):  # nobody may be left to read it
                sys.stderr.write(f"install was ended before its end: {line}\n")
                sys.stderr.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
