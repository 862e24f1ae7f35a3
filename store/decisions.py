"""What is decided about an attempt to get in: values, never exceptions."""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """The door that an attempt comes through."""

    SSH = "ssh"
    WEB = "web"
    API = "api"
    HOST = "host"
    """A command run by root on the host, straight on the store."""


class Reason(StrEnum):
    """Why an attempt was granted or denied; for the audit, never for the person who tries."""

    CODE_ACCEPTED = "code_accepted"
    TOKEN_ACCEPTED = "token_accepted"
    MFA_NOT_ADOPTED = "mfa_not_adopted"
    ACCOUNT_OPEN = "account_open"
    RECOVERY_CODE_ACCEPTED = "recovery_code_accepted"
    GRACE = "grace"
    """A code was accepted from the same address a moment ago."""

    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_BARRED = "account_barred"
    CODES_LOCKED = "codes_locked"
    CODE_WRONG = "code_wrong"
    CODE_WRONG_AGAIN = "code_wrong_again"
    """The same wrong code within one time step: refused, not counted a second time."""
    CODE_REPLAYED = "code_replayed"
    CODE_MALFORMED = "code_malformed"
    """Not a code at all, so no guess either: refused, not counted."""
    CODE_MISSING = "code_missing"
    """The password came where the code belongs: the client knows one prompt only."""
    NO_FACTOR = "no_factor"
    MFA_REQUIRED = "mfa_required"
    """The account must adopt MFA and has not."""
    PASSWORD_REFUSED = "password_refused"
    TOKEN_UNKNOWN = "token_unknown"
    TOKEN_REVOKED = "token_revoked"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_OUT_OF_SCOPE = "token_out_of_scope"
    TOKEN_FROM_OTHER_NETWORK = "token_from_other_network"


class ChallengeKind(StrEnum):
    """What is still to be shown after a right password."""

    CODE = "code"
    """A code of an authenticator, or a recovery code."""
    ENROLLMENT = "enrollment"
    """The account must adopt MFA first; only the web can lead there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody wants in: on which account, through which door, from where."""

    account: str
    """The canonical name that NSS gives, never the one that was typed."""
    protocol: Protocol
    address: str | None = None
    """The peer's IP address, where there is one."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The attempt is let in."""

    reason: Reason
    factor_id: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The attempt is refused."""

    reason: Reason
    factor_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChallengeRequired:
    """The password was right and is not enough."""

    kind: ChallengeKind


Decision = Granted | Denied
