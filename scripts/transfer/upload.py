"""One file to the server: into a part beside its place, then there at once."""

import os
import posixpath
import stat
from contextlib import ExitStack
from dataclasses import dataclass

import asyncssh
from asyncssh import FXF_CREAT, FXF_EXCL, FXF_READ, FXF_WRITE, SFTPAttrs, SFTPClientFile

from scripts.transfer import local, remote
from scripts.transfer.checks import require_same
from scripts.transfer.errors import Exit, UselessPartError, local_error, remote_error
from scripts.transfer.names import show
from scripts.transfer.options import Options
from scripts.transfer.progress import Advance
from scripts.transfer.remote import Entry, Remote
from scripts.transfer.window import pipeline, safe_start

_SOURCE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Upload:
    """What to put, and where to."""

    source: bytes
    target: bytes
    existing: Entry | None
    """What has the target's name now."""
    follow: bool = True
    """Whether the source may be a symbolic link: those that a user has named may."""


async def upload(server: Remote, job: Upload, options: Options) -> None:
    """Put one file, on from where a broken transfer ended; raises TransferError."""
    if job.existing is not None and not (job.existing.is_file or job.existing.is_link):
        raise remote_error(job.target, "is not a regular file")
    with ExitStack() as held:
        with local.about(job.source):
            source = os.open(job.source, _SOURCE | (0 if job.follow else os.O_NOFOLLOW))
            held.callback(os.close, source)
            facts = os.fstat(source)
        if not stat.S_ISREG(facts.st_mode):
            raise local_error(job.source, "is not a regular file")
        if options.only_newer and _is_current(job.existing, facts):
            options.results.skip("put", job.source, job.target, "not newer")
            return
        name = _part_name(server, job, facts, options)
        part = posixpath.join(posixpath.dirname(job.target), name)
        with remote.about(job.target):
            file, size = await _open_part(server, part, _mode(job, facts))
            start = safe_start(size, facts.st_size, server.write_size)
            advance = held.enter_context(
                options.progress.file(posixpath.basename(job.target), facts.st_size, start)
            )
            try:
                await _send(server, job, file, source, facts, start, advance)
                await _settle(server, job, file, source, facts, options)
            except UselessPartError:
                await server.sftp.remove(part)
                raise
            finally:
                await file.close()
        server.touch()
        await server.replace(part, job.target)
    options.results.succeed("put", job.source, job.target, facts.st_size, start)


def _part_name(server: Remote, job: Upload, facts: os.stat_result, options: Options) -> bytes:
    known = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, server.write_size)
    return options.parts.name(b"put", posixpath.abspath(job.source), job.target, *known)


def _mode(job: Upload, facts: os.stat_result) -> int:
    """Return the mode that the file would have had if it had been written in its place."""
    if job.existing is not None and job.existing.is_file and job.existing.mode is not None:
        return job.existing.mode & 0o777
    return facts.st_mode & 0o777


async def _open_part(server: Remote, part: bytes, mode: int) -> tuple[SFTPClientFile, int]:
    """Open a new part, or the one that a broken transfer has left; return it with its size."""
    attributes = SFTPAttrs(permissions=mode)
    new = FXF_READ | FXF_WRITE | FXF_CREAT | FXF_EXCL
    try:
        return await server.sftp.open(part, new, attributes, encoding=None, block_size=None), 0
    except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists) as error:
        found = await server.find(part, follow=False)
        if found is None:  # it was not that
            raise remote_error(part, show(error.reason)) from error
    if found.is_file and found.size is not None:
        old = FXF_READ | FXF_WRITE
        file = await server.sftp.open(part, old, encoding=None, block_size=None)
        # SFTP cannot say "do not follow a link": what was opened must be what has the name.
        opened = Entry.of(found.name, await file.stat())
        if opened == found and await server.look(part, follow=False) == found:
            return file, found.size
        await file.close()
    await server.sftp.remove(part)
    return await server.sftp.open(part, new, attributes, encoding=None, block_size=None), 0


async def _send(
    server: Remote,
    job: Upload,
    file: SFTPClientFile,
    source: int,
    facts: os.stat_result,
    start: int,
    advance: Advance,
) -> None:
    async def step(offset: int, size: int) -> None:
        async with server.slots:
            with local.about(job.source):
                data = os.pread(source, size, offset)
            if len(data) < size:
                raise _changed(job)
            await file.write(data, offset)
            server.touch()
        advance(size)

    await pipeline(start, facts.st_size, server.write_size, step)


async def _settle(
    server: Remote,
    job: Upload,
    file: SFTPClientFile,
    source: int,
    facts: os.stat_result,
    options: Options,
) -> None:
    """See to it that the part is what the source was, and give it its attributes."""
    now = os.fstat(source)
    if (now.st_size, now.st_mtime_ns) != (facts.st_size, facts.st_mtime_ns):
        raise _changed(job)
    if facts.st_size > server.write_size and (await file.stat()).size != facts.st_size:
        raise remote_error(job.target, "the server has not taken all of it")
    if options.verify:
        await require_same(server, file, source, facts.st_size, job.target)
    attributes = SFTPAttrs()
    if job.existing is not None and job.existing.is_file:
        attributes.permissions = _mode(job, facts)  # which the server's umask may have cut
    if options.keep_times:
        attributes.atime, attributes.mtime = int(facts.st_atime), int(facts.st_mtime)
    if attributes.permissions is not None or attributes.mtime is not None:
        await file.setstat(attributes)


def _is_current(existing: Entry | None, facts: os.stat_result) -> bool:
    """Tell whether the file that is there is neither older nor of another size."""
    if existing is None or not existing.is_file or existing.size != facts.st_size:
        return False
    return existing.mtime is not None and existing.mtime >= int(facts.st_mtime)


def _changed(job: Upload) -> Exception:
    message = f"{show(job.source)}: was changed while it was read: put it again"
    return UselessPartError(Exit.LOCAL_FILE, message)
