"""The first page after signing in: what protects the account, at a glance."""

from store.audit_log import Filter
from web_admin.routes import Answer, Need, Page, Route
from web_admin.visit import Visit

_RECENT = 5


def show(visit: Visit) -> Answer:
    """Show the account's factors and what happened last."""
    store, account = visit.site.store, visit.me.account
    factors = [factor for factor in store.totp_factors.list(account) if factor.completed_at]
    values = {
        "factors": factors,
        "codes_left": store.recovery_codes.left(account) if factors else 0,
        "tokens": store.access_tokens.list(account),
        "events": store.audit_log.page(Filter(account=account), _RECENT).events,
    }
    return Page("profile", values)


ROUTES = (Route("GET", "/", Need.FULL, show),)
