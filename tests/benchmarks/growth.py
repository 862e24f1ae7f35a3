"""What each operation costs in a large store, as ratios to a small one; see README.md here."""

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from benchmarks.common import disk, quartiles  # noqa: E402
from harness.growth import NOW, fill, name_of  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.stores import (  # noqa: E402
    ROOT,
    Clock,
    Phone,
    attempt,
    enroll,
    make_key_file,
    make_store,
    opened,
    settings_of,
    try_code,
)
from sqlalchemy import Engine  # noqa: E402

from store.accounts import Accounts  # noqa: E402
from store.audit import Event  # noqa: E402
from store.audit_log import Filter  # noqa: E402
from store.clock import from_milliseconds  # noqa: E402
from store.database import make_engine  # noqa: E402
from store.decisions import Protocol  # noqa: E402
from store.opening import Store  # noqa: E402
from store.schema import metadata  # noqa: E402
from store.sessions import Stage  # noqa: E402
from store.settings import Settings  # noqa: E402

BUDGET = 1.1
TIMES = 100
WARM = 5
FEW = 10
SLOW = {"housekeeping", "count of accounts"}
PAGE = 50
LATE = from_milliseconds(NOW - 70_000_000)


class Person:
    """Somebody whose factors the services made, among all the others."""

    def __init__(self, store: Store, clock: Clock, name: str) -> None:
        """Adopt MFA; have a token and a session."""
        self.name = name
        self.phone: Phone = enroll(store, clock, name)
        self.token, _ = store.access_tokens.issue(name, "job", ROOT)
        web = attempt(name, Protocol.WEB)
        self.session, _ = store.sessions.begin(web, Stage.FULL, "Firefox")
        self.others = name_of(int(name[1:9]))
        """The account that was filled in beside this one."""


Operation = Callable[[Store, Person], object]


def page(**wanted: Any) -> Operation:
    """List audit events."""
    return lambda store, _: store.audit_log.page(Filter(**wanted), PAGE)


def accounts(**wanted: Any) -> Operation:
    """List accounts."""
    return lambda store, _: store.accounts.list(limit=PAGE, **wanted)


LOGINS: dict[str, Operation] = {
    "factors_of": lambda store, one: store.authentication.factors_of(one.name),
    "accept_password": lambda store, one: store.authentication.accept_password(attempt(one.name)),
    "check_code": lambda store, one: try_code(store, one.phone.code(), one.name),
    "check_code, wrong": lambda store, one: try_code(store, "AAAA-AAAA-AAAA-AAAA", one.name),
    "check_token": lambda store, one: store.authentication.check_token(
        attempt(one.name), one.token
    ),
    "check_account": lambda store, one: store.authentication.check_account(attempt(one.name)),
    "refuse_password": lambda store, one: store.authentication.refuse_password(attempt(one.name)),
    "one string": lambda store, one: store.authentication.matches_code_before_password(
        attempt(one.name), one.phone.code()
    ),
    "session": lambda store, one: store.sessions.find(one.session),
    "password guess": lambda store, one: store.password_throttle.enter(one.name, "192.0.2.7"),
}
LISTS: dict[str, Operation] = {
    "accounts": accounts(),
    "accounts, a page amid": lambda store, one: store.accounts.list(after=one.name, limit=PAGE),
    "accounts by prefix": lambda store, one: store.accounts.list(prefix=one.name[:7], limit=PAGE),
    "accounts, adopted": accounts(adopted=True),
    "accounts, not adopted": accounts(adopted=False),
    "accounts, locked": accounts(locked=True),
    "accounts, barred": accounts(barred=True),
    "tokens of one": lambda store, one: store.access_tokens.list(one.others),
    "sessions of one": lambda store, one: store.sessions.list(one.others),
    "factors of one": lambda store, one: store.totp_factors.list(one.others),
    "audit": page(),
    "audit of an account": lambda store, one: store.audit_log.page(Filter(one.others), PAGE),
    "audit of an event": page(event=Event.LOGIN_DENIED),
    "audit of a rare event": page(event=Event.ACCOUNT_BARRED),
    "audit of an address": page(address="10.0.0.7"),
    "audit until a time": page(until=LATE),
    "audit of an hour": page(since=LATE, until=from_milliseconds(NOW - 66_400_000)),
    "audit, a page amid": lambda store, _: store.audit_log.page(
        Filter(), PAGE, f"{NOW - 70_000_000}-1"
    ),
    "housekeeping": lambda store, _: store.housekeeping.run(),
    # By a service that has not counted yet: a count of a large store is kept for a while.
    "count of accounts": lambda store, _: Accounts(store.units, Settings()).adoption(),
}


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """Give what makes empty databases in the folder, and their addresses."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}"
        return
    cluster = Cluster.make(folder / "cluster")
    try:
        yield lambda _: cluster.make_database()
    finally:
        cluster.stop("immediate")


def grow(engine: Engine, size: int, events: int) -> None:
    """Fill the store; its indexes are made after it, which is faster."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size = -1000000")
        else:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
            # References are right by the way they are made; to check ten million takes minutes.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        indexes = [index for table in metadata.tables.values() for index in table.indexes]
        for index in indexes:
            index.drop(connection)
        fill(connection, 1, size, events)
        for index in indexes:
            index.create(connection)
    with engine.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("ANALYZE")
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")


