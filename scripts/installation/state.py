"""What an installation remembers: the files as they were, and whether it was done.

While a change is under way there is a journal, and whoever comes next puts everything back: this
program's end, its guardian, the next boot, or the next `install` or `uninstall`. The change counts
from the rename on that makes the journal the state, which needs no space.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from scripts.host.errors import HostError
from scripts.installation import layout


class BusyError(HostError):
    """Another program is changing something, and sees to its end by itself."""


class Original(Struct, frozen=True):
    """A file as it was before the first installation."""

    copy: str | None
    """The copy's path; None: there was no such file."""
    sha256: str | None = None


class State(Struct, frozen=True):
    """One installation."""

    config: str
    """The configuration file."""
    paths: list[str]
    """Files that this run changes (or the last one did), in the order of the change."""
    existed: list[str]
    """Those of them that were there before this run."""
    originals: dict[str, Original]
    """Files as they were before the first installation."""
    written: dict[str, str]
    """SHA-256 of each file as it is written."""
    port: int | None = None
    """Of an sshd of our own; None: the machine's own sshd."""
    units: list[str] = []
    """Units that were not enabled before."""
    new_units: list[str] = []
    """Those of them that this run enables (or the last one did)."""
    has_factor: bool = False
    """The store may have an authenticator of the proof."""


def load() -> State | None:
    """Read it; None if nothing is installed. HostError if it cannot be read."""
    return _read(layout.STATE)


def unfinished() -> State | None:
    """Read what a change that is not complete is about; None if there is none."""
    return _read(layout.JOURNAL)


def begin(state: State) -> None:
    """Put on record that a change begins."""
    write_whole(layout.JOURNAL, msgspec.json.encode(state))


def revert() -> None:
    """Put on record that the change was undone: what held before holds."""
    _remove(layout.JOURNAL)


def commit() -> None:
    """Put on record that the change is complete."""
    layout.JOURNAL.replace(layout.STATE)
    sync(layout.STATE.parent)


def forget() -> None:
    """Put on record that nothing is installed."""
    _remove(layout.STATE)


def _read(path: Path) -> State | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        message = f"{path} cannot be read: {error}; the copies of the files lie beside it"
        raise HostError(message) from error


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def turn(*, waits: bool = False) -> Iterator[None]:
    """Let one program at a time change anything; BusyError if another one does."""
    layout.BACKUPS.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = layout.BACKUPS.lstat()
    if status.st_uid != 0 or status.st_mode & 0o077:
        message = f"{layout.BACKUPS} must be root's alone (chown root, chmod 0700)"
        raise HostError(message)
    folder = os.open(layout.BACKUPS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError as error:
            message = "another installation is at work: wait for its end"
            raise BusyError(message) from error
        yield
    finally:
        os.close(folder)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file beside the old one and put it into its place, on the disk when this returns."""
    fresh = path.with_name(f".{path.name}.new")
    write_fresh(fresh, content, mode)
    fresh.replace(path)
    sync(path.parent)


def write_fresh(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file that nobody uses yet, in the place of what an earlier try has left of it."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
