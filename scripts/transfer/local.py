"""Files of this machine: whatever a server calls its files, they stay in the folder that was named.

Folders are held open and names are looked up in them, without following a symbolic link, so that
not even somebody who changes the tree meanwhile can lead a download elsewhere.
"""

import glob
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scripts.transfer.errors import local_error

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def about(path: bytes) -> Iterator[None]:
    """Turn what the system says about a path into our errors."""
    try:
        yield
    except OSError as error:
        raise local_error(path, error.strerror or str(error)) from error


class Folder:
    """An open folder; it closes when the last of its users has left it."""

    def __init__(self, descriptor: int, path: bytes) -> None:
        """Hold it for one user."""
        self.descriptor = descriptor
        self.path = path
        self._users = 1

    @classmethod
    def open(cls, path: bytes) -> "Folder":
        """Open a folder that the user has named, through links if there are any."""
        with about(path):
            return cls(os.open(path, _FOLDER), path)

    def enter(self, name: bytes) -> "Folder":
        """Open a folder in this one, made if it is missing; not through a link."""
        path = posixpath.join(self.path, name)
        with about(path):
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self.descriptor)
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise local_error(path, "is a symbolic link, which is not followed")
            opened = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.descriptor)
        return Folder(opened, path)

    def find(self, name: bytes) -> os.stat_result | None:
        """Return what has a name here; None if nothing has."""
        with about(posixpath.join(self.path, name)), suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        return None

    def link(self, name: bytes) -> bytes:
        """Return what a symbolic link here leads to."""
        with about(posixpath.join(self.path, name)):
            return os.readlink(name, dir_fd=self.descriptor)

    def use(self) -> "Folder":
        """Hold it for one user more."""
        self._users += 1
        return self

    def leave(self) -> None:
        """Let it go."""
        self._users -= 1
        if not self._users:
            os.close(self.descriptor)

    def open_part(self, name: bytes) -> tuple[int, int]:
        """Open an unfinished file of our own, or a new one; return it with its size.

        What has the name and is not ours alone is removed: a link, or what others can open.
        """
        try:
            return self._part(os.open(name, _PART, 0o600, dir_fd=self.descriptor))
        except (OSError, ValueError):
            with suppress(FileNotFoundError):  # why none could be made, the next attempt tells
                os.unlink(name, dir_fd=self.descriptor)
            return os.open(name, _PART | os.O_EXCL, 0o600, dir_fd=self.descriptor), 0

    def has(self, name: bytes, descriptor: int) -> bool:
        """Tell whether a name here still is that of an open file."""
        found = self.find(name)
        return found is not None and posixpath.samestat(found, os.fstat(descriptor))

    def finish(self, part: bytes, name: bytes) -> None:
        """Give an unfinished file its name, in place of what has it."""
        os.replace(part, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def forget(self, part: bytes) -> None:
        """Remove an unfinished file."""
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=self.descriptor)

    def _part(self, descriptor: int) -> tuple[int, int]:
        found = os.fstat(descriptor)
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if is_ours and found.st_nlink == 1 and not found.st_mode & 0o077:
            return descriptor, found.st_size
        os.close(descriptor)
        raise ValueError


def umask() -> int:
    """Return the process's umask; only the process's one thread may be running."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def place_for(path: bytes, name: bytes) -> tuple[bytes, bytes]:
    """Turn the target that a user has typed into a folder and a name, as cp does."""
    if not path or path.endswith(b"/") or posixpath.isdir(path):
        return path or b".", name
    return posixpath.dirname(path) or b".", posixpath.basename(path)


def is_within_free_space(descriptor: int, size: int) -> bool:
    """Tell whether so many bytes more can fit on the disk of an open file."""
    free = os.fstatvfs(descriptor)
    return size <= free.f_bavail * free.f_frsize


def expand(patterns: tuple[str, ...]) -> list[bytes]:
    """Return what patterns match that no shell has expanded; each must match."""
    found: list[bytes] = []
    for pattern in patterns:
        matched = sorted(glob.glob(pattern))  # noqa: PTH207 - a Path has no pattern with a root if glob.has_magic(pattern) else [pattern]
        if not matched:
            raise local_error(pattern, "nothing matches")
        found += map(os.fsencode, matched)
    return found
