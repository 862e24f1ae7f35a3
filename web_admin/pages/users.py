"""Administration of accounts: find one, see its factors, take them away, unlock, bar."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from store.accounts import canonical_name
from store.audit_log import Filter
from store.errors import NotFoundError
from web_admin.routes import Answer, Need, Page, Redirect, Route
from web_admin.visit import Visit

_LENGTH = 25
_EVENTS = 10
FILTERS = ("all", "adopted", "not_adopted", "locked", "barred")


def show(visit: Visit) -> Answer:
    """List accounts by name; an exact name is found even if the store has never met it."""
    prefix, state = visit.query("name").strip(), visit.query("state")
    state = state if state in FILTERS else "all"
    accounts = visit.site.store.accounts.list(
        prefix=prefix,
        after=visit.query("after"),
        limit=_LENGTH + 1,
        adopted={"adopted": True, "not_adopted": False}.get(state),
        locked=state == "locked",
        barred=state == "barred",
    )
    is_known = any(account.name == prefix for account in accounts)
    values = {
        "accounts": accounts[:_LENGTH],
        "after": accounts[_LENGTH - 1].name if len(accounts) > _LENGTH else None,
        "prefix": prefix,
        "state": state,
        "states": FILTERS,
        "unmet": canonical_name(prefix) if prefix and not is_known else None,
    }
    return Page("users", values)


def show_one(visit: Visit, name: str) -> Answer:
    """Show one account."""
    store = visit.site.store
    state = store.accounts.show(name)
    if state.known_since is None and canonical_name(name) != name:
        raise NotFoundError(name)
    values = {
        "state": state,
        "factors": [one for one in store.totp_factors.list(name) if one.completed_at],
        "codes_left": store.recovery_codes.left(name),
        "tokens": store.access_tokens.list(name),
        "sessions": store.sessions.list(name),
        "events": store.audit_log.page(Filter(account=name), _EVENTS).events,
        "now": datetime.now(UTC),
    }
    return Page("user", values)


def ask(visit: Visit, name: str, action: str) -> Answer:
    """Ask whether something is really to be done."""
    return Page("user_action", {"name": name, "action": _known(action), "id": visit.query("id")})


def act(visit: Visit, name: str, action: str) -> Answer:
    """Do it."""
    _ACTIONS[_known(action)](visit, name, visit.text("id"))
    if name == visit.me.account and action == "bar":
        visit.forget_session()
        return Redirect("/sign-in")
    return Redirect(f"/admin/users/{quote(name, safe='')}?done=user_{action.replace('-', '_')}")


def _known(action: str) -> str:
    if action not in _ACTIONS:
        raise NotFoundError(action)
    return action


_ACTIONS: dict[str, Callable[[Visit, str, str], object]] = {
    "unlock": lambda visit, name, _: visit.site.store.accounts.unlock(name, visit.actor),
    "bar": lambda visit, name, _: visit.site.store.accounts.bar(name, visit.actor),
    "unbar": lambda visit, name, _: visit.site.store.accounts.unbar(name, visit.actor),
    "remove-totp": lambda visit, name, which: visit.site.store.totp_factors.delete(
        name, which, visit.actor
    ),
    "revoke-token": lambda visit, name, which: visit.site.store.access_tokens.revoke(
        name, which, visit.actor
    ),
    "revoke-tokens": lambda visit, name, _: visit.site.store.access_tokens.revoke_all(
        name, visit.actor
    ),
    "end-sessions": lambda visit, name, _: visit.site.store.sessions.end_others(name, visit.actor),
}

ROUTES = (
    Route("GET", "/admin/users", Need.ADMIN, show),
    Route("GET", "/admin/users/<name>", Need.ADMIN, show_one),
    Route("GET", "/admin/users/<name>/<action>", Need.ADMIN_CONFIRMED, ask),
    Route("POST", "/admin/users/<name>/<action>", Need.ADMIN_CONFIRMED, act),
)
