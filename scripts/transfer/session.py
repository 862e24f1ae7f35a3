"""One connection with one SFTP session on it, cut off as soon as the server is gone or silent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncssh

from scripts.transfer.answers import Credentials
from scripts.transfer.errors import Exit, TransferError, broken_off
from scripts.transfer.login import logged_in
from scripts.transfer.names import show
from scripts.transfer.remote import Remote, about
from scripts.transfer.settings import Settings

T = TypeVar("T")
_LEAVE_SECONDS = 2


async def in_session(
    settings: Settings,
    credentials: Credentials,
    work: Callable[[Remote], Awaitable[T]],
    *,
    seconds: float,
    most_entries: int,
) -> T:
    """Log in and do some work; raises TransferError, also if nothing comes for so many seconds."""
    async with logged_in(settings, credentials, seconds) as connection:
        silence = _Silence(seconds)
        job = asyncio.ensure_future(_work(connection, work, most_entries, silence.touch))
        lost = asyncio.ensure_future(connection.wait_closed())
        silent = asyncio.ensure_future(silence.wait())
        watched: set[asyncio.Future[Any]] = {job, lost, silent}
        try:
            ended, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(watched, connection)
    if job in ended:
        return job.result()
    what = f"no sign of life from {settings.host} for {seconds:.0f} s"
    if lost in ended:
        what = f"{settings.host} closed the connection"
    raise broken_off(what)


async def _end(tasks: set[asyncio.Future[Any]], connection: asyncssh.SSHClientConnection) -> None:
    """Cancel what is left; what a silent server keeps from ending by itself is cut off."""
    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=_LEAVE_SECONDS)
    if left:
        connection.abort()
        await asyncio.wait(left, timeout=_LEAVE_SECONDS)


async def _work(
    connection: asyncssh.SSHClientConnection,
    work: Callable[[Remote], Awaitable[T]],
    most_entries: int,
    touch: Callable[[], None],
) -> T:
    try:
        sftp = await _sftp(connection)
        try:
            return await work(Remote(sftp, most_entries, touch))
        finally:
            sftp.exit()
    except OSError as error:
        if not connection.is_closed():
            raise
        # What TCP says of the connection reaches each request that was under way.
        what = f"the connection was lost: {error.strerror or type(error).__name__}"
        raise broken_off(what) from error


async def _sftp(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    with about(b"SFTP"):
        try:
            return await connection.start_sftp_client()
        except asyncssh.ChannelOpenError as error:
            if connection.is_closed():
                raise
            message = f"the server offers this account no SFTP: {show(error.reason)}"
            raise TransferError(Exit.REFUSED, message) from error


class _Silence:
    """Notices when nothing has come for a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def touch(self) -> None:
        self._last = self._loop.time()

    async def wait(self) -> None:
        """Return when nothing has come for too long."""
        left = self._seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._last + self._seconds - self._loop.time()
