"""The names that people give to their factors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import RequestError
from store.names import factor_name


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
