"""Confirmation: a code or the password, given anew before something important is changed."""

import re
from typing import assert_never

from store.decisions import Denied, Granted, Protocol
from store.errors import NotFoundError
from web_admin.pages.sign_in import locked_for, problem_of
from web_admin.password_check import Finding
from web_admin.routes import Answer, Need, Page, Redirect, Route, message
from web_admin.visit import Visit

_OWN_PAGE = re.compile(r"/(?![/\\])[A-Za-z0-9/_.%?=&@+~-]*")


def show(visit: Visit) -> Answer:
    """Ask for a code, or for the password where there is no authenticator."""
    return _page(visit)


def submit(visit: Visit) -> Answer:
    """Check it, and lead back to where it was needed."""
    if _asks_code(visit):
        return _check_code(visit)
    account = visit.me.account
    check = visit.site.password_check
    checked = check.check(account, visit.secret("password"), visit.address, Protocol.WEB)
    match checked.finding:
        case Finding.RIGHT | Finding.RIGHT_BUT_EXPIRED:
            return _confirmed(visit)
        case Finding.WRONG:
            return _page(visit, "password_wrong", status=403)
        case Finding.CLOSED:
            visit.end_session()
            return message("closed", 403)
        case Finding.NOT_NOW:
            return _page(visit, "not_now", wait=checked.wait, status=429)
    assert_never(checked.finding)


def _check_code(visit: Visit) -> Answer:
    account = visit.me.account
    attempt = visit.attempt(account)
    decision = visit.site.store.authentication.check_code(attempt, visit.secret("code"))
    match decision:
        case Granted():
            return _confirmed(visit)
        case Denied(reason):
            seconds = locked_for(visit, account)
            if seconds:
                visit.forget_session()
                return message("locked", 403, span=visit.words.span(seconds))
            return _page(visit, problem_of(reason), status=403)
    assert_never(decision)


def _confirmed(visit: Visit) -> Answer:
    try:
        visit.raise_session()
    except NotFoundError:
        visit.forget_session()
        return Redirect("/sign-in")
    return Redirect(_next(visit))


def _next(visit: Visit) -> str:
    wanted = visit.query("next")
    return wanted if _OWN_PAGE.fullmatch(wanted) else "/"


def _asks_code(visit: Visit) -> bool:
    return visit.site.store.authentication.factors_of(visit.me.account).totp


def _page(visit: Visit, problem: str | None = None, *, wait: int = 0, status: int = 200) -> Page:
    values = {
        "asks_code": _asks_code(visit),
        "next": _next(visit),
        "problem": problem,
        "wait": wait,
    }
    return Page("confirm", values, status, retry_after=wait)


ROUTES = (
    Route("GET", "/confirm", Need.FULL, show),
    Route("POST", "/confirm", Need.FULL, submit),
)
