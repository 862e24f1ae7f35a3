"""What all clients have in common."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from harness.sshd import Sshd

Method = Literal["keyboard-interactive", "password"]
# A function is called when its prompt is there: a code must be of that moment.
Answer = str | Callable[[], str]

TIMEOUT = 40.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a person saw."""

    ok: bool
    """Logged in, and a file went up and came back the same."""
    prompts: tuple[str, ...]
    """Each prompt to the byte, the last unanswered one too; what came before it in `output`."""
    output: str = field(repr=False)
    exit: int | None
    seconds: float
    """Until logged in or refused; lftp's include the transfer."""


class TransferError(Exception):
    """The login went well and the transfer did not."""


class Client(Protocol):
    """A client that can log in and move a file."""

    name: ClassVar[str]
    answers_once: ClassVar[bool]
    """It has one answer to give, whatever is asked."""

    def __init__(self, folder: Path) -> None:
        """Keep its files in a folder."""

    def login(
        self,
        sshd: Sshd,
        user: str,
        answers: Sequence[Answer],
        *,
        method: Method = "keyboard-interactive",
    ) -> Outcome:
        """Log in, answer each prompt in turn and hang up at the first without an answer."""


def text_of(answer: Answer) -> str:
    """Return what to type now."""
    return answer if isinstance(answer, str) else answer()


class RoundTrip:
    """A file of random bytes that goes up under one name and comes down under another."""

    def __init__(self, folder: Path, size: int = 100_000) -> None:
        """Make the file."""
        tag = secrets.token_hex(6)
        folder.mkdir(parents=True, exist_ok=True)
        self.source = folder / f"up-{tag}"
        self.remote = f"file-{tag}"
        self.returned = folder / f"down-{tag}"
        self.source.write_bytes(secrets.token_bytes(size))

    @property
    def errands(self) -> list[str]:
        """Return what to type at a client's prompt."""
        return [f"put {self.source} {self.remote}", f"get {self.remote} {self.returned}"]

    def is_complete(self) -> bool:
        """Tell whether the same bytes came back."""
        return self.returned.exists() and self.returned.read_bytes() == self.source.read_bytes()

    def check(self, output: str) -> None:
        """Raise unless the same bytes came back."""
        if not self.is_complete():
            raise TransferError(output)
