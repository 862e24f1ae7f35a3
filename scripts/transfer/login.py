"""A login: the server proves who it is, then whatever it asks is answered, in its own words."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncssh

from scripts.transfer import known_hosts
from scripts.transfer.errors import Exit, TransferError, network_error
from scripts.transfer.keys import Keys
from scripts.transfer.known_hosts import Trust
from scripts.transfer.names import show
from scripts.transfer.settings import Settings
from scripts.transfer.terminal import GivenUpError, NoTerminalError, NotTextError, Terminal

_MOST_REQUESTS = 32
_MOST_PROMPTS = 16
_KEEPALIVE_SECONDS = 15
# Twice as fast here as OpenSSH's first choice, which costs more calls for each packet.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_YES_OR_NO = "Please type 'yes', 'no' or the fingerprint: "
_CERTIFICATE = "-cert-v01@openssh.com"
_HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_METHODS = "gssapi-with-mic,publickey,keyboard-interactive,password"
_ALGORITHMS = {"ciphers": "encryption_algs", "kexalgorithms": "kex_algs", "macs": "mac_algs"}

_WRONG = "wrong password or code, a code that was used already, or an account that is locked"
_NO_ANSWER = "nothing was answered"
_NOT_TEXT = "what was typed is not UTF-8: set the terminal to UTF-8"
_ENDLESS = "the server asks without end"
_TOKEN_REFUSED = (
    "the server did not take the access token: it may be revoked, expired, or meant for another"
    " account or network; ask for a new one"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to answer the server."""

    terminal: Terminal
    token: str | None
    """An access token, to be sent once, in place of the password."""


class _Client(asyncssh.SSHClient):
    """What asyncssh asks during one connection."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._who = f"{settings.user}@{settings.typed}"
        self._terminal = credentials.terminal
        self._token = credentials.token
        self._attempts_left = settings.number("numberofpasswordprompts", 3)
        self._requests = 0
        self._keys = Keys(settings)
        self._gave_keys = False
        self.key: asyncssh.SSHKey | None = None
        """The host key that known_hosts does not have."""
        self.attempts = 0
        """How often an answer to everything was sent."""
        self.failure: TransferError | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._is_asking = False
        self.proved = asyncio.Event()
        """The server has shown who it is."""

    def validate_host_public_key(
        self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.key = key
        return False

    def begin_auth(self, username: str) -> None:
        del username
        self.proved.set()
        self._hear()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._keys.close()

    def silent_for(self) -> float:
        """Tell for how many seconds the server has been the one to say something."""
        return 0 if self._is_asking else self._loop.time() - self._heard

    def _hear(self) -> None:
        self._heard = self._loop.time()

    @property
    def has_token(self) -> bool:
        """Tell whether a token was to let in."""
        return self._token is not None

    def nothing_to_offer(self) -> str:
        """Say why the login ended without a question."""
        if self._keys.locked:
            name = show(str(self._keys.locked[0]))
            return f"no key was taken; {name} has a passphrase: add it to the agent by `ssh-add`"
        return "the server takes neither a password, nor a code, nor a key of yours"

    async def public_key_auth_requested(
        self,
    ) -> Sequence[asyncssh.SSHKeyPair] | None:
        self._hear()
        if self._gave_keys:
            return None
        self._gave_keys = True
        return await self._keys.load() or None

    def auth_banner_received(self, msg: str, lang: str) -> None:
        del lang
        self._terminal.tell(msg)

    async def password_auth_requested(self) -> str | None:
        if self._requests or not self._begins_attempt():
            return None  # this method has fewer questions than the one that was refused
        if self._token is not None:
            self.attempts += 1
            return self._token
        return await self._ask("Password: ", echo=False)

    def kbdint_auth_requested(self) -> str | None:
        return "" if self._begins_attempt() else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        del lang
        self._hear()
        self._requests += 1
        if self._requests > _MOST_REQUESTS or len(prompts) > _MOST_PROMPTS:
            self._give_up(TransferError(Exit.NETWORK, _ENDLESS))
            return None
        self._terminal.tell("\n".join(filter(None, [name, instructions])))
        if not prompts:
            return []
        if self._token is not None:
            return self._give_token(prompts)
        answers = []
        for prompt, echo in prompts:
            answer = await self._ask(prompt, echo=echo)
            if answer is None:
                return None
            answers.append(answer)
        return answers

    def _begins_attempt(self) -> bool:
        """Tell whether to try once more, and say so if the last try was refused."""
        self._hear()
        if self.failure is not None or self._attempts_left <= 0:
            return False
        if self._token is not None and self.attempts:
            return False
        if self.attempts:
            self._terminal.tell("Refused, try again.")
        self._attempts_left -= 1
        return True

    def _give_token(self, prompts: Sequence[tuple[str, bool]]) -> list[str] | None:
        """Answer one question without echo; with a token there is no second one."""
        if self.attempts or len(prompts) > 1 or prompts[0][1]:
            self._give_up(TransferError(Exit.REFUSED, _TOKEN_REFUSED))
            return None
        self.attempts += 1
        assert self._token is not None  # noqa: S101 - the caller looked
        return [self._token]

    async def _ask(self, prompt: str, *, echo: bool) -> str | None:
        self._is_asking = True
        try:
            answer = await self._terminal.ask(f"({self._who}) {prompt}", echo=echo)
        except NoTerminalError:
            asked = show(prompt.strip().removesuffix(":"))
            message = f"the server asks for {asked!r} and there is no terminal: give a token"
            self._give_up(TransferError(Exit.REFUSED, message))
            return None
        except GivenUpError:
            self._give_up(TransferError(Exit.REFUSED, _NO_ANSWER))
            return None
        except NotTextError:
            self._give_up(TransferError(Exit.REFUSED, _NOT_TEXT))
            return None
        finally:
            self._is_asking = False
            self._hear()
        self.attempts += 1
        return answer

    def _give_up(self, failure: TransferError) -> None:
        """Answer no more; the caller gives asyncssh None, and the login ends."""
        self.failure = self.failure or failure


@asynccontextmanager
async def logged_in(
    settings: Settings, credentials: Credentials, seconds: float
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in once, for everything that is to be done; `seconds` is how long a server may be silent.

    Raises TransferError.
    """
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # errors are told once, by us
    trust = known_hosts.load(settings)
    client = _Client(settings, credentials)
    try:
        connection = await _connect(settings, client, trust, seconds)
    except _UnknownHostError as unknown:
        policy = settings.text("stricthostkeychecking", "ask").lower()
        await _confirm(trust, unknown.key, policy, credentials.terminal)
        client = _Client(settings, credentials)
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