class Size:
    """One store, and people in it whose factors the services made."""

    def __init__(self, store: Store, clock: Clock, engine: Engine, size: int, events: int) -> None:
        """Fill it."""
        begun = time.monotonic()
        grow(engine, size, events)
        taken = time.monotonic() - begun
        tell(f"{size:,} accounts, {size * events:,} events: filled in {taken:.0f} s")
        numbers = random.Random(size)  # noqa: S311 - the same accounts in each run
        self.store = store
        self.people = [
            Person(store, clock, f"{name_of(numbers.randrange(1, size))}{size}")
            for _ in range(WARM + TIMES)
        ]


def measure(sizes: list[Size], operation: Operation, times: int) -> list[float]:
    """Give the milliseconds that an operation takes in each store, each time for somebody else.

    The stores take turns, so that what others do on the machine meanwhile slows them alike; the
    lower quartile of each leaves out most of that.
    """
    taken: list[list[float]] = [[] for _ in sizes]
    for number in range(WARM + times):
        for size, times_of_it in zip(sizes, taken, strict=True):
            begun = time.perf_counter()
            operation(size.store, size.people[number])
            times_of_it.append(time.perf_counter() - begun)
    return [quartiles(of_one[WARM:])[0] * 1000 for of_one in taken]


def run(kind: str, sizes: list[int], events: int, folder: Path) -> None:
    """Fill stores, measure in turn, print a table."""
    clock = Clock(NOW)
    key_file = make_key_file(folder / "keys")
    with ExitStack() as stack:
        new = stack.enter_context(databases(kind, folder))
        filled = []
        for size in sizes:
            settings = make_store(settings_of(new(f"store-{size}.db"), key_file), clock)
            store = stack.enter_context(opened(settings, clock))
            engine = make_engine(settings.store, in_no_hurry=True)
            filled.append(Size(store, clock, engine, size, events))
            engine.dispose()
        heads = "".join(f"{size:>12,} {'':>6}" for size in sizes)
        tell(f"{kind}: lower quartile in ms, and the ratio to the first\n{'':24}{heads}")
        for name, operation in {**LOGINS, **LISTS}.items():
            gc.collect()
            found = measure(filled, operation, FEW if name in SLOW else TIMES)
            cells = "".join(f"{one:12.3f} {one / found[0]:6.2f} " for one in found)
            tell(f"{name:24}{cells}{'  <' if found[-1] / found[0] > BUDGET else ''}")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--events", type=int, default=10, help="audit events of each account")
    arguments = parser.parse_args()
    with disk() as folder:
        sizes = [int(size) for size in arguments.sizes.split(",")]
        run(arguments.database, sizes, arguments.events, folder)


if __name__ == "__main__":
    main()
