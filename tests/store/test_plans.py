"""No statement of a login, a list or the housekeeping reads more as the store grows.

Not only has each an index: on SQLite the virtual machine's steps are counted, on PostgreSQL the
rows that each node of the plan reads. Both are the same on every run and machine.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, make_bed
from harness.growth import NOW, fill, name_of
from listening import listening
from model import STEP, totp
from sqlalchemy import event

from store.audit import Event
from store.audit_log import Filter
from store.clock import from_milliseconds
from store.decisions import Attempt, Protocol
from store.opening import Store
from store.secret import Secret
from store.sessions import Stage

SMALL, LARGE = 300, 3000
PAGE = 20

Operation = Callable[[Store, "Person"], object]


class Person:
    """An account beside the others, made by the services."""

    def __init__(self, store: Store, clock: HandClock) -> None:
        """Adopt MFA; have a token and a session."""
        self.name = "x"  # behind all the others
        self.clock = clock
        self.attempt = Attempt(self.name, Protocol.SSH, "192.0.2.7")
        self.web = Attempt(self.name, Protocol.WEB, "192.0.2.7")
        enrollment = store.totp_factors.begin(self.name, "phone", ROOT)
        self.key = base64.b32decode(enrollment.secret.text())
        store.totp_factors.complete(self.name, enrollment.factor.id, self.code().text(), ROOT)
        self.token, _ = store.access_tokens.issue(self.name, "job", ROOT)
        self.session, _ = store.sessions.begin(self.web, Stage.FULL, "Firefox")

    def code(self) -> Secret:
        """Show the code of a step that was not used yet."""
        self.clock.now += STEP
        return Secret.of(totp(self.key, self.clock.now // STEP))


def page(**wanted: Any) -> Operation:
    """List audit events."""
    return lambda store, _: store.audit_log.page(Filter(**wanted), PAGE)


def accounts(**wanted: Any) -> Operation:
    """List accounts."""
    return lambda store, _: store.accounts.list(limit=PAGE, **wanted)


LATE = from_milliseconds(NOW - 80_000_000)
OPERATIONS: dict[str, Operation] = {
    "factors_of": lambda store, person: store.authentication.factors_of(person.name),
    "check_account": lambda store, person: store.authentication.check_account(person.attempt),
    "accept_password": lambda store, person: store.authentication.accept_password(person.attempt),
    "refuse_password": lambda store, person: store.authentication.refuse_password(person.attempt),
    "check_code": lambda store, person: store.authentication.check_code(
        person.attempt, person.code()
    ),
    "check_code, wrong": lambda store, person: store.authentication.check_code(
        person.attempt, Secret.of("AAAA-AAAA-AAAA-AAAA")
    ),
    "one string": lambda store, person: store.authentication.matches_code_before_password(
        person.attempt, person.code().text()
    ),
    "check_token": lambda store, person: store.authentication.check_token(
        person.attempt, person.token
    ),
    "check_request": lambda store, person: store.authentication.check_request(
        person.token, Protocol.API, "192.0.2.7"
    ),
    "session": lambda store, person: store.sessions.find(person.session),
    "guess": lambda store, person: store.password_throttle.enter(person.name, "192.0.2.7"),
    "accounts": accounts(),
    "accounts, a later page": accounts(after=name_of(200)),
    "accounts by prefix": accounts(prefix="u000002"),
    "accounts by prefix, a later page": accounts(prefix="u000002", after=name_of(205)),
    "accounts by the last prefix": accounts(prefix="x"),
    "accounts, adopted": accounts(adopted=True),
    "accounts, not adopted": accounts(adopted=False),
    "accounts, locked": accounts(locked=True, prefix="u000001"),
    "accounts, barred": accounts(barred=True, prefix="u000001"),
    "account": lambda store, person: store.accounts.show(person.name),
    "factors": lambda store, person: store.totp_factors.list(person.name),
    "tokens": lambda store, person: store.access_tokens.list(person.name),
    "sessions": lambda store, person: store.sessions.list(person.name),
    "recovery codes": lambda store, person: store.recovery_codes.left(person.name),
    "audit": page(),
    "audit of an account": page(account=name_of(7)),
    "audit of an event": page(event=Event.LOGIN_DENIED),
    "audit of a rare event": page(event=Event.TOTP_STARTED),
    "audit of no event": page(event=Event.PASSWORD_CHANGED),
    "audit of an address": page(address="10.0.0.7"),
    "audit from a time": page(since=LATE),
    "audit until a time": page(until=LATE),
    "audit of an account and event": page(account=name_of(7), event=Event.CODES_LOCKED),
    "audit, a later page": lambda store, _: store.audit_log.page(
        Filter(), PAGE, f"{NOW - 80_000_000}-1"
    ),
    "housekeeping": lambda store, _: store.housekeeping.run(),
}


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database."""
    made = make_bed(request, tmp_path)
    yield made
    made.close()


def grow(store: Store, first: int, last: int) -> None:
    """Fill the store, and let the database know what it holds."""
    with store.units.database.write() as connection:
        fill(connection, first, last)
    with store.units.database.write() as connection:
        connection.exec_driver_sql("ANALYZE")


def costs(bed: Bed, store: Store, person: Person) -> dict[str, int]:
    """Do each operation twice, and count at the second time."""
    measured = steps if bed.is_sqlite else rows
    found = {}
    for name, operation in OPERATIONS.items():
        operation(store, person)
        with measured(store) as count:
            operation(store, person)
        found[name] = sum(count)
    return found


@contextmanager
def steps(store: Store) -> Iterator[list[int]]:
    """Count the steps of SQLite's virtual machine, by tens."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    def watch(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.set_progress_handler(step, 10)

    engine = store.units.database.engine
    event.listen(engine, "checkout", watch)
    yield count
    event.remove(engine, "checkout", watch)


@contextmanager
def rows(store: Store) -> Iterator[list[int]]:
    """Count the rows that each statement's plan reads, whether they are wanted or not."""
    count: list[int] = []

    def explain(cursor: Any, statement: str, values: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "alembic" not in statement:
            writes = not statement.startswith("SELECT")
            if writes:  # it is about to be done; here it must not be yet
                cursor.execute("SAVEPOINT explained")
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
            (plan,) = cursor.fetchone()[0]
            count.append(rows_of(plan["Plan"]))
            if writes:
                cursor.execute("ROLLBACK TO explained")

    with listening(store, explain):
        yield count


def rows_of(node: dict[str, Any]) -> int:
    """Add up what a plan's scans read."""
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    read = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    below = node.get("Plans", [])
    here = 0 if below else round(read * node["Actual Loops"])
    return here + sum(rows_of(other) for other in below)


def test_no_operation_reads_more_in_a_larger_store(bed: Bed) -> None:
    """Ten times the accounts cost a login and a page no more, but for one level of the trees."""
    clock = HandClock(NOW)
    store = bed.open(clock)
    grow(store, 1, SMALL)
    person = Person(store, clock)
    small = costs(bed, store, person)
    grow(store, SMALL + 1, LARGE)
    large = costs(bed, store, person)
    if bed.is_sqlite:
        grown = {
            name: (count, large[name])
            for name, count in small.items()
            if large[name] > count * 1.1 + 2
        }
        assert grown == {}
    else:  # which may read a small table as a whole, rightly
        assert {name: count for name, count in large.items() if count > 6 * PAGE} == {}
