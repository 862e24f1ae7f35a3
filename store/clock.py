"""Time and randomness, passed in so that a test can hold them still."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Gives the time in milliseconds since 1970-01-01 UTC."""

Randomness = Callable[[int], bytes]
"""Gives that many bytes which nobody can guess."""

system_randomness: Randomness = secrets.token_bytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> int:
    """Give the machine's time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def from_milliseconds(value: int) -> datetime:
    """Turn a stored time into an aware datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=value)


def when(value: int | None) -> datetime | None:
    """Turn a stored time that may be missing into a datetime."""
    return None if value is None else from_milliseconds(value)


def to_milliseconds(value: datetime) -> int:
    """Turn an aware datetime into a stored time; a naive one is a ValueError."""
    if value.tzinfo is None:
        message = f"a time without its zone: {value.isoformat()}"
        raise ValueError(message)
    return (value - _EPOCH) // timedelta(milliseconds=1)
