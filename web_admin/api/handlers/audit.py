"""The audit: one's own events, or for administrators all."""

from store.audit_log import Filter
from web_admin.api.call import Call
from web_admin.api.endpoint import Endpoint, Reply, Who
from web_admin.api.models import AuditEvent, AuditEvents
from web_admin.api.problems import Code
from web_admin.api.queries import AuditQuery


def list_all(call: Call, wanted: AuditQuery) -> Reply:
    """List events, the newest first."""
    account = wanted.account or None
    if account is not None or not call.is_administrator:
        account = call.account_of(account or call.caller.account)
    page = call.store.audit_log.page(
        Filter(
            account,
            wanted.event or None,
            wanted.address or None,
            wanted.since or None,
            wanted.until or None,
        ),
        wanted.limit,
        wanted.cursor or None,
    )
    events = [
        AuditEvent(
            event.id,
            event.at,
            event.account,
            event.event,
            event.actor,
            event.protocol,
            event.address,
            event.reason,
            event.factor_id,
            event.subject,
        )
        for event in page.events
    ]
    return Reply(AuditEvents(events, page.cursor))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/audit-events",
        list_all,
        "List what happened, the newest first",
        Who.SIGNED_IN,
        AuditEvents,
        query=AuditQuery,
        problems=(Code.FORBIDDEN, Code.NOT_FOUND, Code.REFUSED),
        description="Administrators see all accounts' events, everybody else their own.",
    ),
)
