"""Follows an account's chain of events, for who verifies it and for who prunes it."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from store.audit import Actor, Entry, Event, chain_digest, first_head, next_head, pruned_head
from store.decisions import Protocol, Reason
from store.schema import SYSTEM_ACCOUNT, accounts, audit_events
from store.statements import Row, Statement


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the audit, or in what accounts hold, that is not as it was written."""

    account: str
    sequence: int
    """The place in the account's chain of events; 0 where it is not about an event."""
    problem: str


_BATCH = 500
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
HEAD = Statement(select(accounts).where(accounts.c.id == bindparam("account")))


class Chain:
    """Follows a chain from its beginning, or from where it was pruned."""

    def __init__(self, account: Row, key: bytes) -> None:
        """Begin at what the account's row says."""
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


def events_of(connection: Connection, account: Row) -> Iterator[Row]:
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


def findings_in(
    connection: Connection, account: Row, key: bytes, created: set[str]
) -> list[Finding]:
    """Verify one chain; anew if it was pruned while it was read."""
    found = list(_verify_chain(connection, account, key, created))
    if found:
        now = HEAD.one(connection, {"account": account.id})
        if now is not None and now.audit_base_sequence != account.audit_base_sequence:
            return findings_in(connection, now, key, created)
    return found


def _verify_chain(
    connection: Connection, account: Row, key: bytes, created: set[str]
) -> Iterator[Finding]:
    chain = Chain(account, key)
    if not chain.begins_well:
        yield Finding(account.name, chain.sequence, "older events are missing, and not by pruning")
    for row in events_of(connection, account):
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
        now = HEAD.one(connection, {"account": head.id})
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
