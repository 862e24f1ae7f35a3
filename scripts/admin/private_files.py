"""Files that hold secrets: their owner alone has made them and may read them."""

import os
import secrets
import stat
from pathlib import Path

from store.errors import RequestError


def read_private(path: Path, limit: int) -> bytes:
    """Read a file that is the caller's own and closed to all others; RequestError if it is not.

    FileNotFoundError where there is none. It is checked after it was opened, so that nobody can
    exchange it in between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise RequestError(message) from error
    try:
        trouble = trouble_of(os.fstat(descriptor), limit)
        if trouble is not None:
            message = f"{path}: {trouble}"
            raise RequestError(message)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def trouble_of(status: os.stat_result, limit: int) -> str | None:
    """Say why a file is not safe to keep secrets in; None if it is."""
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_uid != os.geteuid():
        return f"owned by uid {status.st_uid}; must be your own"
    if status.st_mode & 0o077:
        return "open to group or others; must not be (chmod 600)"
    if status.st_size > limit:
        return f"larger than {limit} bytes"
    return None


def write_private(path: Path, content: bytes) -> None:
    """Write a file for the caller alone, whole or not at all; its folder is made likewise."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
