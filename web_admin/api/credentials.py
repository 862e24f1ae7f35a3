"""Who calls: told by the header Authorization, and by nothing that a browser sends by itself.

Cookies count for nothing here, so no other web site can make a browser call in somebody's name.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import assert_never

from store.accounts import canonical_name
from store.authentication import TokenUse
from store.clock import from_milliseconds
from store.decisions import (
    ChallengeKind,
    ChallengeRequired,
    Denied,
    Granted,
    Protocol,
    Reason,
)
from store.secret import Secret
from store.sessions import Session
from web_admin.api.call import Call, Caller, Via
from web_admin.api.problems import Code, Problem
from web_admin.password_check import Checked, Finding

CODE_HEADER = "X-MFA-Code"
_CODE_HINT = (
    f"Send the same request with a code of 6 digits, or a recovery code, in {CODE_HEADER}; "
    "or log in with POST /api/v1/auth/login; or use an access token with the scope api."
)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request carries to tell who calls."""

    authorization: str
    code: str


def identify(call: Call, given: Presented) -> Caller:
    """Tell who calls; a Problem for who is not let in, or is no account any more."""
    caller = _identify(call, given)
    if canonical_name(caller.account) != caller.account:
        raise Problem(Code.ACCOUNT_CLOSED)
    return caller


def _identify(call: Call, given: Presented) -> Caller:
    scheme, _, value = given.authorization.strip().partition(" ")
    match scheme.lower(), value.strip():
        case "bearer", value if value:
            return _bearer(call, Secret(value.encode("latin-1", "replace")))
        case "basic", value:
            name, password = _parse_basic(value)
            return _basic(call, name, password, given.code)
        case "", _:
            raise Problem(Code.CREDENTIALS_MISSING)
        case _:
            raise Problem(Code.CREDENTIALS_MISSING, "Only Bearer and Basic are understood.")


def find_session(call: Call, secret: Secret) -> Session | None:
    """Find a session that was begun here; those of browsers are none."""
    session = call.store.sessions.find(secret)
    return session if session is not None and session.protocol is Protocol.API else None


def check_password(call: Call, name: str, password: Secret) -> Checked:
    """Check a password; a Problem unless it is right."""
    checked = call.site.password_check.check(name, password, call.address, Protocol.API)
    match checked.finding:
        case Finding.RIGHT | Finding.RIGHT_BUT_EXPIRED:
            return checked
        case Finding.WRONG:
            raise Problem(Code.CREDENTIALS_REFUSED)
        case Finding.CLOSED:
            raise Problem(Code.ACCOUNT_CLOSED)
        case Finding.NOT_NOW:
            raise Problem(Code.TOO_MANY_REQUESTS, retry_after=checked.wait)
    assert_never(checked.finding)


def check_code(call: Call, account: str, code: Secret) -> None:
    """Take a code; a Problem if it is refused."""
    decision = call.store.authentication.check_code(call.attempt(account), code)
    match decision:
        case Granted():
            return
        case Denied(reason):
            raise _refusal(call, account, reason)
    assert_never(decision)


def _refusal(call: Call, account: str, reason: Reason) -> Problem:
    until = call.store.accounts.show(account).locked_until
    if until is not None:
        seconds = (until - from_milliseconds(call.store.units.clock())).total_seconds()
        return Problem(Code.CODES_LOCKED, retry_after=max(1, round(seconds)))
    match reason:
        case Reason.ACCOUNT_BARRED:
            return Problem(Code.ACCOUNT_BARRED)
        case Reason.NO_FACTOR:
            return Problem(Code.NO_FACTOR)
        case Reason.CODE_REPLAYED:
            return Problem(Code.CODE_REPLAYED, "Wait for the next code.")
        case Reason.CODE_MALFORMED:
            return Problem(Code.CODE_REFUSED, "A code has 6 digits; a recovery code 16 characters.")
        case _:
            return Problem(Code.CODE_REFUSED)


def _bearer(call: Call, secret: Secret) -> Caller:
    caller = _by_token(call, secret)
    if caller is not None:
        return caller
    session = find_session(call, secret)
    if session is None:
        raise Problem(Code.SESSION_INVALID, "Log in with POST /api/v1/auth/login.")
    return Caller(session.account, Via.SESSION, session=session)


def _basic(call: Call, name: str, password: Secret, code: str) -> Caller:
    caller = _by_token(call, password, canonical_name(name) or name)
    if caller is not None:
        return caller
    checked = check_password(call, name, password)
    account = checked.account
    decision = call.store.authentication.accept_password(call.attempt(account))
    match decision:
        case Granted():
            pass
        case ChallengeRequired(ChallengeKind.CODE):
            if not code:
                call.store.authentication.refuse_without_code(call.attempt(account))
                raise Problem(Code.MFA_REQUIRED, _CODE_HINT)
            check_code(call, account, Secret(code.encode("latin-1", "replace")))
        case ChallengeRequired(ChallengeKind.ENROLLMENT):
            call.store.authentication.refuse_without_mfa(call.attempt(account))
            raise Problem(Code.ENROLLMENT_REQUIRED, call.site.settings.enforcement.text())
        case Denied(Reason.ACCOUNT_BARRED):
            raise Problem(Code.ACCOUNT_BARRED)
        case _:
            raise Problem(Code.CREDENTIALS_REFUSED)
    if checked.finding is Finding.RIGHT_BUT_EXPIRED:
        raise Problem(Code.PASSWORD_EXPIRED, "Log in with POST /api/v1/auth/login and change it.")
    return Caller(account, Via.PASSWORD)


def _by_token(call: Call, secret: Secret, account: str | None = None) -> Caller | None:
    """Let a token in; None if it is none, a Problem if it opens nothing here."""
    authentication = call.store.authentication
    found = authentication.check_request(secret, Protocol.API, call.address, account)
    match found:
        case None:
            return None
        case TokenUse(owner, token):
            return Caller(owner, Via.TOKEN, token=token)
        case Denied(Reason.TOKEN_OUT_OF_SCOPE):
            raise Problem(Code.INSUFFICIENT_SCOPE, "The scope api is needed.")
        case Denied(Reason.ACCOUNT_BARRED):
            raise Problem(Code.ACCOUNT_BARRED)
        case Denied():
            raise Problem(Code.TOKEN_INVALID)
    assert_never(found)


def _parse_basic(value: str) -> tuple[str, Secret]:
    try:
        name, separator, password = base64.b64decode(value, validate=True).partition(b":")
        if not separator:
            raise Problem(Code.CREDENTIALS_MISSING, "Basic needs account:password in base64.")
        return name.decode("utf-8"), Secret(password)
    except (binascii.Error, ValueError) as error:
        message = "Basic needs account:password in base64, in UTF-8."
        raise Problem(Code.CREDENTIALS_MISSING, message) from error
