"""Whether two files are the same: SHA-256 of both, when --verify asks."""

import hashlib
import os

from asyncssh import SFTPClientFile

from scripts.transfer.errors import Exit, UselessPartError, remote_error
from scripts.transfer.names import show
from scripts.transfer.remote import Remote
from scripts.transfer.window import pipeline


async def read_exactly(
    remote: Remote, file: SFTPClientFile, offset: int, size: int, path: bytes
) -> bytes:
    """Read so many bytes; a server that gives fewer or more is an error."""
    chunks: list[bytes] = []
    missing = size
    while missing:
        data = await file.read(missing, offset + size - missing)
        remote.touch()
        assert isinstance(data, bytes)  # noqa: S101 - it was opened without an encoding
        if not data or len(data) > missing:
            raise remote_error(path, "its size is not what the server has told")
        chunks.append(data)
        missing -= len(data)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def require_same(
    remote: Remote, file: SFTPClientFile, descriptor: int, size: int, path: bytes
) -> None:
    """Read a file of the server once more, and compare it with a local one."""
    theirs, ours = hashlib.sha256(), hashlib.sha256()
    waiting: dict[int, bytes] = {}
    following = 0

    async def step(offset: int, count: int) -> None:
        nonlocal following
        async with remote.slots:
            waiting[offset] = await read_exactly(remote, file, offset, count, path)
        while following in waiting:
            data = waiting.pop(following)
            theirs.update(data)
            # Side by side: all of a large file at once would keep the connection waiting.
            ours.update(os.pread(descriptor, len(data), following))
            following += len(data)

    await pipeline(0, size, remote.read_size, step)
    if ours.digest() != theirs.digest():
        message = f"{show(path)}: the copy differs from its source: run the same command again"
        raise UselessPartError(Exit.REMOTE_FILE, message)
