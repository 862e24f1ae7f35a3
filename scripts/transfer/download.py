"""One file from the server: into a part beside its place, then there at once."""

import fcntl
import os
import posixpath
import stat
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import asyncssh
from asyncssh import SFTPClientFile

from scripts.transfer import local, remote
from scripts.transfer.checks import read_exactly, require_same
from scripts.transfer.errors import Exit, UselessPartError, local_error, remote_error
from scripts.transfer.local import Folder
from scripts.transfer.names import show
from scripts.transfer.options import Options
from scripts.transfer.progress import Advance
from scripts.transfer.remote import Entry, Remote
from scripts.transfer.window import pipeline, safe_start

_MOST_UNANNOUNCED = 16_777_216
"""Bytes that are taken of a file of no size, as in /proc."""


@dataclass(frozen=True, slots=True)
class Download:
    """What to get, and where to."""

    path: bytes
    entry: Entry
    folder: Folder
    """Held for this; whoever does it leaves it."""
    name: bytes

    @property
    def target(self) -> bytes:
        """Return the local path, to be shown."""
        return posixpath.join(self.folder.path, self.name)

    @property
    def size(self) -> int:
        """Return the size that the server tells."""
        return self.entry.size or 0


async def download(server: Remote, job: Download, options: Options) -> None:
    """Get one file, on from where a broken transfer ended; raises TransferError."""
    existing = job.folder.find(job.name)
    if existing is not None and not _is_replaceable(job, existing):
        raise local_error(job.target, "is not a regular file")
    if options.only_newer and existing is not None and _is_current(existing, job.entry):
        options.results.skip("get", job.path, job.target, "not newer")
        return
    # The size of blocks, too: how much of a part may be missing is counted in them.
    known = (job.size, job.entry.mtime, server.read_size)
    part = options.parts.name(b"get", job.path, job.name, *known)
    with ExitStack() as held:
        with local.about(job.target):
            descriptor, size = job.folder.open_part(part)
            held.callback(os.close, descriptor)
            lock_part(descriptor, job, part)
        start = safe_start(size, job.size, server.read_size)
        with local.about(job.target):
            os.ftruncate(descriptor, start)
        if not local.is_within_free_space(descriptor, job.size - start):
            if not start:
                job.folder.forget(part)
            raise local_error(job.target, f"not enough space for {job.size} bytes")
        advance = held.enter_context(options.progress.file(job.name, job.size, start))
        try:
            length = await _fetch(server, job, options, descriptor, start, advance)
        except BaseException as failure:
            is_short = os.fstat(descriptor).st_size <= server.read_size
            if is_short or isinstance(failure, UselessPartError):
                job.folder.forget(part)
            raise
        with local.about(job.target):
            _settle(descriptor, job.entry, existing, options)
            job.folder.finish(part, job.name)
    options.results.succeed("get", job.path, job.target, length, start)


async def _fetch(
    server: Remote, job: Download, options: Options, descriptor: int, start: int, advance: Advance
) -> int:
    """Bring the bytes and return how many the file has."""
    with remote.about(job.path):
        file = await server.sftp.open(job.path, asyncssh.FXF_READ, encoding=None, block_size=None)
        server.touch()
        try:
            if not job.size:
                return await _read_to_its_end(server, file, job, descriptor)
            step = _step(server, file, job, descriptor, advance)
            await pipeline(start, job.size, server.read_size, step)
            if job.size > server.read_size:
                await _require_unchanged(file, job)
            if options.verify:
                await require_same(server, file, descriptor, job.size, job.path)
        finally:
            await file.close()
    return job.size


def _step(
    server: Remote, file: SFTPClientFile, job: Download, descriptor: int, advance: Advance
) -> Callable[[int, int], Awaitable[None]]:
    async def step(offset: int, size: int) -> None:
        async with server.slots:
            data = await read_exactly(server, file, offset, size, job.path)
            with local.about(job.target):
                _write(descriptor, data, offset)
        advance(size)

    return step


async def _read_to_its_end(
    server: Remote, file: SFTPClientFile, job: Download, descriptor: int
) -> int:
    offset = 0
    while data := await file.read(server.read_size, offset):
        server.touch()
        assert isinstance(data, bytes)  # noqa: S101 - it was opened without an encoding
        with local.about(job.target):
            _write(descriptor, data, offset)
        offset += len(data)
        if offset > _MOST_UNANNOUNCED:
            raise remote_error(job.path, "is empty, says the server, and has no end")
    return offset


async def _require_unchanged(file: SFTPClientFile, job: Download) -> None:
    now = await file.stat()
    if (now.size, now.mtime) != (job.entry.size, job.entry.mtime):
        message = f"{show(job.path)}: was changed while it was read: get it again"
        raise UselessPartError(Exit.REMOTE_FILE, message)


def _is_replaceable(job: Download, found: os.stat_result) -> bool:
    """Tell whether it is a file or a link; those in /dev that lead to a process's files stay."""
    if stat.S_ISLNK(found.st_mode):
        return not job.folder.link(job.name).startswith(b"/proc/")
    return stat.S_ISREG(found.st_mode)


def _is_current(found: os.stat_result, entry: Entry) -> bool:
    """Tell whether a file that is here is neither older nor of another size."""
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
        return False
    return entry.mtime is not None and int(found.st_mtime) >= entry.mtime


def lock_part(descriptor: int, job: Download, part: bytes) -> None:
    """Keep others off the part; it must not have become the complete file in the meantime."""
    busy = local_error(job.target, "another transfer is at work on it")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    if not job.folder.has(part, descriptor):
        raise busy


def _settle(
    descriptor: int, entry: Entry, existing: os.stat_result | None, options: Options
) -> None:
    """Give the file the mode that it would have had if it had been written in its place."""
    if existing is not None and stat.S_ISREG(existing.st_mode):
        mode = existing.st_mode & 0o777
    else:
        wanted = 0o666 if entry.mode is None else (entry.mode & 0o777) | 0o200
        mode = wanted & ~options.umask
    os.fchmod(descriptor, mode)
    if options.keep_times and entry.mtime is not None:
        os.utime(descriptor, (entry.mtime, entry.mtime))


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view = view[count:]
        offset += count
