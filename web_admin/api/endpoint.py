"""What an endpoint is: one row, from which routing, documentation and tests are made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from msgspec import Struct

from web_admin.api.problems import Code

PREFIX = "/api/v1"


class Who(Enum):
    """Who may call."""

    ANYBODY = auto()
    CHALLENGED = auto()
    """Anybody with a challenge in the body; without one, who has a session."""
    SESSION = auto()
    """Who has a session, however far in."""
    SIGNED_IN = auto()
    OWNER = auto()
    """The account in the address, or an administrator."""
    ADMINISTRATOR = auto()
    METRICS = auto()
    """An administrator, unless the configuration opens the metrics to anybody."""


class Proof(Enum):
    """What beside being let in is needed."""

    NONE = auto()
    FRESH = auto()
    """A session must have been confirmed a moment ago.

    Not a token: it exists so that programs can work without a person. What it makes is bounded
    by what it opens itself.
    """
    PERSON = auto()
    """As FRESH; and on its own owner's account no token will do.

    A stolen token must not be able to enroll the thief's device, to take MFA away, or to change
    the password. An administrator's token may look after other accounts: that is its purpose.
    """


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: what, with which status, and where a new thing is found."""

    value: Struct | None = None
    status: int = 200
    location: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """An answer that is not JSON."""

    body: bytes
    kind: str
    policy: str | None = None
    """A Content-Security-Policy in place of the strictest."""
    is_static: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    """With its parts in braces, as OpenAPI writes them."""
    handle: Callable[..., Reply | File]
    """Takes the call, the body or query if it has such, and the path's parts by name."""
    summary: str
    who: Who
    answer: type[Struct] | str | None = None
    """The model of a good answer, or its media type; None: 204."""
    status: int = 200
    proof: Proof = Proof.NONE
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    example: Struct | None = None
    """A body that is accepted as it is, but for secrets, which nobody can write down ahead."""
    before_enrollment: bool = False
    """Open to who must adopt MFA and has not."""
    problems: tuple[Code, ...] = field(default=())
    """What it may answer beside the problems that its other columns bring."""
    description: str = ""

    @property
    def name(self) -> str:
        """Name it for OpenAPI and the metrics."""
        words = self.path.replace("{", "").replace("}", "").replace("-", "/").split("/")
        return self.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
