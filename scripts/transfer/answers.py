"""What a server asks at the login, and what it is answered: in its own words, or by a token."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.keys import Keys
from scripts.transfer.names import show
from scripts.transfer.settings import Settings
from scripts.transfer.terminal import GivenUpError, NoTerminalError, NotTextError, Terminal

TOKEN_REFUSED = (
    "the server did not take the access token: it may be revoked, expired, or meant for another"
    " account or network; ask for a new one"
)
_NO_ANSWER = "nothing was answered"
_NOT_TEXT = "what was typed is not UTF-8: set the terminal to UTF-8"
_ENDLESS = "the server asks without end"
_WORDY = "the server talks without end"
_MOST_REQUESTS = 32
_MOST_PROMPTS = 16
_MOST_SAID = 65_536
"""Characters that it may say besides."""
_LEAST_SAID = 1024
"""What each message counts for at least, so that short ones have an end, too."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to answer the server."""

    terminal: Terminal
    token: str | None
    """An access token, to be sent once, in place of the password."""


class Answers(asyncssh.SSHClient):
    """What asyncssh asks during one connection; a TransferError that is raised here ends it."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        """Have answered nothing yet."""
        self._who = f"{settings.user}@{settings.typed}"
        self._terminal = credentials.terminal
        self._token = credentials.token
        self._attempts_left = settings.number("numberofpasswordprompts", 3)
        self._requests = 0
        self._said = 0
        self._keys = Keys(settings)
        self._gave_keys = False
        self.key: asyncssh.SSHKey | None = None
        """The host key that known_hosts does not have."""
        self.attempts = 0
        """How often an answer to everything was sent."""
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._is_asking = False
        self.proved = asyncio.Event()
        """The server has shown who it is."""

    def validate_host_public_key(
        self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Take no key but those of known_hosts, and keep what was shown."""
        self.key = key
        return False

    def begin_auth(self, username: str) -> None:
        """Note that the server has shown who it is."""
        del username
        self.proved.set()
        self._hear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the agent."""
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

    async def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        """Give all keys, once."""
        self._hear()
        if self._gave_keys:
            return None
        self._gave_keys = True
        return await self._keys.load() or None

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Show it."""
        del lang
        self._tell(msg)

    async def password_auth_requested(self) -> str | None:
        """Give token or password where this is the server's only method; None: try another."""
        if self._requests or not self._begins_attempt():
            return None  # this method has fewer questions than the one that was refused
        if self._token is not None:
            self.attempts += 1
            return self._token
        return await self._ask("Password: ", echo=False)

    def kbdint_auth_requested(self) -> str | None:
        """Begin to be asked; None: try another method."""
        return "" if self._begins_attempt() else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """Answer the server's questions, of which there may be none."""
        del lang
        self._hear()
        self._requests += 1
        if self._requests > _MOST_REQUESTS or len(prompts) > _MOST_PROMPTS:
            raise TransferError(Exit.NETWORK, _ENDLESS)
        self._tell("\n".join(filter(None, [name, instructions])))
        if not prompts:
            return []
        if self._token is not None:
            return self._give_token(self._token, prompts)
        return [await self._ask(prompt, echo=echo) for prompt, echo in prompts]

    def _begins_attempt(self) -> bool:
        """Tell whether to try once more, and say so if the last try was refused."""
        self._hear()
        if self._attempts_left <= 0 or (self._token is not None and self.attempts):
            return False
        if self.attempts:
            self._terminal.tell("Refused, try again.")
        self._attempts_left -= 1
        return True

    def _give_token(self, token: str, prompts: Sequence[tuple[str, bool]]) -> list[str]:
        """Answer one question without echo; with a token there is no second one."""
        if self.attempts or len(prompts) > 1 or prompts[0][1]:
            raise TransferError(Exit.REFUSED, TOKEN_REFUSED)
        self.attempts += 1
        return [token]

    async def _ask(self, prompt: str, *, echo: bool) -> str:
        self._is_asking = True
        try:
            answer = await self._terminal.ask(f"({self._who}) {prompt}", echo=echo)
        except NoTerminalError as nobody:
            asked = show(prompt.strip().removesuffix(":"))
            message = f"the server asks for {asked!r} and there is no terminal: give a token"
            raise TransferError(Exit.REFUSED, message) from nobody
        except GivenUpError as given_up:
            raise TransferError(Exit.REFUSED, _NO_ANSWER) from given_up
        except NotTextError:
            raise TransferError(Exit.REFUSED, _NOT_TEXT) from None
        finally:
            self._is_asking = False
            self._hear()
        self.attempts += 1
        return answer

    def _tell(self, text: str) -> None:
        """Show what the server says besides, which has an end, too."""
        self._said += len(text) + _LEAST_SAID
        if self._said > _MOST_SAID:
            raise TransferError(Exit.NETWORK, _WORDY)
        self._terminal.tell(text)
