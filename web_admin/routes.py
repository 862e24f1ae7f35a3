"""What a page is to the application: its address, who may see it, and what it gives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


class Need(Enum):
    """Who may open a page."""

    NOTHING = auto()
    SESSION = auto()
    """Who has a session, however far in."""
    CODE = auto()
    """Who has given the password and owes the code; nobody else."""
    ENROLLMENT = auto()
    """Who must adopt MFA before anything else, and who is signed in."""
    FULL = auto()
    CONFIRMED = auto()
    """Who is signed in and gave a code or password a moment ago."""
    ADMIN = auto()
    ADMIN_CONFIRMED = auto()


@dataclass(frozen=True, slots=True)
class Page:
    """A template with what it shows."""

    template: str
    values: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another page, asked for with GET (303)."""

    path: str


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the browser keeps."""

    name: str
    kind: str
    parts: Iterable[str]


Answer = Page | Redirect | Download


@dataclass(frozen=True, slots=True)
class Route:
    """One address, for one method."""

    method: str
    path: str
    need: Need
    handle: Callable[..., Answer]


def message(key: str, status: int = 200, **values: Any) -> Page:
    """Give a page that says one thing; its words are `message.<key>.title` and `.text`."""
    return Page("message", {"key": key, "values": values}, status)
