"""The audit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from scripts.admin.common import actor, print_table, show_time, store_of
from scripts.command_line import (
    EXIT_REFUSED,
    config_option,
    guarded,
    json_option,
    print_json,
)
from store.audit import Event
from store.audit_log import AuditEvent, Filter

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.command("list-audit-events")
@click.option("--account", help="Only this account's.")
@click.option(
    "--event", type=click.Choice([event.value for event in Event]), help="Only this kind."
)
@click.option("--address", help="Only from this address.")
@click.option("--since", type=_TIME, help="Not before (UTC).")
@click.option("--until", type=_TIME, help="Before (UTC).")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--cursor", help="Go on where the page before ended.")
@config_option
@json_option
@guarded
def list_events(
    account: str | None,
    event: str | None,
    address: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
    config: Path,
    *,
    as_json: bool,
) -> None:
    """List what happened, the newest first.

    \b
    Examples:
      sftp-mfa-admin list-audit-events --account alice
      sftp-mfa-admin list-audit-events --event login_denied --since 2026-11-01 --json
    """
    wanted = Filter(account, event, address, _utc(since), _utc(until))
    with store_of(config) as store:
        page = store.audit_log.page(wanted, limit, cursor)
    if as_json:
        print_json({"events": [_event(event) for event in page.events], "cursor": page.cursor})
        return
    print_table(
        ("TIME", "ACCOUNT", "EVENT", "REASON", "ACTOR", "DOOR", "ADDRESS", "FACTOR"),
        [_row(event) for event in page.events],
    )
    if page.cursor is not None:
        click.echo(f"more: --cursor {page.cursor}", err=True)


@click.command("verify-audit-log")
@config_option
@json_option
@guarded
def verify(config: Path, *, as_json: bool) -> None:
    """Prove that no audit event was changed, removed, added or reordered; exit code 1 if one was.

    \b
    Example:
      sftp-mfa-admin verify-audit-log
    """
    with store_of(config) as store:
        findings = list(store.audit_log.verify())
    if as_json:
        print_json(findings)
    for finding in [] if as_json else findings:
        where = f"account {finding.account}" if finding.account else "the system's own chain"
        click.echo(f"{where}, event {finding.sequence}: {finding.problem}")
    if findings:
        raise SystemExit(EXIT_REFUSED)
    if not as_json:
        click.echo("The audit log is as it was written.")


@click.command("prune-audit-log")
@click.option("--days", type=click.IntRange(1, 36500), required=True, help="Keep that many.")
@config_option
@guarded
def prune(days: int, config: Path) -> None:
    """Delete old audit events; what is left goes on to verify.

    \b
    Example:
      sftp-mfa-admin prune-audit-log --days 400
    """
    before = datetime.now(UTC) - timedelta(days=days)
    with store_of(config) as store:
        count = store.audit_log.prune(before, actor())
    click.echo(f"Deleted {count} events from before {show_time(before)}.")


def _utc(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None else None


def _row(event: AuditEvent) -> tuple[str, ...]:
    return (
        show_time(event.at),
        event.subject or event.account or "-",
        event.event,
        event.reason or "-",
        event.actor,
        event.protocol,
        event.address or "-",
        event.factor_id or "-",
    )


def _event(event: AuditEvent) -> dict[str, object]:
    return {
        "id": event.id,
        "at": event.at,
        "account": event.account or None,
        "event": event.event,
        "actor": event.actor,
        "protocol": event.protocol,
        "address": event.address,
        "reason": event.reason,
        "factorId": event.factor_id,
        "subject": event.subject,
    }
