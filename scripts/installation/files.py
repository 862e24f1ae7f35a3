"""Exchanging files so that the old ones can always come back, on a full disk as well.

Before anything changes each old file gets a second name beside it (a hard link), and each new one
lies beside it as a whole. Both the change and the way back are then renames, which need no space.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.host.errors import HostError
from scripts.installation import layout
from scripts.installation.changes import Change
from scripts.installation.state import Original, sync, write_fresh

_MODE = 0o644


def digest(path: Path) -> str | None:
    """Give the SHA-256 of a file (of a link: of where it leads); None if there is none."""
    if path.is_symlink():
        return hashlib.sha256(str(path.readlink()).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def wanted_digest(change: Change) -> str:
    """Give the digest that the file has when the change is made."""
    content = change.content if change.link_to is None else str(change.link_to).encode()
    return hashlib.sha256(content).hexdigest()


def back_up(paths: Iterable[Path]) -> dict[str, Original]:
    """Copy files, byte for byte, with owner, mode and times, into a folder with the date."""
    folder = layout.BACKUPS / datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    folder.mkdir(mode=0o700)
    found = {}
    for path in paths:
        if not path.exists():
            found[str(path)] = Original(None)
            continue
        copy = folder / path.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_fresh(copy, path.read_bytes())
        _dress_like(copy, path)
        found[str(path)] = Original(str(copy), digest(copy))
    for made, _, _ in os.walk(folder):
        sync(Path(made))
    sync(layout.BACKUPS)
    return found


def stage(changes: Sequence[Change]) -> None:
    """Lay the new file and a second name of the old one beside each file, on the disk as well."""
    for change in changes:
        _lay_beside(change)
    for folder in {change.path.parent for change in changes}:
        sync(folder)


def _lay_beside(change: Change) -> None:
    path = change.path
    if path.exists():
        _second_name(path).unlink(missing_ok=True)
        os.link(path, _second_name(path))
    fresh = _fresh_name(path)
    if change.link_to is not None:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(change.link_to)
        return
    write_fresh(fresh, change.content, _MODE)
    if path.exists():
        _dress_like(fresh, path, with_times=False)


def exchange(changes: Iterable[Change], step: Callable[[str], None]) -> None:
    """Put the new files into their places, in this order."""
    for change in changes:
        _fresh_name(change.path).replace(change.path)
        sync(change.path.parent)
        step(f"wrote {change.path}")


def put_back(paths: Iterable[str], existed: Iterable[str]) -> None:
    """Put the old files back, the last one first; may be done twice."""
    there = set(existed)
    for name in reversed(list(paths)):
        path = Path(name)
        before = _second_name(path)
        if before.exists() and digest(before) == digest(path):
            before.unlink()  # two names of one file: a rename would do nothing, or fail (overlayfs)
        elif before.exists():
            before.replace(path)
        elif name not in there:
            path.unlink(missing_ok=True)
        _fresh_name(path).unlink(missing_ok=True)
        if path.parent.is_dir():
            sync(path.parent)


def settle(paths: Iterable[str]) -> None:
    """Remove the second names: the change stays."""
    for name in paths:
        _second_name(Path(name)).unlink(missing_ok=True)
        _fresh_name(Path(name)).unlink(missing_ok=True)


def restore(path: Path, original: Original) -> None:
    """Bring a file back from its copy; HostError if the copy is not what was copied."""
    if original.copy is None:
        path.unlink(missing_ok=True)
    else:
        copy = Path(original.copy)
        if digest(copy) != original.sha256:
            message = f"the copy {copy} is missing or was changed: {path} stays as it is"
            raise HostError(message)
        fresh = _fresh_name(path)
        write_fresh(fresh, copy.read_bytes())
        _dress_like(fresh, copy)
        fresh.replace(path)
    sync(path.parent)


def overwrite(path: Path, content: bytes) -> None:
    """Write other content into a file that keeps its owner and mode."""
    fresh = _fresh_name(path)
    write_fresh(fresh, content)
    _dress_like(fresh, path, with_times=False)
    fresh.replace(path)
    sync(path.parent)


def _dress_like(file: Path, other: Path, *, with_times: bool = True) -> None:
    """Give a file the owner, mode, attributes and times of another one."""
    status = other.stat()
    os.chown(file, status.st_uid, status.st_gid)
    shutil.copystat(other, file)
    if not with_times:
        os.utime(file)


def _second_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.sftp-mfa-before")


def _fresh_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.sftp-mfa-new")