class _UnknownHostError(Exception):
    """There is no entry for the server at all."""

    def __init__(self, key: asyncssh.SSHKey) -> None:
        super().__init__()
        self.key = key


async def _connect(
    settings: Settings, client: _Client, trust: Trust, seconds: float
) -> asyncssh.SSHClientConnection:
    limit = settings.number("connecttimeout", int(seconds))
    where = f"{settings.host} port {settings.port}"
    work = asyncio.ensure_future(
        asyncssh.connect(settings.host, settings.port, **_options(settings, client, trust))
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
        raise _host_key_failure(error, client, trust) from error
    except asyncssh.KeyExchangeFailed as error:
        message = f"no way to talk with {where}: {show(str(error))}"
        raise network_error(message) from error
    except (OSError, asyncssh.Error) as error:
        raise _failure(error, client, where) from error
    finally:
        work.cancel()
        proved.cancel()


def _options(settings: Settings, client: _Client, trust: Trust) -> dict[str, Any]:
    """Say everything to asyncssh that its own reading of the configuration would."""
    preferred = settings.text("preferredauthentications")
    options: dict[str, Any] = {
        "config": None,
        "client_factory": lambda: client,
        "username": settings.user,
        "known_hosts": trust.matcher(),
        "host_key_alias": trust.name,
        "server_host_key_algs": _host_keys(settings, trust),
        "encryption_algs": _CIPHERS,
        "login_timeout": 0,  # people answer; _connect sees to the server
        "keepalive_interval": settings.number("serveraliveinterval", 0) or _KEEPALIVE_SECONDS,
        "keepalive_count_max": settings.number("serveralivecountmax", 3),
        "proxy_command": settings.proxy,
        "client_keys": None,  # the client gives them
        "gss_kex": False,
        "gss_auth": settings.is_on("gssapiauthentication", default=False),
        "host_based_auth": False,
        "password_auth": settings.is_on("passwordauthentication", default=True),
        "kbdint_auth": settings.is_on("kbdinteractiveauthentication", default=True),
        "preferred_auth": preferred or _METHODS,
        "x509_trusted_certs": None,
        "send_env": None,
        "tcp_keepalive": settings.is_on("tcpkeepalive", default=True),
    }
    for option, name in _ALGORITHMS.items():
        if option in settings.chosen:
            options[name] = _supported(name, settings.chosen[option])
    return options


def _host_keys(settings: Settings, trust: Trust) -> list[str]:
    """Ask for what can be judged first, but not for that only: a changed key is to be seen."""
    if "hostkeyalgorithms" in settings.chosen:
        allowed = _supported("server_host_key_algs", settings.chosen["hostkeyalgorithms"])
    else:
        allowed = [f"{name}{_CERTIFICATE}" for name in _HOST_KEYS] + list(_HOST_KEYS)
    known = {name.decode("ascii") for key in trust.keys for name in key.sig_algorithms}
    if not trust.authorities:  # a certificate would prove nothing
        allowed = [name for name in allowed if not name.endswith(_CERTIFICATE)]
    return sorted(allowed, key=lambda name: name not in known and not name.endswith(_CERTIFICATE))


def _supported(name: str, wanted: str) -> list[str]:
    """Leave out what asyncssh does not have, as OpenSSH's lists name more."""
    kept = []
    for word in wanted.split(","):
        try:
            asyncssh.SSHClientConnectionOptions(config=None, client_keys=None, **{name: [word]})
        except ValueError:
            continue
        kept.append(word)
    if not kept:
        message = f"none of the {name} of the SSH configuration is known here: {show(wanted)}"
        raise TransferError(Exit.USAGE, message)
    return kept


async def _confirm(trust: Trust, key: asyncssh.SSHKey, policy: str, terminal: Terminal) -> None:
    """Let the user judge a host key that is not known, and write it down."""
    fingerprint = key.get_fingerprint()
    unknown = f"the host key of {trust.entry} is not known ({key.get_algorithm()} {fingerprint})"
    if policy != "accept-new":
        if policy in {"yes", "true"}:
            message = f"{unknown}, and StrictHostKeyChecking forbids to ask: add it to {trust.file}"
            raise TransferError(Exit.HOST_KEY, message)
        terminal.tell(f"The authenticity of host '{trust.entry}' can't be established.")
        terminal.tell(f"{key.get_algorithm()} key fingerprint is {fingerprint}.")
        question = "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
        try:
            answer = await terminal.ask(question, echo=True)
            while answer.strip() not in {"yes", "no", fingerprint}:
                answer = await terminal.ask(
                    "Please type 'yes', 'no' or the fingerprint: ", echo=True
                )
        except (NoTerminalError, GivenUpError, NotTextError) as nobody:
            message = (
                f"{unknown}: connect once from a terminal and compare the fingerprint,"
                f" or add it to {trust.file}"
            )
            raise TransferError(Exit.HOST_KEY, message) from nobody
        if answer.strip() == "no":
            message = f"{unknown}, and you did not confirm it"
            raise TransferError(Exit.HOST_KEY, message)
    try:
        trust.remember(key)
    except OSError as error:
        message = f"cannot write the host key to {trust.file}: {error.strerror}"
        raise TransferError(Exit.HOST_KEY, message) from error


def _host_key_failure(error: Exception, client: _Client, trust: Trust) -> Exception:
    if client.key is not None and not trust.is_known:
        return _UnknownHostError(client.key)
    if client.key is not None:
        return _changed(trust, client.key)
    reason = show(str(error)).partition(" for host ")[0]
    message = f"the host key of {trust.entry} cannot be accepted: {reason}"
    return TransferError(Exit.HOST_KEY, message)


def _changed(trust: Trust, key: asyncssh.SSHKey) -> TransferError:
    message = (
        f"the host key of {trust.entry} is {key.get_fingerprint()}, which is not what is known:"
        " somebody may be in between; if its administrator confirms the change,"
        f" run `ssh-keygen -R '{trust.entry}'`"
    )
    return TransferError(Exit.HOST_KEY, message)


def _failure(error: Exception, client: _Client, where: str) -> TransferError:
    """Say why there is no connection, or no login."""
    if client.failure is not None:
        return client.failure
    said = show(str(error).strip().rstrip("."))
    if not client.proved.is_set():
        reason = error.strerror if isinstance(error, OSError) and error.strerror else said
        message = f"cannot reach {where}: {reason or 'it closed the connection'}"
        return network_error(message)
    if client.attempts and client.has_token:
        return TransferError(Exit.REFUSED, _TOKEN_REFUSED)
    if client.attempts:
        return TransferError(Exit.REFUSED, f"refused: {_WRONG}; wait a while, or ask for help")
    if isinstance(error, asyncssh.PermissionDenied):
        return TransferError(Exit.REFUSED, f"refused: {client.nothing_to_offer()}")
    if isinstance(error, asyncssh.ConnectionLost):
        message = f"{where} closed the connection before the login was over: answer sooner"
        return network_error(message)
    return TransferError(Exit.REFUSED, f"refused by {where}: {said}")
