"""Rows that only the store can write: each has an HMAC (RFC 2104) over what it grants.

The key is not in the database in the clear. Who can write there, and has not the key file, can so
make no token, session, grace or factor that opens anything, nor give an account another state: a
row that does not fit is a TamperedError, or counts as none. Which factors an account has is kept
beside it as a digest, so that one that was deleted, or put back as it was before its end, shows in
`verify-audit-log` and in the next change of the account's factors.
"""

import hashlib
import hmac

import msgspec

from store.errors import TamperedError

_Field = str | int | bytes | None


def row_mac(key: bytes, kind: str, *fields: _Field) -> bytes:
    """Give the HMAC of a row of that kind."""
    return hmac.digest(key, msgspec.json.encode((kind, *fields)), hashlib.sha256)


def is_right(mac: bytes, key: bytes, kind: str, *fields: _Field) -> bool:
    """Tell whether a row is as the store wrote it."""
    return hmac.compare_digest(mac, row_mac(key, kind, *fields))


def require(right: bool, what: str) -> None:  # noqa: FBT001 - the one thing that this asks
    """Raise a TamperedError unless a row is as the store wrote it."""
    if not right:
        message = (
            f"{what} was changed by somebody who has not the key file: "
            "run `sftp-mfa-admin verify-audit-log`, and restore the store from a backup"
        )
        raise TamperedError(message)
