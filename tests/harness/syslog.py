"""What programs tell syslog: one listener on /dev/log, read by all workers."""

import re
import socket
import threading
from pathlib import Path

from harness.sandbox import place
from harness.waiting import until

_LARGEST = 65_536


class Listener(threading.Thread):
    """Writes each datagram as a line of a file, for as long as the process lives."""

    def __init__(self) -> None:
        """Listen on /dev/log."""
        super().__init__(name="syslog", daemon=True)
        path = Path("/dev/log")
        path.unlink(missing_ok=True)  # of a run before this one
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._lines = _file().open("ab", buffering=0)

    def run(self) -> None:
        """Collect."""
        while True:
            message = self._socket.recv(_LARGEST).rstrip(b"\0\n")
            self._lines.write(message.replace(b"\n", b"\\n") + b"\n")


class Syslog:
    """What has been logged since this was made; other tests' lines are among them."""

    def __init__(self) -> None:
        """Begin at the end."""
        self._start = _file().stat().st_size

    def lines(self) -> list[str]:
        """Return the lines so far, each as it was sent: <priority>time tag[pid]: text."""
        with _file().open("rb") as lines:
            lines.seek(self._start)
            return lines.read().decode(errors="backslashreplace").splitlines()

    def wait_for(self, pattern: str, timeout: float = 5) -> re.Match[str]:
        """Return the first match in a line; let the pattern name the user, to tell tests apart."""
        return until(lambda: self._find(pattern), f"{pattern!r} in the log", timeout)

    def _find(self, pattern: str) -> re.Match[str] | None:
        matches = (re.search(pattern, line) for line in self.lines())
        return next((match for match in matches if match), None)


def _file() -> Path:
    return place() / "syslog"
