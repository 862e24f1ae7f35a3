"""A machine beside the sandbox's own, for programs that change all of it."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from harness import sandbox
from harness.waiting import until

# $1: a folder to make it in, $2: the sandbox's own place, which has the checkout in it.
_SETUP = """
set -e
cp -a /etc "$1/etc"
mkdir "$1/lib" "$1/run"
mount -n -t tmpfs -o mode=755 tmpfs "$1/lib"
mount -n -t tmpfs -o mode=755 tmpfs "$1/run"
mkdir "$1/lib/dpkg" "$1/run/lock"
mkdir -p "$1$2"
mount -n --bind /var/lib/dpkg "$1/lib/dpkg"
mount -n --bind "$2" "$1$2"
mount -n --bind "$1/etc" /etc
mount -n --move "$1/lib" /var/lib
mount -n --move "$1/run" /run
for folder in /home /var/mail /var/spool; do mount -n -t tmpfs -o mode=755 tmpfs "$folder"; done
mount -n -t tmpfs -o mode=700 tmpfs /root
mount -n -t tmpfs -o mode=1777 tmpfs /tmp
cp -a "$2/checkout" /root/checkout
userdel sftp-mfa
grpconv
echo ready
exec sleep infinity
"""

_LIST = """
find /etc /home /root /run /tmp /var/lib /var/mail /var/spool \\
    -xdev -printf '%y %m %U:%G %p -> %l\\n'
find /etc -type f ! -name '*-' -exec sha256sum {} +
"""


class Machine:
    """Accounts, folders and processes of its own, on the tests' network.

    It has no service user, no /run/sshd, and the checkout in a place that root only can enter.
    """

    checkout = Path("/root/checkout")

    def __init__(self, first: int, holder: "subprocess.Popen[str] | None" = None) -> None:
        """Work on the one whose first process has this pid."""
        self.first = first
        self._holder = holder

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make one in an empty folder; it lasts as long as the sandbox unless it is closed."""
        with sandbox.exclusively("accounts"):  # or it gets a copy of half a change to them
            holder = subprocess.Popen(
                [
                    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                    *("--propagation", "private"),
                    *("sh", "-c", _SETUP, "sh", folder, sandbox.place()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
        return cls(inner(holder), holder)

    def argv(self, *argv: str | Path) -> list[str]:
        """Return a command that runs the given one there."""
        return ["nsenter", f"--target={self.first}", "--mount", "--pid", "--", *map(str, argv)]

    def run(
        self, *argv: str | Path, given: str = "", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return subprocess.run(
            self.argv(*argv),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def read(self, path: str | Path) -> str:
        """Read a file there."""
        return (Path(f"/proc/{self.first}/root") / str(path).lstrip("/")).read_text()

    def processes(self) -> list[str]:
        """List the command lines of all that runs there."""
        own = Path(f"/proc/{self.first}/ns/pid").readlink()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "ns/pid").readlink() == own and int(folder.name) != self.first:
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sorted(filter(None, found))

    def contents(self) -> list[str]:
        """List its files with their owners and modes, what is in /etc, and what runs."""
        listed = self.run("sh", "-c", _LIST).stdout.splitlines()
        return [*sorted(listed), *self.processes()]

    def close(self) -> None:
        """End all that runs there, and forget it; for who made it."""
        assert self._holder is not None
        self._holder.kill()
        self._holder.wait()


def inner(process: "subprocess.Popen[str]") -> int:
    """Return the pid, as seen here, of the one program that unshare or nsenter has forked."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(until(lambda: children.read_text().split(), "its child")[0])


def send(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send a signal to the program that nsenter runs."""
    os.kill(inner(process), number)
