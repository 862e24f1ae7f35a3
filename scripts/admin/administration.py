"""What an administrator can do, in the terms of the domain; commands know nothing else.

Two roads lead there: the store, as root on its host (`host.py`), and the REST API (`rest.py`).
Both give these same values. The names are those of the API, in camelCase when they are written
as JSON, so that an answer is read into them as it is. They are not the server's own, which bring
the store and refuse what a newer server adds to its words; a test compares the fields of both.

Errors: RequestError and its kinds for what is refused (AccessError for who is refused as such),
RoadError for a road that leads nowhere.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from store.errors import RequestError

T = TypeVar("T")

SCOPES = ("sftp", "api")
"""What a token can open; a test holds it against the store's own words."""


class RoadError(Exception):
    """The server cannot be reached, trusted or understood; the text says what to do."""


class AccessError(RequestError):
    """Who asks is not let in, or no more; nothing else will be done for them either."""


class Page(Struct, Generic[T], frozen=True, rename="camel"):
    """Some items, and where the next ones begin; None after the last."""

    items: list[T]
    next_cursor: str | None = None


class Account(Struct, frozen=True, rename="camel"):
    """What the store knows of an account."""

    name: str
    known_since: datetime | None
    """None: the store has never met it."""
    adopted_at: datetime | None
    """None: the account has not adopted MFA."""
    barred_at: datetime | None
    wrong_codes: int
    """In a row, since the last right one or the last lock."""
    locked_until: datetime | None
    """None: the code check is open."""


class AccountFilter(Struct, frozen=True):
    """Which accounts are wanted."""

    prefix: str = ""
    adopted: bool | None = None
    locked: bool = False
    barred: bool = False


class Adoption(Struct, frozen=True, rename="camel"):
    """How far MFA has come."""

    accounts: int
    """Accounts that the store has met."""
    adopted: int
    barred: int


class AccessToken(Struct, frozen=True, rename="camel"):
    """What may be shown of a token after its creation."""

    id: str
    name: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None


class NewToken(Struct, frozen=True, rename="camel"):
    """What a token is to be for."""

    name: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: datetime | None


class IssuedToken(AccessToken, frozen=True):
    """A new token, with its secret shown this once."""

    token: str


class Totp(Struct, frozen=True, rename="camel"):
    """What may be shown of an authenticator after its creation."""

    id: str
    name: str
    status: Literal["pending", "active"]
    created_at: datetime
    completed_at: datetime | None
    last_used_at: datetime | None


class Enrollment(Totp, frozen=True):
    """A pending authenticator, with its secret shown this once."""

    secret: str
    """Base32, as typed into an authenticator."""
    otpauth_uri: str


class Completion(Totp, frozen=True):
    """An authenticator that was completed."""

    recovery_codes: tuple[str, ...]
    """Made with the account's first one and shown this once; empty after that."""


class Session(Struct, frozen=True, rename="camel"):
    """Somebody who is signed in, on the web pages or through the API."""

    id: str
    protocol: str
    stage: str
    created_at: datetime
    seen_at: datetime
    confirmed: bool
    address: str | None
    agent: str
    current: bool
    """It is the one that asks."""


class AuditEvent(Struct, frozen=True, rename="camel"):
    """One event; the store's README tells what each one means."""

    id: int
    at: datetime
    account: str
    actor: str
    event: str
    reason: str | None
    protocol: str
    address: str | None
    factor_id: str | None
    subject: str | None


class AuditFilter(Struct, frozen=True):
    """Which events are wanted; what is None does not narrow."""

    account: str | None = None
    event: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditFinding(Struct, frozen=True, rename="camel"):
    """Something in the audit that is not as it was written."""

    account: str
    """Empty for the system's own chain."""
    sequence: int
    problem: str


class Administration(Protocol):
    """What both roads can do."""

    settles_in: float
    """Seconds after which a request that was broken off has been done, or never will be."""

    def account(self, typed: str) -> str:
        """Give an account's one name; NotFoundError if the host knows no such account."""

    def show(self, account: str) -> Account:
        """Show an account."""

    def accounts(self, wanted: AccountFilter, limit: int, after: str) -> Page[Account]:
        """List the accounts that the store has met, by name, those behind `after`."""

    def adoption(self) -> Adoption:
        """Count who has adopted MFA."""

    def unlock(self, account: str) -> None:
        """Open an account's code check, and forget its wrong answers."""

    def bar(self, account: str) -> None:
        """Keep an account out on every way in."""

    def unbar(self, account: str) -> None:
        """Let a barred account in again."""

    def forget(self, account: str) -> None:
        """Take authenticators, recovery codes, tokens and sessions from an account, for good."""

    def tokens(self, account: str) -> Sequence[AccessToken]:
        """List the tokens that are not revoked, the newest first."""

    def issue_token(self, account: str, wanted: NewToken) -> IssuedToken:
        """Make a token, and show it this once."""

    def revoke_token(self, account: str, token_id: str) -> None:
        """End a token for good."""

    def totp(self, account: str) -> Sequence[Totp]:
        """List the authenticators, the oldest first."""

    def begin_totp(self, account: str, name: str) -> Enrollment:
        """Begin an enrollment, which replaces a pending one."""

    def complete_totp(self, account: str, totp_id: str, code: str) -> Completion:
        """Complete an enrollment with its first code; EnrollmentError if it is wrong."""

    def delete_totp(self, account: str, totp_id: str) -> None:
        """Remove an authenticator."""

    def delete_all_totp(self, account: str) -> None:
        """Remove every authenticator: the account leaves MFA."""

    def recovery_codes_left(self, account: str) -> int:
        """Count the recovery codes that are not used yet."""

    def renew_recovery_codes(self, account: str) -> Sequence[str]:
        """Make ten new ones in place of all earlier ones."""

    def sessions(self, account: str) -> Sequence[Session]:
        """List the living sessions, the newest first."""

    def end_session(self, account: str, session_id: str) -> None:
        """End one session."""

    def end_sessions(self, account: str) -> None:
        """End every session but the one that asks."""

    def audit_events(self, wanted: AuditFilter, limit: int, cursor: str | None) -> Page[AuditEvent]:
        """List events, the newest first."""

    def verify_audit(self) -> Sequence[AuditFinding]:
        """Recompute the audit's chains, and give what does not fit."""

    def prune_audit(self, before: datetime) -> int:
        """Delete events from before a time, and tell how many."""

    def close(self) -> None:
        """Let go of what is held."""
