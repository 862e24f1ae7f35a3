"""What happened, told so that a removed, changed or reordered row shows.

Every account has a chain of its own: each event's digest is an HMAC (RFC 2104) over the digest
before it and the event's own fields, and the account's row keeps the last one. A writer locks
the account's row in any case, so writers on several hosts wait for one another only where they
work on the same account. The key is not in the database in the clear: who can only write there
cannot make a chain that verifies.
"""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from store.decisions import Protocol, Reason

GENESIS = bytes(32)
"""The digest before the first event."""

_LONGEST = 256

_log = logging.getLogger("sftp_mfa.audit")


class Event(StrEnum):
    """The kinds of event; a stable vocabulary for auditors and programs."""

    LOGIN_GRANTED = "login_granted"
    LOGIN_DENIED = "login_denied"
    ACCOUNT_CREATED = "account_created"
    CODES_LOCKED = "codes_locked"
    ACCOUNT_UNLOCKED = "account_unlocked"
    ACCOUNT_BARRED = "account_barred"
    ACCOUNT_UNBARRED = "account_unbarred"
    TOTP_STARTED = "totp_started"
    TOTP_COMPLETED = "totp_completed"
    TOTP_COMPLETION_FAILED = "totp_completion_failed"
    TOTP_DELETED = "totp_deleted"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODES_DELETED = "recovery_codes_deleted"
    TOKEN_ISSUED = "token_issued"
    TOKEN_REVOKED = "token_revoked"
    PASSWORD_CHANGED = "password_changed"
    SESSION_BEGUN = "session_begun"
    SESSION_CONFIRMED = "session_confirmed"
    SESSIONS_ENDED = "sessions_ended"
    KEY_ADDED = "key_added"
    KEY_RETIRED = "key_retired"
    AUDIT_PRUNED = "audit_pruned"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, through which door and from where."""

    name: str
    """An account's name, or `root` for a command on the host."""
    protocol: Protocol
    address: str | None = None
    session_id: str | None = None
    """The session it is done in, which outlives what ends the account's other ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, before it has its place in a chain."""

    event: Event
    actor: Actor
    reason: Reason | None = None
    factor_id: str | None = None
    subject: str | None = None
    """What else it concerns: in the system's chain, the name of an account."""


def chain_digest(
    key: bytes, previous: bytes, account: str, sequence: int, at: int, entry: Entry
) -> bytes:
    """Give the digest that ties an event to all those before it."""
    fields = [
        account,
        sequence,
        at,
        entry.event,
        entry.actor.name,
        entry.actor.protocol,
        entry.actor.address,
        entry.reason,
        entry.factor_id,
        entry.subject,
    ]
    return hmac.digest(key, previous + msgspec.json.encode(fields), hashlib.sha256)


def write_log_line(account: str, entry: Entry) -> None:
    """Write the event's one line for syslog, after its transaction was committed."""
    _log.info(
        "event=%s account=%s actor=%s protocol=%s address=%s reason=%s factor=%s",
        entry.event,
        quoted(entry.subject or account),
        quoted(entry.actor.name),
        entry.actor.protocol,
        quoted(entry.actor.address) if entry.actor.address else "-",
        entry.reason or "-",
        entry.factor_id or "-",
    )


def quoted(text: str) -> str:
    """Quote what others chose, so that it stays within its field and on its line."""
    escaped = text.encode("ascii", "backslashreplace").decode("ascii")
    plain = "".join(
        character
        if character.isprintable() and character not in '"\\'
        else f"\\x{ord(character):02x}"
        for character in escaped[:_LONGEST]  # cut here, where an escape stays whole
    )
    return f'"{plain}"'
