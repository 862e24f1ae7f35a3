"""Signing in: password, then the code on a page of its own; and signing out."""

from datetime import UTC, datetime
from typing import assert_never

from store.decisions import ChallengeKind, ChallengeRequired, Denied, Granted, Protocol, Reason
from store.errors import NotFoundError, OvertakenError
from store.sessions import Stage
from web_admin.password_check import Checked, Finding
from web_admin.routes import Answer, Need, Page, Redirect, Route, message
from web_admin.visit import Visit

EXPIRED = "expired"
"""In an address: the password was right and has to be changed."""


def show(visit: Visit) -> Answer:
    """Ask for account and password."""
    if visit.session is not None:
        return Redirect("/")
    return Page("sign_in", {"account": "", "problem": None})


def submit(visit: Visit) -> Answer:
    """Check the password; a wrong one and an unknown account give one and the same answer."""
    account = visit.text("account").strip()
    check = visit.site.password_check
    checked = check.check(account, visit.secret("password"), visit.address, Protocol.WEB)
    match checked.finding:
        case Finding.RIGHT | Finding.RIGHT_BUT_EXPIRED:
            try:
                return _enter(visit, checked)
            except OvertakenError:
                return Page("sign_in", {"account": account, "problem": "wrong"}, 403)
        case Finding.WRONG:
            return Page("sign_in", {"account": account, "problem": "wrong"}, 403)
        case Finding.CLOSED:
            return message("closed", 403)
        case Finding.NOT_NOW:
            values = {"account": account, "problem": "not_now", "wait": checked.wait}
            return Page("sign_in", values, 429, retry_after=checked.wait)
    assert_never(checked.finding)


def _enter(visit: Visit, checked: Checked) -> Answer:
    """Say what the right password is worth."""
    account, expired = checked.account, checked.finding is Finding.RIGHT_BUT_EXPIRED
    decision = visit.site.store.authentication.accept_password(visit.attempt(account))
    query = f"?{EXPIRED}=1" if expired else ""
    match decision:
        case Granted():
            visit.begin_session(account, Stage.FULL, checked.generation)
            return Redirect(f"/password{query}" if expired else "/")
        case ChallengeRequired(kind):
            return _challenge(visit, checked, kind, query)
        case Denied(Reason.ACCOUNT_BARRED):
            return message("barred", 403)
        case Denied():
            return Page("sign_in", {"account": account, "problem": "wrong"}, 403)
    assert_never(decision)


def _challenge(visit: Visit, checked: Checked, kind: ChallengeKind, query: str) -> Answer:
    match kind:
        case ChallengeKind.CODE:
            visit.begin_session(checked.account, Stage.CODE, checked.generation)
            return Redirect(f"/sign-in/code{query}")
        case ChallengeKind.ENROLLMENT:
            visit.begin_session(checked.account, Stage.ENROLLMENT, checked.generation)
            return Redirect("/mfa")
    assert_never(kind)


def show_code(visit: Visit) -> Answer:
    """Ask for the code, or say how long codes are locked."""
    seconds = locked_for(visit, visit.me.account)
    if seconds:
        return _locked(visit, seconds)
    return Page("code", {"problem": None, "with_recovery": bool(visit.query("recovery"))})


def submit_code(visit: Visit) -> Answer:
    """Check the code; a right one opens a session under a new secret."""
    account = visit.me.account
    attempt = visit.attempt(account)
    decision = visit.site.store.authentication.check_code(attempt, visit.secret("code"))
    match decision:
        case Granted():
            return _rise(visit)
        case Denied(Reason.ACCOUNT_BARRED):
            visit.forget_session()
            return message("barred", 403)
        case Denied(reason):
            seconds = locked_for(visit, account)
            if seconds:
                return _locked(visit, seconds)
            problem = problem_of(reason)
            values = {"problem": problem, "with_recovery": bool(visit.query("recovery"))}
            return Page("code", values, 403)
    assert_never(decision)


def _rise(visit: Visit) -> Answer:
    try:
        visit.raise_session()
    except NotFoundError:  # it was ended from elsewhere in this very moment
        visit.forget_session()
        return Redirect("/sign-in")
    return Redirect(f"/password?{EXPIRED}=1" if visit.query(EXPIRED) else "/")


def problem_of(reason: Reason) -> str:
    """Name what to say of a code that was refused."""
    match reason:
        case Reason.CODE_REPLAYED:
            return "replayed"
        case Reason.CODE_MALFORMED:
            return "malformed"
        case _:
            return "wrong"


def locked_for(visit: Visit, account: str) -> float:
    """Give the seconds until codes are looked at again; 0 if they are."""
    until = visit.site.store.accounts.show(account).locked_until
    return (until - datetime.now(UTC)).total_seconds() if until is not None else 0


def _locked(visit: Visit, seconds: float) -> Page:
    visit.forget_session()
    return message("locked", 403, span=visit.words.span(seconds))


def sign_out(visit: Visit) -> Answer:
    """End the session of this browser."""
    visit.end_session()
    return Redirect("/sign-in?done=signed_out")


ROUTES = (
    Route("GET", "/sign-in", Need.NOTHING, show),
    Route("POST", "/sign-in", Need.NOTHING, submit),
    Route("GET", "/sign-in/code", Need.CODE, show_code),
    Route("POST", "/sign-in/code", Need.CODE, submit_code),
    Route("POST", "/sign-out", Need.SESSION, sign_out),
)
