"""What the audit's chains cost writers on PostgreSQL; see README.md here."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from benchmarks.common import disk  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.stores import (  # noqa: E402
    attempt,
    make_key_file,
    make_store,
    settings_of,
)
from sqlalchemy import insert  # noqa: E402

from store.clock import system_clock  # noqa: E402
from store.opening import Store, open_store  # noqa: E402
from store.schema import audit_events  # noqa: E402
from store.settings import Settings  # noqa: E402


def own_chain(store: Store, number: int) -> None:
    """Record an event in a chain that no other writer works on: what logins do."""
    store.authentication.refuse_password(attempt(f"user{number}"))


def same_chain(store: Store, _number: int) -> None:
    """Record an event in the chain that all work on: what one chain for everything would be."""
    store.authentication.refuse_password(attempt("everybody"))


def no_chain(store: Store, number: int) -> None:
    """Write the same row, without a lock, a digest or a head."""
    place = time.time_ns() % 10**15 * 100 + number
    row = {"account_id": 1, "sequence": place, "at": 0, "digest": b""}
    words = {"event": "login_denied", "actor": f"user{number}", "protocol": "ssh"}
    with store.units.database.write() as connection:
        connection.execute(insert(audit_events), row | words)


KINDS: dict[str, Callable[[Store, int], None]] = {
    "no chain": no_chain,
    "a chain for each account": own_chain,
    "one chain": same_chain,
}


def write(settings: Settings, kind: str, number: int, start: Any, counts: Any, span: float) -> None:
    """Write for a while, and tell how often."""
    store = open_store(settings)
    KINDS[kind](store, number)
    start.wait(30)
    count, end = 0, time.monotonic() + span
    while time.monotonic() < end:
        KINDS[kind](store, number)
        count += 1
    counts.put(count)
    store.close()


def measure(settings: Settings, kind: str, writers: int, span: float) -> float:
    """Give events per second of so many writers, each a process of its own."""
    start, counts = multiprocessing.Barrier(writers), multiprocessing.SimpleQueue()
    processes = [
        multiprocessing.Process(target=write, args=(settings, kind, number, start, counts, span))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return sum(counts.get() for _ in processes) / span


def main() -> None:
    """Print events per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", default="1,2,4,8")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="the best of them counts")
    arguments = parser.parse_args()
    writers = [int(number) for number in arguments.writers.split(",")]
    with disk() as folder:
        compare(folder, writers, arguments.seconds, arguments.rounds)


def compare(folder: Path, writers: list[int], seconds: float, rounds: int) -> None:
    """Measure each kind with each number of writers, in turn, on one cluster."""
    cluster = Cluster.make(folder / "cluster")
    try:
        url = cluster.make_database()
        settings = make_store(settings_of(url, make_key_file(folder / "keys")), system_clock)
        heads = "".join(f"{number:>10}" for number in writers)
        sys.stdout.write(f"events/s by writers         {heads}\n")
        best = dict.fromkeys([(kind, number) for kind in KINDS for number in writers], 0.0)
        for _ in range(rounds):
            for kind, number in best:
                found = measure(settings, kind, number, seconds)
                best[kind, number] = max(best[kind, number], found)
        for kind in KINDS:
            cells = "".join(f"{best[kind, number]:10.0f}" for number in writers)
            sys.stdout.write(f"{kind:28}{cells}\n")
    finally:
        cluster.stop("immediate")


if __name__ == "__main__":
    main()
