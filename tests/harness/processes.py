"""Servers that a test starts, and ends together with all that they forked."""

import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from harness.waiting import until


class Process:
    """A running program with its output in a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv`, as `user` with only that user's groups if one is named."""
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env={**os.environ, **(environment or {})},
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self._child.poll() is None

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_until_ready(self, is_ready: Callable[[], bool], timeout: float = 10) -> None:
        """Wait until a check succeeds; a process that ends first is an error with its output."""

        def attempt() -> bool:
            if not self.is_running:
                message = f"{self._child.args!r} ended early:\n{self.output()}"
                raise RuntimeError(message)
            return is_ready()

        until(attempt, f"{self._child.args!r} ready", timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.send_signal(number)

    def pause(self) -> None:
        """Freeze it, so that it neither answers nor goes away."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning, and all that it started."""
        family = [*descendants(self.pid), self.pid]
        for pid in family:
            _kill(pid)
        self._child.wait()

    def stop(self, timeout: float = 10) -> int:
        """Ask it to end, end what it leaves behind, and return its exit code."""
        family = list(descendants(self.pid))
        self._child.terminate()
        self.resume()
        try:
            return self._child.wait(timeout)
        finally:
            for pid in family:
                _kill(pid)
            self.kill()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def descendants(pid: int) -> Iterator[int]:
    """Yield the ids of all children, their children and so on; the youngest first."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(after_name[1]), []).append(int(status.parent.name))
    yield from _below(pid, children)


def _below(pid: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield from _below(child, children)
        yield child


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
