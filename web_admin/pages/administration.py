"""Administration: how far MFA has come, and the audit of all accounts."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from store.audit import Event
from store.audit_log import AuditEvent, Filter
from store.errors import RequestError
from web_admin.routes import Answer, Download, Need, Page, Route
from web_admin.visit import Visit

_LENGTH = 25
_FEW = 8
_DOWNLOAD_LENGTH = 1000
_COLUMNS = (
    "at",
    "account",
    "event",
    "reason",
    "actor",
    "protocol",
    "address",
    "factor_id",
    "subject",
)


def show(visit: Visit) -> Answer:
    """Show who has adopted MFA, who is locked, and what was refused last."""
    store = visit.site.store
    values = {
        "adoption": store.accounts.adoption(),
        "locked": store.accounts.list(locked=True, limit=_FEW),
        "denied": store.audit_log.page(Filter(event=Event.LOGIN_DENIED), _FEW).events,
    }
    return Page("admin", values)


def show_audit(visit: Visit) -> Answer:
    """List events by what is asked for."""
    fields = {name: visit.query(name).strip() for name in ("account", "event", "address")}
    days = {name: visit.query(name).strip() for name in ("since", "until")}
    problem = None
    try:
        wanted = _filter(fields, days)
        page = visit.site.store.audit_log.page(wanted, _LENGTH, visit.query("after") or None)
    except (ValueError, RequestError):
        problem = "filter"
        page = visit.site.store.audit_log.page(Filter(), _LENGTH)
    values = {
        "events": page.events,
        "cursor": page.cursor,
        "given": fields | days,
        "kinds": list(Event),
        "problem": problem,
    }
    return Page("audit", values, 400 if problem else 200)


def download(visit: Visit) -> Answer:
    """Give the events asked for as a table."""
    fields = {name: visit.query(name).strip() for name in ("account", "event", "address")}
    days = {name: visit.query(name).strip() for name in ("since", "until")}
    try:
        wanted = _filter(fields, days)
    except ValueError:
        return show_audit(visit)
    return Download("audit.csv", "text/csv; charset=UTF-8", _rows(visit, wanted))


def _filter(fields: dict[str, str], days: dict[str, str]) -> Filter:
    account, event, address = (fields[name] or None for name in ("account", "event", "address"))
    wanted = Filter(account=account, event=event, address=address)
    if days["since"]:
        wanted = replace(wanted, since=_day(days["since"]))
    if days["until"]:
        wanted = replace(wanted, until=_day(days["until"]) + timedelta(days=1))
    return wanted


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _rows(visit: Visit, wanted: Filter) -> Iterator[str]:
    yield _line(_COLUMNS)
    cursor = None
    while True:
        page = visit.site.store.audit_log.page(wanted, _DOWNLOAD_LENGTH, cursor)
        for event in page.events:
            yield _line(tuple(_cell(event, column) for column in _COLUMNS))
        cursor = page.cursor
        if cursor is None:
            return


def _cell(event: AuditEvent, column: str) -> str:
    """Give a field; a spreadsheet must not take what others chose for a formula."""
    value = getattr(event, column)
    text = value.isoformat() if isinstance(value, datetime) else str(value or "")
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


ROUTES = (
    Route("GET", "/admin", Need.ADMIN, show),
    Route("GET", "/admin/audit", Need.ADMIN, show_audit),
    Route("GET", "/admin/audit.csv", Need.ADMIN, download),
)
