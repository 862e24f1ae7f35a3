"""The audit."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from scripts.admin.administration import AuditEvent, AuditFilter, AuditFinding
from scripts.admin.common import administers, list_forms
from scripts.admin.output import Column, Form, print_items, print_page, show_time
from scripts.admin.road import Wanted, administration_of
from store.audit import Event
from store.errors import RequestError

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
_EVENT_COLUMNS: Sequence[Column[AuditEvent]] = (
    Column("TIME", lambda event: show_time(event.at)),
    Column("ACCOUNT", lambda event: event.subject or event.account or "-"),
    Column("EVENT", lambda event: event.event),
    Column("REASON", lambda event: event.reason or "-"),
    Column("ACTOR", lambda event: event.actor),
    Column("DOOR", lambda event: event.protocol),
    Column("ADDRESS", lambda event: event.address or "-"),
    Column("FACTOR", lambda event: event.factor_id or "-"),
)
_FINDING_COLUMNS: Sequence[Column[AuditFinding]] = (
    Column("ACCOUNT", lambda finding: finding.account or "(the system's own chain)"),
    Column("EVENT", lambda finding: str(finding.sequence)),
    Column("PROBLEM", lambda finding: finding.problem),
)


@click.command("list-audit-events")
@click.option("--account", help="Only this account's.", metavar="USER")
@click.option(
    "--event",
    type=click.Choice([event.value for event in Event]),
    metavar="KIND",
    help="Only this kind, such as login_denied.",
)
@click.option("--address", help="Only from this address.")
@click.option("--since", type=_TIME, help="Not before (UTC).")
@click.option("--until", type=_TIME, help="Before (UTC).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--cursor", help="Go on where the page before ended.")
@list_forms
@administers
def list_events(
    account: str | None,
    event: str | None,
    address: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
    form: Form,
    wanted: Wanted,
) -> None:
    """List what happened, the newest first; over REST, who is no administrator sees their own.

    \b
    Examples:
      sftp-mfa-admin list-audit-events --account alice
      sftp-mfa-admin list-audit-events --event login_denied --since 2026-11-01 --json
    """
    with administration_of(wanted) as administration:
        if account is not None:
            account = administration.account(account)
        narrowed = AuditFilter(account, event, address, _utc(since), _utc(until))
        page = administration.audit_events(narrowed, limit, cursor)
    print_page(form, AuditEvent, page, _EVENT_COLUMNS, "--cursor")


@click.command("verify-audit-log")
@list_forms
@administers
def verify(form: Form, wanted: Wanted) -> None:
    """Prove that no audit event was changed, removed, added or reordered; exit code 1 if one was.

    On the host only: it is a proof against whoever runs the service, too.

    \b
    Example:
      sftp-mfa-admin verify-audit-log
    """
    with administration_of(wanted) as administration:
        findings = administration.verify_audit()
    if findings or form is not Form.TABLE:
        print_items(form, AuditFinding, findings, _FINDING_COLUMNS)
    if findings:
        message = f"the audit log is not as it was written: {len(findings)} findings"
        raise RequestError(message)
    if form is Form.TABLE:
        click.echo("The audit log is as it was written.")


@click.command("prune-audit-log")
@click.option("--days", type=click.IntRange(1, 36500), required=True, help="Keep that many.")
@administers
def prune(days: int, wanted: Wanted) -> None:
    """Delete old audit events; what is left goes on to verify.

    On the host only: nobody who stole a session or token can wipe its traces.

    \b
    Example:
      sftp-mfa-admin prune-audit-log --days 400
    """
    before = datetime.now(UTC) - timedelta(days=days)
    with administration_of(wanted) as administration:
        count = administration.prune_audit(before)
    click.echo(f"Deleted {count} events from before {show_time(before)}.")


def _utc(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None else None
