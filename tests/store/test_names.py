"""The names that people give to their factors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import RequestError
from store.names import can_be_stored, factor_name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("phone", "phone"),
        ("  my \t new\nphone ", "my new phone"),
        ("T\u00e9l\u00e9phone", "T\u00e9l\u00e9phone"),
        ("x" * 64, "x" * 64),
    ],
)
def test_name_is_kept_with_single_spaces(typed: str, kept: str) -> None:
    """What only looks different is the same name."""
    assert factor_name(typed) == kept


@given(st.text())
def test_any_text_is_a_name_or_a_refusal(typed: str) -> None:
    """A name that is kept is short, printable and one line; all else is refused."""
    try:
        name = factor_name(typed)
    except RequestError:
        return
    assert 1 <= len(name) <= 64
    assert name.isprintable()
    assert factor_name(name) == name


@pytest.mark.parametrize(
    ("text", "can"),
    [("alice", True), ("", True), (None, True), ("\u00e9\U0001f600", True), ("a\0", False)],
)
def test_text_that_one_database_cannot_hold_is_known(text: str | None, can: bool) -> None:  # noqa: FBT001
    """What is no text for PostgreSQL is none for SQLite."""
    assert can_be_stored(text) is can
    assert not can_be_stored("\udcff")
