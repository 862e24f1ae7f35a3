"""What happened, told so that a removed, changed or reordered row shows.

Every account has a chain of its own, and the account's row keeps the chain's head. Each event's
digest is an HMAC (RFC 2104) over the head and the event's own fields; the next head is an HMAC over
the head and that digest. A writer locks the account's row in any case, so writers on several hosts
wait for one another only where they work on the same account.

The key is not in the database in the clear, and of the heads only the last is there at all. So who
can only write there can neither make a chain that verifies, nor cut one off and name an earlier
event as its last.
"""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from store.decisions import Protocol, Reason

NO_HEAD = bytes(32)
"""Stands where a chain's first head would, which is for nobody to see later."""

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
    STORE_RESTORED = "store_restored"
    ONE_STRING_CLOSED = "one_string_closed"
    PASSWORD_GUESSES_STOPPED = "password_guesses_stopped"
    ACCOUNT_FORGOTTEN = "account_forgotten"
    TAMPERING_FOUND = "tampering_found"


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


def first_head(key: bytes, account: str) -> bytes:
    """Give the head of a chain without events."""
    return hmac.digest(key, b"first head of " + account.encode("utf-8"), hashlib.sha256)


def next_head(key: bytes, head: bytes, digest: bytes) -> bytes:
    """Give the head behind an event."""
    return hmac.digest(key, b"next head " + head + digest, hashlib.sha256)


def pruned_head(key: bytes, account: str, sequence: int, head: bytes) -> bytes:
    """Write down that a chain was pruned up to an event, and the head behind it.

    Under the key too: the head of now is there for who wants to pass off everything as pruned.
    """
    context = f"pruned {sequence} ".encode() + account.encode("utf-8")
    return head + hmac.digest(key, head + context, hashlib.sha256)


def chain_digest(
    key: bytes, head: bytes, account: str, sequence: int, at: int, entry: Entry
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
    return hmac.digest(key, head + msgspec.json.encode(fields), hashlib.sha256)


def write_log_line(account: str, entry: Entry, sequence: int | None = None) -> None:
    """Write the event's one line for syslog, after its transaction was committed.

    With the event's place in the account's chain, so that one which is missing in the store shows
    against a log server; one that has none is in no chain.
    """
    _log.info(
        "event=%s account=%s actor=%s protocol=%s address=%s reason=%s factor=%s subject=%s "
        "sequence=%s",
        entry.event,
        quoted(account),
        quoted(entry.actor.name),
        entry.actor.protocol,
        quoted(entry.actor.address) if entry.actor.address else "-",
        entry.reason or "-",
        entry.factor_id or "-",
        quoted(entry.subject) if entry.subject else "-",
        "-" if sequence is None else sequence,
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
