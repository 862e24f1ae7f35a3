"""What each operation costs in a large store, as ratios to a small one; see README.md here."""

import argparse
import gc
import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from store.audit import Event  # noqa: E402
from store.audit_log import Filter  # noqa: E402
from store.clock import from_milliseconds  # noqa: E402
from store.database import make_engine  # noqa: E402
from store.decisions import Protocol  # noqa: E402
from store.opening import Store  # noqa: E402
from store.schema import metadata  # noqa: E402
from store.sessions import Stage  # noqa: E402

BUDGET = 1.1
TIMES = 100
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
    "count of accounts": lambda store, _: store.accounts.adoption(),
}


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Make an empty database in the folder and give its address."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
        return
    cluster = Cluster.make(folder / "cluster")
    try:
        yield cluster.make_database()
    finally:
        cluster.stop("immediate")


def grow(engine: Engine, first: int, last: int, events: int) -> None:
    """Fill the store; its indexes are made anew, which is faster."""
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
        fill(connection, first, last, events)
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


def measure(store: Store, people: list[Person]) -> dict[str, float]:
    """Give the milliseconds of each operation, each time for somebody else.

    The lower quartile: what others do on the machine meanwhile adds to the upper ones.
    """
    found = {}
    for name, operation in {**LOGINS, **LISTS}.items():
        warm, measured = people[:5], people[5:]
        if name in {"housekeeping", "count of accounts"}:
            measured = measured[:5]
        for one in warm:
            operation(store, one)
        gc.collect()
        taken = []
        for one in measured:
            begun = time.perf_counter()
            operation(store, one)
            taken.append(time.perf_counter() - begun)
        found[name] = quartiles(taken)[0] * 1000
    return found


def run(kind: str, sizes: list[int], events: int, folder: Path) -> None:
    """Fill, measure, fill on; print a table."""
    numbers = random.Random(0)  # noqa: S311 - the same accounts in each run
    clock = Clock(NOW)
    columns: list[dict[str, float]] = []
    with database(kind, folder) as url:
        settings = make_store(settings_of(url, make_key_file(folder / "keys")), clock)
        engine = make_engine(settings.store, in_no_hurry=True)
        with opened(settings, clock) as store:
            for first, last in itertools.pairwise([0, *sizes]):
                begun = time.monotonic()
                grow(engine, first + 1, last, events)
                taken = time.monotonic() - begun
                tell(f"{last:,} accounts, {last * events:,} events: filled in {taken:.0f} s")
                people = [
                    Person(store, clock, f"{name_of(numbers.randrange(1, last))}{last}")
                    for _ in range(TIMES + 5)
                ]
                columns.append(measure(store, people))
    heads = "".join(f"{size:>12,} {'':>6}" for size in sizes)
    tell(f"{kind}: lower quartile in ms, and the ratio to the first\n{'':24}{heads}")
    for name, first_taken in columns[0].items():
        cells = "".join(f"{column[name]:12.3f} {column[name] / first_taken:6.2f} "
                        for column in columns)  # fmt: skip
        over = "  <" if columns[-1][name] / first_taken > BUDGET else ""
        tell(f"{name:24}{cells}{over}")


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
