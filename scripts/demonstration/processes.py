"""Processes that outlive this program: started so that none is forgotten, ended by who they are."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""For all that does not need the caller's: nothing of root's own settings reaches it."""

GATE = ("/bin/sh", "-c", 'read -r go && exec "$@"', "sh")
"""Begins the program behind it once a line lets it go; never, if whoever started it has ended."""
GO = "go\n"
_PATIENCE = 5.0
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: int
    """In clock ticks since the machine's start."""

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Identify the process that has this number; None if there is none, or only its body."""
        status = _status(pid)
        return cls(pid, status.started) if status is not None and not status.is_dead else None

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return Process.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to nobody else."""
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                if self.is_alive():
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


class Gated:
    """A program that begins once it is let go, and never does if this one ends before that."""

    def __init__(self, argv: Iterable[str | Path], log: Path) -> None:
        """Put a process with a session of its own at the gate; its output goes to `log`."""
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._child = subprocess.Popen(  # noqa: S603 - the services' lists are our own
                [*GATE, *map(str, argv)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self.process = Process.of(self._child.pid) or Process(self._child.pid, 0)

    def let_go(self) -> None:
        """Let it begin."""
        if self._child.stdin is not None:
            with suppress(BrokenPipeError), self._child.stdin as gate:
                gate.write(GO.encode())


def end(processes: Iterable[Process]) -> None:
    """End processes and all that they started: they are asked first, and forced after a while."""
    roots = list(processes)
    family: dict[Process, None] = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Again: a server may have started another worker meanwhile.
        family |= {one: None for root in roots for one in (*_descendants(root), root)}
        for one in family:
            one.signal(number)
        deadline = time.monotonic() + _PATIENCE
        while any(one.is_alive() for one in family) and time.monotonic() < deadline:
            time.sleep(_PAUSE)


def of_user(uid: int) -> list[Process]:
    """List the processes of a user of this machine.

    Those of containers are left out: the numbers there stand for other users.
    """
    return [
        Process(status.pid, status.started)
        for status in _all()
        if _uid(status.pid) == uid and _is_of_this_machine(status.pid)
    ]


def any_runs(program: Path) -> bool:
    """Tell whether anybody on this machine runs a program."""
    return any(
        _same_file(f"/proc/{status.pid}/exe", str(program)) and _is_of_this_machine(status.pid)
        for status in _all()
    )


def present_boot() -> str:
    """Tell this running of the machine from those before it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class _Status:
    pid: int
    parent: int
    started: int
    is_dead: bool


def _status(pid: int) -> _Status | None:
    """Read /proc/PID/stat (proc(5)), whose second field may hold spaces and parentheses."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return _Status(pid, int(fields[1]), int(fields[19]), fields[0] in {"Z", "X"})


def _uid(pid: int) -> int | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return None


def _is_of_this_machine(pid: int) -> bool:
    """Tell whether a process sees the same files and processes as this one."""
    views = ("ns/mnt", "ns/pid", "root")
    return all(_same_file(f"/proc/{pid}/{view}", f"/proc/self/{view}") for view in views)


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _all() -> Iterator[_Status]:
    for folder in Path("/proc").glob("[0-9]*"):
        status = _status(int(folder.name))
        if status is not None and not status.is_dead:
            yield status


def _descendants(process: Process) -> Iterator[Process]:
    if not process.is_alive():
        return
    children: dict[int, list[_Status]] = {}
    for status in _all():
        children.setdefault(status.parent, []).append(status)
    below = children.get(process.pid, [])
    while below:
        status = below.pop()
        below += children.get(status.pid, [])
        yield Process(status.pid, status.started)
