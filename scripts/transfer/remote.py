"""The server's files: bounded listings, and errors in words that are safe to show."""

import asyncio
import fnmatch
import posixpath
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient

from scripts.transfer.errors import TransferError, broken_off, remote_error
from scripts.transfer.names import is_file_name, show

_LOST = (
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
)
_ALWAYS_THERE = frozenset({b".", b".."})
_MAGIC = frozenset(b"*?[")


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing on the server, as the server describes it; None is what it does not say."""

    name: bytes
    mode: int | None
    """Type and permissions, as st_mode."""
    size: int | None
    mtime: int | None
    """Seconds since 1970."""
    uid: int | None
    gid: int | None

    @classmethod
    def of(cls, name: bytes, attributes: SFTPAttrs) -> "Entry":
        """Take what is needed of the attributes."""
        return cls(
            name,
            attributes.permissions,
            attributes.size,
            attributes.mtime,
            attributes.uid,
            attributes.gid,
        )

    @property
    def is_folder(self) -> bool:
        """Tell whether it is a folder."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Tell whether it is a regular file, as far as the server says what it is."""
        return self.mode is None or stat.S_IFMT(self.mode) == 0 or stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Tell whether it is a symbolic link."""
        return self.mode is not None and stat.S_ISLNK(self.mode)


@contextmanager
def about(path: bytes) -> Iterator[None]:
    """Turn what SFTP says about a path into our errors."""
    try:
        yield
    except _LOST as error:
        what = f"the connection was lost: {show(str(error)) or 'closed'}"
        raise broken_off(what) from error
    except asyncssh.SFTPError as error:
        raise remote_error(path, show(error.reason) or "failed") from error


class Remote:
    """One SFTP session."""

    def __init__(self, sftp: SFTPClient, most_entries: int, touch: Callable[[], None]) -> None:
        """Refuse listings that are longer than that; `touch` is called at each sign of life."""
        self.sftp = sftp
        self.touch = touch
        self._most_entries = most_entries
        self.slots = asyncio.Semaphore(64)
        """Blocks under way at once, over all files."""

    @property
    def read_size(self) -> int:
        """Return how many bytes to ask for at once."""
        return _block(self.sftp.limits.max_read_len)

    @property
    def write_size(self) -> int:
        """Return how many bytes to send at once."""
        return _block(self.sftp.limits.max_write_len)

    async def look(self, path: bytes, *, follow: bool = True) -> Entry:
        """Return what a path leads to, or what it is itself."""
        with about(path):
            ask = self.sftp.stat if follow else self.sftp.lstat
            attributes = await ask(path)
        self.touch()
        return Entry.of(posixpath.basename(path), attributes)

    async def find(self, path: bytes, *, follow: bool = True) -> Entry | None:
        """Do the same; None if there is nothing."""
        try:
            return await self.look(path, follow=follow)
        except TransferError as error:
            if isinstance(error.__cause__, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
                return None
            raise

    async def listing(self, path: bytes, refuse: Callable[[bytes], None]) -> list[Entry]:
        """Return what is in a folder; `refuse` is told each name that names something elsewhere.

        Raises TransferError if it is longer than allowed.
        """
        found: list[Entry] = []
        count = 0
        with about(path):
            async for item in self.sftp.scandir(path):
                self.touch()
                count += 1  # whatever it is: of names that are left out there must be an end, too
                if count > self._most_entries + len(_ALWAYS_THERE):
                    raise remote_error(path, f"more than {self._most_entries} names in one folder")
                name = item.filename
                name = name if isinstance(name, bytes) else name.encode()
                if name in _ALWAYS_THERE:
                    continue
                if not is_file_name(name):
                    refuse(name)
                    continue
                found.append(Entry.of(name, item.attrs))
        return sorted(found, key=lambda entry: entry.name)

    async def matches(self, pattern: bytes, refuse: Callable[[bytes], None]) -> list[bytes]:
        """Return the paths that a pattern with * ? [ ] matches; a name without these is itself."""
        if not _MAGIC.intersection(pattern):
            return [pattern]
        paths = [b"/" if pattern.startswith(b"/") else b""]
        for part in filter(None, pattern.split(b"/")):
            if not _MAGIC.intersection(part):
                paths = [posixpath.join(path, part) for path in paths]
                continue
            paths = [
                posixpath.join(path, entry.name)
                for path in paths
                for entry in await self._listing_of_match(path, refuse)
                if fnmatch.fnmatchcase(entry.name, part)
                and (not entry.name.startswith(b".") or part.startswith(b"."))
            ]
        existing = [path for path in paths if await self.find(path, follow=False) is not None]
        if not existing:
            raise remote_error(pattern, "nothing matches")
        return existing

    async def _listing_of_match(self, path: bytes, refuse: Callable[[bytes], None]) -> list[Entry]:
        try:
            return await self.listing(path or b".", refuse)
        except TransferError as error:
            if isinstance(error.__cause__, asyncssh.SFTPError) and path not in {b"", b"/"}:
                return []  # not a folder, or one that may not be read
            raise

    async def make_folder(self, path: bytes) -> bool:
        """Make a folder unless it is there; tell whether it was made."""
        try:
            with about(path):
                await self.sftp.mkdir(path)
        except TransferError as error:
            if isinstance(error.__cause__, asyncssh.SFTPError):
                found = await self.find(path)
                if found is not None and found.is_folder:
                    return False
            raise
        self.touch()
        return True

    async def replace(self, old: bytes, new: bytes) -> None:
        """Give a file another name, in place of what has it, at once where the server can."""
        try:
            await self.sftp.posix_rename(old, new)
        except asyncssh.SFTPOpUnsupported:
            with about(new):
                if await self.find(new, follow=False) is not None:
                    await self.sftp.remove(new)
                await self.sftp.rename(old, new)
        except asyncssh.Error:
            with about(new):
                raise
        self.touch()


def _block(limit: int) -> int:
    return max(1, min(limit or 32_768, 261_120))
