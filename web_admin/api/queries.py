"""What may stand behind the question mark, and is refused where it does not fit.

What is not wanted is left away: UNSET and never null, which in an address is just a word.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from store.access_tokens import Scope
from store.audit import Event
from web_admin.api.models import Moment

Place = Annotated[
    str,
    Meta(pattern=r"^[0-9]{1,16}-[0-9A-Za-z]{1,64}$", description="`nextCursor` of the page before"),
]
EventPlace = Annotated[
    str,
    Meta(pattern=r"^[0-9]{1,15}-[0-9]{1,18}$", description="`nextCursor` of the page before"),
]
Wanted = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\u0000]*$")]
Limit = Annotated[int, Meta(ge=1, le=200, description="How many at most")]


class Query(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What may stand behind the question mark."""

    limit: Limit = 50


class TokenQuery(Query, frozen=True):
    """Which tokens."""

    cursor: Place | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET


class TotpQuery(Query, frozen=True):
    """Which authenticators."""

    cursor: Place | UnsetType = UNSET
    status: Literal["pending", "active"] | UnsetType = UNSET


class SessionQuery(Query, frozen=True):
    """Which sessions."""

    cursor: Place | UnsetType = UNSET
    protocol: Literal["web", "api"] | UnsetType = UNSET


class AccountQuery(Query, frozen=True):
    """Which accounts."""

    cursor: Annotated[Wanted, Meta(description="`nextCursor` of the page before")] | UnsetType = (
        UNSET
    )
    prefix: Annotated[Wanted, Meta(description="How the name begins")] | UnsetType = UNSET
    adopted: bool | UnsetType = UNSET
    locked: bool = False
    barred: bool = False


class AuditQuery(Query, frozen=True):
    """Which events."""

    cursor: EventPlace | UnsetType = UNSET
    account: Wanted | UnsetType = UNSET
    event: Event | UnsetType = UNSET
    address: Wanted | UnsetType = UNSET
    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET
