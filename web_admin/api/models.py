"""What is sent and answered: the one source of validation, of openapi.json and of its examples.

Requests refuse fields that they do not know; a text that must not be empty says so. What only
the store can judge (a network, an end in the past) is a 422.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from store.access_tokens import Scope

Name = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 printable characters")]
Code = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=40,
        description="The 6 digits that the authenticator shows, or a recovery code",
        examples=["492039"],
    ),
]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
AccountName = Annotated[str, Meta(min_length=1, max_length=256)]
Moment = Annotated[datetime, Meta(tz=True)]
Network = Annotated[
    str, Meta(min_length=2, max_length=49, description="CIDR", examples=["192.0.2.0/24"])
]


class Request(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a client sends."""


class Answer(Struct, frozen=True, rename="camel"):
    """What we answer."""


class Login(Request, frozen=True):
    """Account and password."""

    account: AccountName
    password: Password


class CodeValidation(Request, frozen=True):
    """A code: with a challenge it completes a login; within a session it confirms that anew."""

    code: Code
    challenge: Annotated[str, Meta(max_length=100)] | None = None


class NewSession(Answer, frozen=True):
    """A session that was begun or confirmed; an earlier secret of it opens nothing any more."""

    account: str
    session_id: str
    session_token: str
    """Shown this once. Send it as `Authorization: Bearer …`."""
    password_expired: bool = False
    """The machine wants the password changed."""


class LoginAnswer(Answer, frozen=True):
    """What a right password is worth."""

    status: Literal["logged_in", "mfa_required", "enrollment_required"]
    """`mfa_required`: send the challenge with a code to `POST /auth/mfa/totp/validate-code`.
    `enrollment_required`: the session opens nothing but the enrollment of an authenticator."""
    session: NewSession | None = None
    challenge: str | None = None
    expires_in_seconds: int | None = None
    """How long the challenge is good."""
    code_prompt: str | None = None
    """How this server asks for the code, such as `Verification code: `; comes with a challenge."""


class PasswordChange(Request, frozen=True):
    """The password of now, and the one to be."""

    old_password: Password
    new_password: Password


class PasswordChanged(Answer, frozen=True):
    """The session goes on under a new secret; null without a session. All others have ended."""

    session: NewSession | None


class NewAccessToken(Request, frozen=True):
    """What a token is to be for."""

    name: Name
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=2)] = (Scope.SFTP,)
    """`sftp` logs in to SFTP; `api` calls this API as its owner."""
    networks: Annotated[tuple[Network, ...], Meta(max_length=20)] = ()
    """Only from there; empty: from everywhere."""
    expires_at: Moment | None = None
    """Without it, as the configuration says."""


class AccessToken(Answer, frozen=True):
    """What may be shown of a token after its creation."""

    id: str
    name: str
    scopes: list[Scope]
    networks: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_address: str | None


class IssuedAccessToken(AccessToken, frozen=True):
    """A new token with its secret."""

    token: str
    """Shown this once. Given in place of the password."""


class AccessTokens(Answer, frozen=True):
    """A page of tokens, the newest first."""

    items: list[AccessToken]
    next_cursor: str | None


class NewTotp(Request, frozen=True):
    """What to call an authenticator."""

    name: Name


class Totp(Answer, frozen=True):
    """What may be shown of an authenticator after its creation."""

    id: str
    name: str
    status: Literal["pending", "active"]
    created_at: datetime
    completed_at: datetime | None
    last_used_at: datetime | None


class QrCode(Answer, frozen=True):
    """The otpauth URI as pictures."""

    svg: str
    """A data URI."""
    png: str
    """A data URI."""


class StartedTotp(Totp, frozen=True):
    """A pending authenticator with its secret, shown this once."""

    secret: str
    """Base32, as typed into an authenticator."""
    otpauth_uri: str
    qr_code: QrCode


class Totps(Answer, frozen=True):
    """A page of authenticators, the oldest first."""

    items: list[Totp]
    next_cursor: str | None


class Completion(Request, frozen=True):
    """The first code of a new authenticator."""

    code: Annotated[str, Meta(min_length=6, max_length=40, examples=["492039"])]


class CompletedTotp(Totp, frozen=True):
    """An authenticator that was completed."""

    recovery_codes: list[str]
    """Made with the account's first authenticator and shown this once; empty after that."""
    session: NewSession | None
    """Who had to adopt MFA goes on with this session; else null."""


class RecoveryCodesMade(Answer, frozen=True):
    """New codes in place of all earlier ones, shown this once."""

    codes: list[str]


class RecoveryCodesLeft(Answer, frozen=True):
    """How many codes are not used yet."""

    left: int


class Account(Answer, frozen=True):
    """What the store knows of an account."""

    name: str
    known_since: datetime | None
    """null: the account has never been met here."""
    adopted_at: datetime | None
    """null: the account has not adopted MFA."""
    barred_at: datetime | None
    wrong_codes: int
    """In a row, since the last right one or the last lock."""
    locked_until: datetime | None
    """null: codes are looked at."""


class Accounts(Answer, frozen=True):
    """A page of accounts, by name."""

    items: list[Account]
    next_cursor: str | None


class Adoption(Answer, frozen=True):
    """How far MFA has come."""

    accounts: int
    """Accounts that were met here."""
    adopted: int
    barred: int


class Session(Answer, frozen=True):
    """Somebody who is signed in, on the pages or here."""

    id: str
    protocol: Literal["web", "api"]
    stage: Literal["code", "enrollment", "full"]
    created_at: datetime
    seen_at: datetime
    confirmed: bool
    """A code or password was given not longer ago than the configuration says."""
    address: str | None
    agent: str
    current: bool
    """It is the one that asks."""


class Sessions(Answer, frozen=True):
    """A page of sessions, the newest first."""

    items: list[Session]
    next_cursor: str | None


class AuditEvent(Answer, frozen=True):
    """One event; the store's README tells what each one means."""

    id: int
    at: datetime
    account: str
    event: str
    actor: str
    protocol: str
    address: str | None
    reason: str | None
    factor_id: str | None
    subject: str | None


class AuditEvents(Answer, frozen=True):
    """A page of events, the newest first."""

    items: list[AuditEvent]
    next_cursor: str | None


class Health(Answer, frozen=True):
    """The service can decide."""

    status: Literal["ok"]
