"""One-time passwords against the figures that the RFCs print."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import otp

RFC_SECRET = b"12345678901234567890"
RFC_4226 = [
    "755224", "287082", "359152", "969429", "338314",
    "254676", "287922", "162583", "399871", "520489",
]  # fmt: skip
"""Appendix D: the codes of counters 0 to 9."""
RFC_6238 = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
"""Appendix B, SHA-1: seconds and codes of eight digits, of which ours are the last six."""

NOW = 1_750_000_000_000
STEP = otp.step_at(NOW)


@pytest.mark.parametrize(("counter", "code"), list(enumerate(RFC_4226)))
def test_codes_are_those_of_rfc_4226(counter: int, code: str) -> None:
    """Each counter gives the code that the RFC prints."""
    assert otp.code_at(RFC_SECRET, counter) == code


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    """Each time gives the code that the RFC prints."""
    assert otp.code_at(RFC_SECRET, otp.step_at(seconds * 1000)) == code[-6:]


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_match_gives_the_step_of_a_code(seconds: int, code: str) -> None:
    """A right code matches at its own time, and tells its step."""
    now = seconds * 1000
    assert otp.match_step(RFC_SECRET, code[-6:], now, window=0) == seconds // 30


def test_a_step_begins_with_its_first_millisecond() -> None:
    """A step has 30 s, neither a millisecond more nor less."""
    assert [otp.step_at(ms) for ms in (0, 29_999, 30_000, 59_999, 60_000)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("window", [0, 1, 2])
def test_window_ends_where_it_is_said_to(window: int) -> None:
    """Codes within ±window match with their own step, those just outside do not."""
    found = {
        steps: otp.match_step(RFC_SECRET, otp.code_at(RFC_SECRET, STEP + steps), NOW, window)
        for steps in range(-4, 5)
    }
    assert found == {
        steps: STEP + steps if abs(steps) <= window else None for steps in range(-4, 5)
    }


def test_window_moves_with_the_millisecond() -> None:
    """A code is late from the first millisecond of the step after the window."""
    code = otp.code_at(RFC_SECRET, STEP)
    end = (STEP + 2) * 30_000
    assert otp.match_step(RFC_SECRET, code, end - 1, window=1) == STEP
    assert otp.match_step(RFC_SECRET, code, end, window=1) is None


def test_window_stops_at_the_beginning_of_time() -> None:
    """No step is below zero."""
    assert otp.match_step(RFC_SECRET, RFC_4226[0], 0, window=2) == 0


def test_newest_step_is_given_when_two_steps_have_one_code() -> None:
    """Where two steps of a window show the same code, none is left over to be used again."""
    # Two of the first million steps that are found by trying.
    assert [otp.code_at(RFC_SECRET, step) for step in (153567, 153569)] == ["468457"] * 2
    assert otp.match_step(RFC_SECRET, "468457", 153568 * 30_000, window=1) == 153569


@pytest.mark.parametrize("typed", ["123456", "123 456", " 123456 ", "1 2 3 4 5 6", "123456\n"])
def test_spaces_in_a_code_are_allowed(typed: str) -> None:
    """People type codes the way that their app shows them."""
    assert otp.parse_code(typed) == "123456"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        "-12345",
        "+12345",
        "12.456",
        "123\n456",
        "0x1234",
        "\uff11\uff12\uff13\uff14\uff15\uff16",  # full width
        "\u0661\u0662\u0663\u0664\u0665\u0666",  # Arabic-Indic
        "12345\u00b2",
        "123456\0",
        "\udc80123456",
    ],
)
def test_what_is_not_six_ascii_digits_is_no_code(typed: str) -> None:
    """Other digits, other lengths and anything else are refused before they are compared."""
    assert otp.parse_code(typed) is None


@given(st.text())
def test_parse_code_takes_any_text(text: str) -> None:
    """Whatever is typed gives six ASCII digits or None."""
    code = otp.parse_code(text)
    assert code is None or (len(code) == 6 and code.isascii() and code.isdigit())


@given(st.binary(min_size=1, max_size=64))
def test_base32_is_what_an_app_reads_back(secret: bytes) -> None:
    """A secret typed into an app is the same secret there, and has nothing that is hard to type."""
    text = otp.base32(secret)
    assert base64.b32decode(text + "=" * (-len(text) % 8)) == secret
    assert "=" not in text


def test_uri_says_to_an_app_what_we_check() -> None:
    """The URI has issuer, account and secret, escaped, and no figure that differs from ours."""
    uri = otp.otpauth_uri(RFC_SECRET, "bo b@corp", "My Files").text()
    assert uri == (
        "otpauth://totp/My%20Files:bo%20b%40corp"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20Files"
    )
