"""Pages of what an account has: stable, for each begins behind the last thing of the one before."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import UNSET, UnsetType

from store.clock import to_milliseconds

T = TypeVar("T")
Place = tuple[int, str]


def page(
    things: Sequence[T],
    place_of: Callable[[T], tuple[datetime, str]],
    limit: int,
    cursor: str | UnsetType,
    *,
    newest_first: bool = True,
) -> tuple[list[T], str | None]:
    """Give some of the things in the order of their making, and where the next ones begin."""
    sign = -1 if newest_first else 1

    def order(thing: T) -> Place:
        at, name = place_of(thing)
        return sign * to_milliseconds(at), name

    rest = sorted(things, key=order)
    if cursor is not UNSET:
        behind = _parse(cursor, sign)
        rest = [thing for thing in rest if order(thing) > behind]
    found = rest[:limit]
    if len(rest) <= limit:
        return found, None
    at, name = order(found[-1])
    return found, f"{sign * at}-{name}"


def _parse(cursor: str, sign: int) -> Place:
    at, _, name = cursor.partition("-")
    return sign * int(at), name
