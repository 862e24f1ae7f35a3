"""A login: the server proves who it is, what it asks is answered, and both within a time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncssh

from scripts.transfer import host_keys, known_hosts
from scripts.transfer.answers import TOKEN_REFUSED, Answers, Credentials
from scripts.transfer.errors import Exit, TransferError, network_error
from scripts.transfer.host_keys import UnknownHostError
from scripts.transfer.known_hosts import Trust
from scripts.transfer.names import show
from scripts.transfer.negotiation import connection_options
from scripts.transfer.settings import Settings

_WRONG = "wrong password or code, a code that was used already, or an account that is locked"


@asynccontextmanager
async def logged_in(
    settings: Settings, credentials: Credentials, seconds: float
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in once, for everything that is to be done; `seconds` is how long a server may be silent.

    Raises TransferError.
    """
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # errors are told once, by us
    trust = known_hosts.load(settings)
    client = Answers(settings, credentials)
    try:
        connection = await _connect(settings, client, trust, seconds)
    except UnknownHostError as unknown:
        policy = settings.text("stricthostkeychecking", "ask").lower()
        await host_keys.confirm(trust, unknown.key, policy, credentials.terminal)
        client = Answers(settings, credentials)
        connection = await _connect(settings, client, replace(trust, keys=(unknown.key,)), seconds)
    try:
        yield connection
    finally:
        connection.close()
        try:
            async with asyncio.timeout(2):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


async def _connect(
    settings: Settings, client: Answers, trust: Trust, seconds: float
) -> asyncssh.SSHClientConnection:
    limit = settings.number("connecttimeout", int(seconds))
    where = f"{settings.host} port {settings.port}"
    work = asyncio.ensure_future(
        asyncssh.connect(
            settings.host, settings.port, **connection_options(settings, client, trust)
        )
    )
    proved = asyncio.ensure_future(client.proved.wait())
    try:
        await asyncio.wait({work, proved}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and not proved.done():
            message = f"no answer from {where} within {limit} s"
            raise network_error(message)
        while not work.done():
            left = seconds - client.silent_for()
            if left <= 0:
                message = f"no answer from {where} within {seconds:.0f} s"
                raise network_error(message)
            await asyncio.wait({work}, timeout=left)
        return await work
    except asyncssh.HostKeyNotVerifiable as error:
        raise host_keys.failure(error, client.key, trust) from error
    except asyncssh.KeyExchangeFailed as error:
        message = f"no way to talk with {where}: {show(str(error))}"
        raise network_error(message) from error
    except (OSError, asyncssh.Error) as error:
        raise _failure(error, client, where) from error
    finally:
        work.cancel()
        proved.cancel()


def _failure(error: Exception, client: Answers, where: str) -> TransferError:
    """Say why there is no connection, or no login."""
    said = show(str(error).strip().rstrip("."))
    if not client.proved.is_set():
        reason = error.strerror if isinstance(error, OSError) and error.strerror else said
        message = f"cannot reach {where}: {reason or 'it closed the connection'}"
        return network_error(message)
    if client.attempts and client.has_token:
        return TransferError(Exit.REFUSED, TOKEN_REFUSED)
    if client.attempts:
        return TransferError(Exit.REFUSED, f"refused: {_WRONG}; wait a while, or ask for help")
    if isinstance(error, asyncssh.PermissionDenied):
        return TransferError(Exit.REFUSED, f"refused: {client.nothing_to_offer()}")
    if isinstance(error, asyncssh.ConnectionLost):
        message = f"{where} closed the connection before the login was over: answer sooner"
        return network_error(message)
    return TransferError(Exit.REFUSED, f"refused by {where}: {said}")
