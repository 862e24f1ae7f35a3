"""Reads the audit: pages of events, the proof that none was touched, and pruning."""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from store import row_check
from store.audit import Actor, Entry, Event, chain_digest, first_head, next_head, pruned_head
from store.clock import from_milliseconds, to_milliseconds
from store.decisions import Protocol, Reason
from store.errors import RequestError, TamperedError
from store.names import can_be_stored
from store.schema import SYSTEM_ACCOUNT, accounts, audit_events
from store.statements import Row, Statement
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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the audit, or in what accounts hold, that is not as it was written."""

    account: str
    sequence: int
    """The place in the account's chain of events; 0 where it is not about an event."""
    problem: str


_BATCH = 500
_CHAINS = Statement(
    select(accounts).where(accounts.c.id > bindparam("after")).order_by(accounts.c.id).limit(_BATCH)
)
_CHAIN = Statement(
    select(audit_events)
    .where(
        audit_events.c.account_id == bindparam("account"),
        audit_events.c.sequence > bindparam("after"),
        audit_events.c.sequence <= bindparam("last"),
    )
    .order_by(audit_events.c.sequence)
    .limit(_BATCH)
)
_OF = audit_events.c.account_id == bindparam("account")
_FIRST = Statement(select(func.min(audit_events.c.sequence).label("first")).where(_OF))
_LAST = Statement(select(func.max(audit_events.c.sequence).label("last")).where(_OF))
_HEAD = Statement(select(accounts).where(accounts.c.id == bindparam("account")))
_SET_BASE = Statement(update(accounts).where(accounts.c.id == bindparam("account")))
_DELETE_OLD = Statement(
    delete(audit_events).where(_OF, audit_events.c.sequence <= bindparam("last"))
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
            select(audit_events, accounts.c.name.label("account"))
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
            rows = connection.execute(query).all()
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
            rows = connection.execute(query).all()
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
                key = self._units.keys_over(connection)[AUDIT_KEY]
                heads = _CHAINS.all(connection, {"after": after})
                for head in heads:
                    yield from _findings(connection, head, key, created)
                    if row_check.altered(connection, self._units, head):
                        doubtful.append(head.name)
            for name in doubtful:
                for problem in row_check.altered_for_sure(self._units, name):
                    yield Finding(name, 0, problem)
            if not heads:
                break
            after = heads[-1].id
        with self._units.database.read() as connection:
            for name in sorted(created):
                if _ID_OF.one(connection, {"name": name}) is None:
                    yield Finding(name, 0, "the account and its whole chain are missing")

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
            row: Row = _HEAD.one(work.connection, {"account": account.id})
            # Up to the first event that is younger: a chain has no holes, whatever the clock did.
            chain = _Chain(row, work.keys[AUDIT_KEY])
            for event in _events(work.connection, row):
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


class _Chain:
    """Follows a chain from its beginning, or from where it was pruned."""

    def __init__(self, account: Row, key: bytes) -> None:
        self._key = key
        self._account = account.name
        self.sequence = account.audit_base_sequence
        self.head = first_head(key, account.name)
        self.begins_well = True
        """It begins at its first event, or behind those that were pruned."""
        if self.sequence:
            base = account.audit_base_digest
            self.head = base[: len(self.head)]
            expected = pruned_head(key, account.name, self.sequence, self.head)
            self.begins_well = hmac.compare_digest(base, expected)
        self.is_lost = False
        """What came before is not known any more, so what follows cannot be judged."""
        self._doubted = False

    def follow(self, row: Row) -> str | None:
        """Go on by one event; tell what is wrong with it."""
        missing = row.sequence != self.sequence + 1
        self.sequence = row.sequence
        if missing:
            self.is_lost = True
            return "an event is missing"
        if self.is_lost:
            return None
        digest = chain_digest(
            self._key, self.head, self._account, row.sequence, row.at, _entry(row)
        )
        # By the digest that was written: where another field was changed, the rest still follows.
        self.head = next_head(self._key, self.head, row.digest)
        if digest == row.digest:
            self._doubted = False
            return None
        self.is_lost, self._doubted = self._doubted, True
        return None if self.is_lost else "the event, or one before it, was changed"


def _events(connection: Connection, account: Row) -> Iterator[Row]:
    """Read an account's events in order, up to the last one of when the account was read."""
    first: Row = _FIRST.one(connection, {"account": account.id})
    after = account.audit_sequence if first.first is None else first.first - 1
    while True:
        values = {"account": account.id, "after": after, "last": account.audit_sequence}
        rows = _CHAIN.all(connection, values)
        yield from rows
        if len(rows) < _BATCH:
            return
        after = rows[-1].sequence


def _findings(connection: Connection, account: Row, key: bytes, created: set[str]) -> list[Finding]:
    """Verify one chain; anew if it was pruned while it was read."""
    found = list(_verify_chain(connection, account, key, created))
    if found:
        now = _HEAD.one(connection, {"account": account.id})
        if now is not None and now.audit_base_sequence != account.audit_base_sequence:
            return _findings(connection, now, key, created)
    return found


def _verify_chain(
    connection: Connection, account: Row, key: bytes, created: set[str]
) -> Iterator[Finding]:
    chain = _Chain(account, key)
    if not chain.begins_well:
        yield Finding(account.name, chain.sequence, "older events are missing, and not by pruning")
    for row in _events(connection, account):
        expected = chain.sequence + 1
        problem = chain.follow(row)
        if problem is not None:
            place = row.sequence if row.sequence == expected else expected
            yield Finding(account.name, place, problem)
        if account.name == SYSTEM_ACCOUNT and row.event == Event.ACCOUNT_CREATED:
            if row.subject in created:
                yield Finding(row.subject, 0, "the account was made a second time")
            created.add(row.subject)
    yield from _added_behind(connection, account)
    if chain.sequence != account.audit_sequence:
        yield Finding(account.name, chain.sequence + 1, "events are missing at the end")
    elif not chain.is_lost and chain.head != account.audit_digest:
        yield Finding(account.name, chain.sequence, "the chain does not end as it was written")


def _added_behind(connection: Connection, head: Row) -> Iterator[Finding]:
    """Find events behind the chain's end; those written since the end was read are none."""
    found: Row = _LAST.one(connection, {"account": head.id})
    if found.last is not None and found.last > head.audit_sequence:
        now = _HEAD.one(connection, {"account": head.id})
        if now is None or found.last > now.audit_sequence:
            yield Finding(head.name, found.last, "an event was added that nobody wrote")


def _entry(row: Row) -> Entry:
    """Give the row's content as it was digested; words that nobody wrote stay as they are."""
    actor = Actor(row.actor, _word(Protocol, row.protocol), row.address)
    reason = None if row.reason is None else _word(Reason, row.reason)
    return Entry(_word(Event, row.event), actor, reason, row.factor_id, row.subject)


def _word(vocabulary: Any, text: str) -> Any:
    try:
        return vocabulary(text)
    except ValueError:
        return text


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
