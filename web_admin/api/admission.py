"""Who may do what: each rule of the endpoints' rows in its one place."""

from dataclasses import replace
from typing import assert_never

from store.sessions import Stage
from web_admin.api.call import Call, Via
from web_admin.api.credentials import Presented, identify
from web_admin.api.endpoint import Endpoint, Proof, Who
from web_admin.api.problems import Code, Problem

_CONFIRM = (
    "Send a code to POST /api/v1/auth/mfa/totp/validate-code within the session, or log in anew."
)
_PERSON = (
    "Authenticators, recovery codes and the password of one's own account are changed in a "
    "session, or with password and code."
)


def visitor_of(call: Call, endpoint: Endpoint, given: Presented) -> Call:
    """Give the call with who makes it, where the endpoint asks for somebody."""
    match endpoint.who:
        case Who.ANYBODY:
            return call
        case Who.METRICS if call.site.settings.web.public_metrics:
            return call
        case Who.CHALLENGED if not given.authorization:
            return call
    return replace(call, visitor=identify(call, given))


def admit(call: Call, endpoint: Endpoint) -> None:
    """Let the call in, or raise a Problem."""
    if call.visitor is None:
        return
    _check_stage(call, endpoint)
    match endpoint.who:
        case Who.ANYBODY | Who.SIGNED_IN | Who.OWNER:
            pass
        case Who.CHALLENGED | Who.SESSION:
            if call.caller.via is not Via.SESSION:
                raise Problem(Code.SESSION_REQUIRED)
        case Who.ADMINISTRATOR | Who.METRICS:
            if not call.is_administrator:
                raise Problem(Code.FORBIDDEN, "Only administrators may do this.")
        case _:
            assert_never(endpoint.who)


def _check_stage(call: Call, endpoint: Endpoint) -> None:
    session = call.caller.session
    if session is None or session.stage is Stage.FULL:
        return
    if endpoint.who in {Who.SESSION, Who.CHALLENGED}:
        return
    if session.stage is Stage.CODE:
        raise Problem(
            Code.MFA_REQUIRED, "Send the code to POST /api/v1/auth/mfa/totp/validate-code."
        )
    if not endpoint.before_enrollment:
        raise Problem(Code.ENROLLMENT_REQUIRED, call.site.settings.enforcement.text())


def check_proof(call: Call, proof: Proof, account: str | None) -> None:
    """Ask for what the row asks for; the account is the one that the address names."""
    if proof is Proof.NONE or call.visitor is None:
        return
    session = call.caller.session
    if session is not None and session.stage is Stage.FULL and not session.confirmed:
        raise Problem(Code.CONFIRMATION_REQUIRED, _CONFIRM)
    is_own = account in {None, call.caller.account}
    if proof is Proof.PERSON and call.caller.via is Via.TOKEN and is_own:
        raise Problem(Code.PERSON_REQUIRED, _PERSON)
