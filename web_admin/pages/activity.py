"""What happened on one's own account, from the audit."""

from store.audit_log import Filter
from web_admin.routes import Answer, Need, Page, Route
from web_admin.visit import Visit

_LENGTH = 25


def show(visit: Visit) -> Answer:
    """List the account's events, the newest first."""
    wanted = Filter(account=visit.me.account)
    page = visit.site.store.audit_log.page(wanted, _LENGTH, visit.query("after") or None)
    return Page("activity", {"events": page.events, "cursor": page.cursor})


ROUTES = (Route("GET", "/activity", Need.FULL, show),)
