"""Times as the store keeps them."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.clock import from_milliseconds, system_clock, to_milliseconds, when


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))])))
def test_datetime_survives_to_the_millisecond(moment: datetime) -> None:
    """What is kept of a time is the same time, cut to milliseconds."""
    kept = from_milliseconds(to_milliseconds(moment))
    assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)
    assert kept.tzinfo is UTC


def test_time_without_its_zone_is_an_error() -> None:
    """Nobody knows what it means."""
    with pytest.raises(ValueError, match="zone"):
        to_milliseconds(datetime(2025, 6, 15))  # noqa: DTZ001


def test_missing_time_stays_missing() -> None:
    """None is not 1970."""
    assert when(None) is None
    assert when(0) == datetime(1970, 1, 1, tzinfo=UTC)


def test_system_clock_counts_milliseconds_since_1970() -> None:
    """The unit is the one that every rule counts in."""
    before = time.time()
    assert before * 1000 - 1 <= system_clock() <= time.time() * 1000
