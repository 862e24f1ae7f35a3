"""The password: changed by the machine's own rules, whose words are shown."""

from typing import assert_never

from store.decisions import Protocol
from web_admin.broker_wire import Verdict
from web_admin.pages.sign_in import EXPIRED
from web_admin.routes import Answer, Need, Page, Redirect, Route
from web_admin.visit import Visit


def show(visit: Visit) -> Answer:
    """Ask for the old password and a new one."""
    return _page(visit)


def submit(visit: Visit) -> Answer:
    """Change it; other sessions end."""
    new = visit.secret("new_password")
    if not new.value or new != visit.secret("new_password_again"):
        return _page(visit, "differ", status=400)
    account, store = visit.me.account, visit.site.store
    wait = store.password_throttle.enter(account, visit.address, Protocol.WEB)
    if wait:
        return _page(visit, "not_now", wait=wait, status=429)
    old = visit.secret("password")
    answer = visit.site.passwords.change(account, visit.address, old, new)
    match answer.verdict:
        case Verdict.CHANGED:
            store.password_throttle.succeed(account, visit.address)
            store.accounts.note_password_changed(account, visit.actor)
            visit.raise_session()
            return Redirect("/?done=password_changed")
        case Verdict.REFUSED:
            store.password_throttle.succeed(account, visit.address)
            return _page(visit, "refused", rules=answer.text, status=400)
        case Verdict.BUSY:
            return _page(visit, "not_now", wait=60, status=429)
        case Verdict.WRONG | Verdict.CLOSED | Verdict.UNAVAILABLE:
            store.authentication.refuse_password(visit.attempt(account))
            return _page(visit, "wrong", status=403)
        case Verdict.RIGHT | Verdict.EXPIRED:
            raise AssertionError
    assert_never(answer.verdict)


def _page(
    visit: Visit,
    problem: str | None = None,
    *,
    wait: int = 0,
    rules: str = "",
    status: int = 200,
) -> Page:
    expired = bool(visit.query(EXPIRED))
    values = {"problem": problem, "wait": wait, "rules": rules, "expired": expired}
    return Page("password", values, status, retry_after=wait)


ROUTES = (
    Route("GET", "/password", Need.CONFIRMED, show),
    Route("POST", "/password", Need.CONFIRMED, submit),
)
