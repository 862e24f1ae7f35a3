"""Reads the audit: pages of events, the proof that none was touched, and pruning."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from store import row_check
from store.audit import Actor, Entry, Event, pruned_head
from store.audit_chain import HEAD, Chain, Finding, events_of, findings_in
from store.clock import from_milliseconds, to_milliseconds
from store.errors import RequestError, TamperedError
from store.names import can_be_stored
from store.schema import SYSTEM_ACCOUNT, accounts, audit_events
from store.statements import Row, Statement, fetch
from store.unit_of_work import AUDIT_KEY, UnitsOfWork

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event as auditors see it."""

    id: int
    at: datetime
    account: str
    """Empty for what concerns no account."""
    event: str
    actor: str
    protocol: str
    address: str | None
    reason: str | None
    factor_id: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; what is None does not narrow."""

    account: str | None = None
    event: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and where the next ones begin; None after the last."""

    events: list[AuditEvent]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events of one kind there were."""

    event: str
    protocol: str
    reason: str | None
    count: int


_BATCH = 500
_SHOWN = tuple(column for column in audit_events.c if column.key not in {"sequence", "digest"})
_CHAINS = Statement(
    select(accounts.c.id, accounts.c.name)
    .where(accounts.c.id > bindparam("after"))
    .order_by(accounts.c.id)
    .limit(_BATCH)
)
_SET_BASE = Statement(update(accounts).where(accounts.c.id == bindparam("account")))
_DELETE_OLD = Statement(
    delete(audit_events).where(
        audit_events.c.account_id == bindparam("account"),
        audit_events.c.sequence <= bindparam("last"),
    )
)
_CURSOR = re.compile(r"(?P<at>[0-9]{1,18})-(?P<id>[0-9]{1,18})")


class AuditLog:
    """The audit's readers; writing is each service's own transaction."""

    def __init__(self, units: UnitsOfWork) -> None:
        """Read that store."""
        self._units = units

    def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """List events, the newest first; RequestError for a cursor that this never gave."""
        limit = max(1, min(limit, MAX_PAGE))
        query = (
            select(*_SHOWN, accounts.c.name.label("account"))
            .join(accounts, accounts.c.id == audit_events.c.account_id)
            .order_by(audit_events.c.at.desc(), audit_events.c.id.desc())
            .limit(limit + 1)
        )
        if not all(map(can_be_stored, (wanted.account, wanted.event, wanted.address))):
            return Page([], None)
        columns = {"event": wanted.event, "address": wanted.address}
        for name, value in columns.items():
            if value is not None:
                query = query.where(audit_events.c[name] == value)
        if wanted.since is not None:
            query = query.where(audit_events.c.at >= to_milliseconds(wanted.since))
        if wanted.until is not None:
            query = query.where(audit_events.c.at < to_milliseconds(wanted.until))
        if cursor is not None:
            place = tuple_(audit_events.c.at, audit_events.c.id)
            query = query.where(place < tuple_(*_parse_cursor(cursor)))
        with self._units.database.read() as connection:
            if wanted.account is not None:
                owner = _ID_OF.one(connection, {"name": wanted.account})
                query = query.where(audit_events.c.account_id == (owner and owner.id))
            rows = fetch(connection, query)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [_shown(row) for row in rows[:limit]],
            f"{last.at}-{last.id}" if last is not None else None,
        )

    def tally(self, since: datetime, until: datetime) -> list[Tally]:
        """Count the events from one time on and before another, by kind."""
        kind = (audit_events.c.event, audit_events.c.protocol, audit_events.c.reason)
        query = (
            select(*kind, func.count().label("count"))
            .where(
                audit_events.c.at >= to_milliseconds(since),
                audit_events.c.at < to_milliseconds(until),
            )
            .group_by(*kind)
        )
        with self._units.database.read() as connection:
            rows = fetch(connection, query)
        return [Tally(row.event, row.protocol, row.reason, row[3]) for row in rows]

    def verify(self) -> Iterator[Finding]:
        """Recompute every chain and give what does not fit; nothing when all is as written.

        A chain's end is kept beside the account, so that events missing there show as well. So do
        rows of accounts, factors, tokens and sessions that the store did not write. Not found is a
        change by somebody who has the store's own key and can write to the database.
        """
        created: set[str] = set()
        after = -1
        while True:
            doubtful = []
            with self._units.database.read() as connection:
                chains = _CHAINS.all(connection, {"after": after})
                for chain in chains:
                    try:
                        found, is_altered = self._look_at(connection, chain.id, created)
                    except TamperedError as error:
                        found, is_altered = [Finding(chain.name, 0, str(error))], False
                    yield from found
                    if is_altered:
                        doubtful.append(chain.name)
            for name in doubtful:
                for problem in row_check.altered_for_sure(self._units, name):
                    yield Finding(name, 0, problem)
            if not chains:
                break
            after = chains[-1].id
        with self._units.database.read() as connection:
            for name in sorted(created):
                if _ID_OF.one(connection, {"name": name}) is None:
                    yield Finding(name, 0, "the account and its whole chain are missing")

    def _look_at(
        self, connection: Connection, account: int, created: set[str]
    ) -> tuple[list[Finding], bool]:
        """Verify an account's chain; tell whether what it holds seems altered, too."""
        head = HEAD.one(connection, {"account": account})
        if head is None:
            return [], False  # the system's chain tells which accounts there were
        key = self._units.keys_over(connection)[AUDIT_KEY]
        found = findings_in(connection, head, key, created)
        return found, bool(row_check.altered(connection, self._units, head))

    def prune(self, before: datetime, actor: Actor) -> int:
        """Delete events from before a time; give how many. The chains go on to verify.

        The chain of the system is kept whole: it proves which accounts there were. So is one that
        does not verify: what is wrong with it must go on to show.
        """
        limit = to_milliseconds(before)
        pruned = 0
        after = -1
        with self._units.begin() as work:
            system = work.system()
            work.record(system, Entry(Event.AUDIT_PRUNED, actor, subject=before.isoformat()))
        while True:
            with self._units.database.read() as connection:
                heads = _CHAINS.all(connection, {"after": after})
            if not heads:
                return pruned
            for head in heads:
                if head.name != SYSTEM_ACCOUNT:
                    pruned += self._prune_unless_altered(head.name, limit)
            after = heads[-1].id

    def _prune_unless_altered(self, name: str, limit: int) -> int:
        try:
            return self._prune_chain(name, limit)
        except TamperedError:
            return 0

    def _prune_chain(self, name: str, limit: int) -> int:
        with self._units.begin() as work:
            account = work.account(name)
            if account is None:
                return 0
            row: Row = HEAD.one(work.connection, {"account": account.id})
            # Up to the first event that is younger: a chain has no holes, whatever the clock did.
            chain = Chain(row, work.keys[AUDIT_KEY])
            for event in events_of(work.connection, row):
                if event.at >= limit:
                    break
                if chain.follow(event) is not None:
                    return 0
            if chain.sequence == row.audit_base_sequence or not chain.begins_well:
                return 0
            _SET_BASE.run(
                work.connection,
                {
                    "account": account.id,
                    "audit_base_sequence": chain.sequence,
                    "audit_base_digest": pruned_head(
                        work.keys[AUDIT_KEY], name, chain.sequence, chain.head
                    ),
                },
            )
            values = {"account": account.id, "last": chain.sequence}
            return _DELETE_OLD.run(work.connection, values)


_ID_OF = Statement(select(accounts.c.id).where(accounts.c.name == bindparam("name")))


def _shown(row: Row) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=from_milliseconds(row.at),
        account=row.account,
        event=row.event,
        actor=row.actor,
        protocol=row.protocol,
        address=row.address,
        reason=row.reason,
        factor_id=row.factor_id,
        subject=row.subject,
    )


def _parse_cursor(cursor: str) -> tuple[int, int]:
    place = _CURSOR.fullmatch(cursor)
    if place is not None:
        return int(place["at"]), int(place["id"])
    message = "the cursor is not one that a page gave"
    raise RequestError(message)
