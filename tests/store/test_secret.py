"""Secrets do not print themselves."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.secret import Secret


def test_secret_is_masked_wherever_it_is_printed() -> None:
    """Neither repr, str, format nor a traceback of a failed comparison shows it."""
    secret = Secret.of("correct horse")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret])]
    with pytest.raises(TypeError) as raised:
        _fail_over(secret)
    shown += traceback.format_exception(raised.value)
    assert "correct horse" not in "".join(shown)


def _fail_over(secret: Secret) -> None:
    message = "cannot do it with"
    raise TypeError(message, secret)


@given(st.binary())
def test_bytes_survive_being_text(value: bytes) -> None:
    """A password that is no UTF-8 reaches the password check as it was typed."""
    assert Secret.of(Secret(value).text()) == Secret(value)
