"""Time-based one-time passwords (RFC 6238 over RFC 4226), computed by pyotp."""

import base64
import hmac
import re

import pyotp

from store.secret import Secret

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
"""160 bits, the length that RFC 4226 section 4 recommends."""

_CODE = re.compile(r"[0-9]{6}")


class _Totp(pyotp.TOTP):
    """A TOTP over bytes: pyotp would decode base32 anew for every code."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret  # first: pyotp asks for it as it starts
        super().__init__(base32(secret), digits=DIGITS, interval=STEP_SECONDS)

    def byte_secret(self) -> bytes:
        return self._secret


def step_at(milliseconds: int) -> int:
    """Give the number of the time step (RFC 6238 section 4.2, T0 = 0, X = 30 s)."""
    return milliseconds // (STEP_SECONDS * 1000)


def parse_code(text: str) -> str | None:
    """Give the six digits that a person meant, spaces allowed; None if these are none."""
    squeezed = text.replace(" ", "").strip()
    return squeezed if _CODE.fullmatch(squeezed) else None


def code_at(secret: bytes, step: int) -> str:
    """Give the code of one time step."""
    return _Totp(secret).generate_otp(step)


def match_step(secret: bytes, code: str, now: int, window: int) -> int | None:
    """Give the step within ±window whose code this is, the newest if several; None if none.

    Every step of the window is computed and compared in constant time, so that the time taken
    does not tell which one matched.
    """
    totp = _Totp(secret)
    current = step_at(now)
    matched = None
    for step in range(max(0, current - window), current + window + 1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            matched = step
    return matched


def base32(secret: bytes) -> str:
    """Write a secret the way people type it into an authenticator (RFC 4648, no padding)."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def otpauth_uri(secret: bytes, account: str, issuer: str) -> Secret:
    """Write the URI that authenticator apps read from a QR code."""
    totp = _Totp(secret)
    return Secret.of(totp.provisioning_uri(name=account, issuer_name=issuer))
