"""Logins on loopback, by a client that knows the host's keys and tells how it ended."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import asyncssh

_SECONDS = 40
_SESSION_SECONDS = 10
_ONE_OF_MANY = "127.{}.{}.{}"

Method = str


class Ended(StrEnum):
    """How a login ended."""

    IN = "let in"
    NO_SESSION = "let in, but the session broke"
    REFUSED = "refused"
    BROKEN = "neither let in nor refused"


@dataclass(frozen=True, slots=True)
class Target:
    """Where sshd listens, and its keys."""

    address: str
    port: int
    host_keys: Sequence[asyncssh.SSHKey]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One login."""

    ended: Ended
    prompts: tuple[str, ...]
    """What keyboard-interactive asked."""
    said: str = ""


def host_keys(files: Sequence[str]) -> list[asyncssh.SSHKey]:
    """Read the public halves of host keys."""
    found = []
    for name in files:
        public = Path(f"{name}.pub")
        if public.is_file():
            found.append(asyncssh.read_public_key(public))
        elif Path(name).is_file():
            found.append(asyncssh.read_private_key(name).convert_to_public())
    return found


async def log_in(target: Target, user: str, method: Method, answers: Sequence[str]) -> Outcome:
    """Try once; an answer for each prompt, or the password."""
    client = _Client(method, list(answers))
    try:
        connection = await asyncio.wait_for(_connect(target, user, method, client), _SECONDS)
    except asyncssh.PermissionDenied as error:
        return Outcome(Ended.REFUSED, tuple(client.prompts), error.reason)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return Outcome(Ended.BROKEN, tuple(client.prompts), str(error) or type(error).__name__)
    try:
        return Outcome(await _session(connection), tuple(client.prompts))
    finally:
        connection.close()
        await connection.wait_closed()


async def _connect(
    target: Target, user: str, method: Method, client: "_Client"
) -> asyncssh.SSHClientConnection:
    connection, _ = await asyncssh.create_connection(
        lambda: client,
        target.address,
        target.port,
        # sshd from 9.8 on makes an address wait that was refused (PerSourcePenalties), and so
        # must no other login on this machine for ours, nor ours for others'.
        local_addr=_own_address() if target.address == "127.0.0.1" else None,
        username=user,
        known_hosts=(list(target.host_keys), [], []),
        config=None,
        client_keys=None,
        agent_path=None,
        gss_host=None,
        preferred_auth=[method],
        connect_timeout=_SECONDS,
        login_timeout=_SECONDS,
    )
    return connection


async def _session(connection: asyncssh.SSHClientConnection) -> Ended:
    """Open one: a shell that says no, or whatever sshd forces, ends with a status."""
    try:
        done = await asyncio.wait_for(
            connection.run("exit", stdin=asyncssh.DEVNULL), _SESSION_SECONDS
        )
    except (OSError, asyncssh.Error, TimeoutError):
        return Ended.NO_SESSION
    return Ended.IN if done.exit_status is not None else Ended.NO_SESSION


class _Client(asyncssh.SSHClient):
    """Answers once, by one method."""

    def __init__(self, method: Method, answers: list[str]) -> None:
        self._method = method
        self._answers = answers
        self._began = False
        self.prompts: list[str] = []

    def password_auth_requested(self) -> str | None:
        if self._method != "password" or self._began:
            return None
        self._began = True
        return self._answers[0]

    def kbdint_auth_requested(self) -> str | None:
        if self._method != "keyboard-interactive" or self._began:
            return None
        self._began = True
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        del name, instructions, lang
        self.prompts += [prompt for prompt, _ in prompts]
        if len(prompts) > len(self._answers):
            return None
        return [self._answers.pop(0) for _ in prompts]


def _own_address() -> tuple[str, int]:
    """Pick one of the addresses of loopback (127.0.0.0/8)."""
    parts = (secrets.randbelow(254) + 1 for _ in range(3))
    return _ONE_OF_MANY.format(*parts), 0
