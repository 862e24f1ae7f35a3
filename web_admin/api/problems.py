"""What is answered when something is refused: RFC 9457 problems, each with a stable code."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

MEDIA_TYPE = "application/problem+json"


class Code(Enum):
    """Every problem: its code, the status, and its title."""

    JSON_INVALID = ("json_invalid", 400, "The body is not JSON")
    REQUEST_INVALID = ("request_invalid", 400, "The request does not fit the documentation")
    CREDENTIALS_MISSING = ("credentials_missing", 401, "Nobody is logged in")
    CREDENTIALS_REFUSED = ("credentials_refused", 401, "Account or password is wrong")
    SESSION_INVALID = ("session_invalid", 401, "There is no such session, or it is over")
    TOKEN_INVALID = ("token_invalid", 401, "The access token opens nothing")
    MFA_REQUIRED = ("mfa_required", 401, "The password is not enough: a code is needed")
    CODE_REFUSED = ("code_refused", 401, "The code is wrong")
    CODE_REPLAYED = ("code_replayed", 401, "The code was used before")
    INSUFFICIENT_SCOPE = ("insufficient_scope", 403, "The access token is for something else")
    CONFIRMATION_REQUIRED = ("confirmation_required", 403, "A fresh confirmation is needed")
    PERSON_REQUIRED = ("person_required", 403, "An access token cannot do this")
    SESSION_REQUIRED = ("session_required", 403, "Only a session can do this")
    ENROLLMENT_REQUIRED = ("enrollment_required", 403, "The account must adopt MFA first")
    PASSWORD_EXPIRED = ("password_expired", 403, "The password has expired")
    ACCOUNT_BARRED = ("account_barred", 403, "The account is barred")
    ACCOUNT_CLOSED = ("account_closed", 403, "The machine refuses the account")
    FORBIDDEN = ("forbidden", 403, "This is not yours")
    TOO_BROAD = ("too_broad", 403, "A token makes no token that opens more than itself")
    CROSS_SITE = ("cross_site", 403, "Another web site sent this")
    INSECURE = ("insecure", 403, "The connection is not encrypted")
    NOT_FOUND = ("not_found", 404, "There is nothing here")
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405, "This address has no such method")
    TIMEOUT = ("timeout", 408, "The request took too long to arrive")
    LIMIT_REACHED = ("limit_reached", 409, "There are as many as are allowed")
    ENROLLMENT_REFUSED = ("enrollment_refused", 409, "The enrollment cannot be completed")
    NO_FACTOR = ("no_factor", 409, "The account has not adopted MFA")
    BODY_TOO_LARGE = ("body_too_large", 413, "The body is larger than 64 KB")
    MEDIA_TYPE_UNSUPPORTED = ("media_type_unsupported", 415, "The body must be application/json")
    OLD_PASSWORD_WRONG = ("old_password_wrong", 422, "The old password is wrong")
    REFUSED = ("refused", 422, "This cannot be done")
    PASSWORD_REFUSED = ("password_refused", 422, "The machine's rules refuse the new password")
    TOO_MANY_REQUESTS = ("too_many_requests", 429, "Too many wrong passwords, or too much at once")
    CODES_LOCKED = ("codes_locked", 429, "Wrong codes have locked the code check")
    FAULT = ("fault", 500, "A fault of the program")
    UNAVAILABLE = ("unavailable", 503, "The service cannot decide now and so refuses")

    def __init__(self, word: str, status: int, title: str) -> None:
        """Name the parts."""
        self.word = word
        self.status = status
        self.title = title


class FieldProblem(Struct, frozen=True, rename="camel"):
    """What is wrong with one field."""

    field: str
    """Where it is, such as `networks[0]`."""
    detail: str


class ProblemDetails(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable: programs may rely on it."""
    detail: str | UnsetType = UNSET
    errors: list[FieldProblem] | UnsetType = UNSET
    """The fields at fault."""


@dataclass(slots=True)
class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """Ends a request with a problem; its texts are safe to show to who asked."""

    code: Code
    detail: str = ""
    errors: tuple[FieldProblem, ...] = ()
    retry_after: int = 0

    def body(self) -> bytes:
        """Write it."""
        return msgspec.json.encode(
            ProblemDetails(
                type=f"urn:sftp-mfa:problem:{self.code.word}",
                title=self.code.title,
                status=self.code.status,
                code=self.code.word,
                detail=self.detail or UNSET,
                errors=list(self.errors) or UNSET,
            )
        )


def at_field(text: str) -> tuple[FieldProblem, ...]:
    """Turn msgspec's "… - at `$.networks[0]`" into the field at fault."""
    problem, separator, where = text.rpartition(" - at `$")
    if not separator:
        problem, where = text, ""
    return (FieldProblem(where.strip("`.") or _named(problem), problem),)


def _named(problem: str) -> str:
    """Give the field that msgspec names within the text itself, if it does."""
    parts: list[Any] = problem.split("`")
    return str(parts[1]) if len(parts) > 1 and "field" in problem else ""
