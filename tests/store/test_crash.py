"""A writer that is killed in the middle leaves each operation done, or not begun.

Hundreds of times a process begins an operation and is killed with SIGKILL after a moment, each
operation at several moments around its commit. The store must then hold what it holds where the
operation was never begun, or what it holds where nobody was killed: to the last row and digest.
"""

import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from bed import Bed, contents, counted_bytes, findings
from harness.postgres import Cluster
from harness.sandbox import place
from harness.waiting import until
from operations import BEGUN, DONE, OPERATIONS, SECTIONS, Made, do, do_all, open_for, writer

from store.opening import Store
from store.sealing import new_key, read_keys, replace_key_file

pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time for so many processes

KILLS = int(os.environ.get("SFTP_MFA_KILLS", "200"))
CRASHES = range(2, len(OPERATIONS), 7)
"""The operations in which the database server itself is made to crash."""


@pytest.fixture(scope="module")
def processes() -> Any:
    """Make processes from one that has read the program already, so that each begins at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["operations", "sqlalchemy.dialects.postgresql.psycopg"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(sys.path))
        forkserver.ensure_running()
    return context


def make_bed(folder: Path, url: str | None = None) -> Bed:
    """Make a store that is the same each time but for the database, with a key to be retired."""
    made = Bed(folder, url, randomness=counted_bytes("bed"), **SECTIONS)
    keys = read_keys(made.key_file)
    key, value = new_key(counted_bytes("new key"))
    replace_key_file(made.key_file, {key: value, **keys}, 0)
    return made


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, list[dict[str, Any]]]:
    """Do everything on a store where nobody is killed."""
    return do_all(make_bed(tmp_path_factory.mktemp("unbroken")))


class Crashes:
    """Does the operations in order, each in processes that are killed until it is done."""

    def __init__(self, bed: Bed, processes: Any, unbroken: Any) -> None:
        """Compare with a store on which nobody was killed."""
        self.bed = bed
        self.made, self.states = unbroken
        self.processes = processes
        self.moment = 0.0005
        self.seen: Counter[str] = Counter()

    def run(self, kills_of_each: int) -> None:
        """Do all."""
        for index in range(len(OPERATIONS)):
            if not any(self.kill_in(index) for _ in range(kills_of_each)):
                self.finish(index)

    def begin(self, index: int) -> tuple[Any, Connection]:
        """Start a process that does an operation, and wait until it does."""
        hears, told = self.processes.Pipe(duplex=False)
        arguments = (self.bed.settings, index, self.made, told)
        process = self.processes.Process(target=writer, args=arguments)
        process.start()
        told.close()
        assert hears.poll(30)
        assert hears.recv_bytes() == BEGUN
        return process, hears

    def kill_in(self, index: int) -> bool:
        """Kill one operation after a moment; tell whether it was done by then."""
        process, hears = self.begin(index)
        time.sleep(self.moment)
        process.kill()
        process.join()
        done = self.examine(index, succeeded=last_word(hears) == DONE)
        # Nearer to the commit, from whichever side.
        self.moment = min(self.moment * (0.6 if done else 1.6), 0.1)
        self.seen["killed, done" if done else "killed, not begun"] += 1
        return done

    def examine(self, index: int, *, succeeded: bool) -> bool:
        """Find the operation done, or not begun; and done if it was reported as done."""
        store = open_for(self.bed.settings, index)
        self.wait_for_the_dead(store)
        held = contents(store)
        assert findings(store) == []
        store.close()
        before, after = self.states[index : index + 2]
        name = OPERATIONS[index].name
        assert held in (before, after), name
        assert held == after or not succeeded, name
        return bool(held == after)

    def wait_for_the_dead(self, store: Store) -> None:
        """Wait until PostgreSQL has noticed that its client is gone."""
        if self.bed.is_sqlite:
            return
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

        def are_gone() -> bool:
            with store.units.database.read() as connection:
                return bool(connection.exec_driver_sql(query).scalar_one() == 0)

        until(are_gone, "the killed writer's session ended", 20)

    def finish(self, index: int) -> None:
        """Do the operation, which was never done."""
        store = open_for(self.bed.settings, index)
        do(store, index, self.made)
        store.close()
        assert self.examine(index, succeeded=True)


def last_word(hears: Connection) -> bytes:
    """Give what a process said last, empty if it was killed before."""
    try:
        return hears.recv_bytes() if hears.poll() else b""
    except EOFError:
        return b""


def test_killed_writer_leaves_no_operation_half_done(
    tmp_path: Path, processes: Any, unbroken: Any
) -> None:
    """Two hundred times: what reported success is there, the rest is whole or absent."""
    seen: Counter[str] = Counter()
    while seen.total() < KILLS:
        crashes = Crashes(make_bed(tmp_path / str(seen.total())), processes, unbroken)
        crashes.run(kills_of_each=3)
        seen += crashes.seen
    assert min(seen.values()) > KILLS / 20, seen


def test_killed_client_of_postgresql_leaves_no_operation_half_done(
    tmp_path: Path, postgres: str, processes: Any, unbroken: Any
) -> None:
    """The same where a server is left to roll back."""
    crashes = Crashes(make_bed(tmp_path / "bed", postgres), processes, unbroken)
    crashes.run(kills_of_each=1)
    assert crashes.seen.total() == len(OPERATIONS)


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL that may crash."""
    cluster = Cluster.make(place() / f"postgres-{secrets.token_hex(4)}")
    yield cluster
    cluster.stop("immediate")


@pytest.mark.system
def test_crashed_server_leaves_no_operation_half_done(
    tmp_path: Path, own_cluster: Cluster, processes: Any, unbroken: Any
) -> None:
    """What PostgreSQL had committed when it crashed is there; the client was refused or told so."""
    bed = make_bed(tmp_path / "bed", own_cluster.make_database())
    crashes = Crashes(bed, processes, unbroken)
    for index in range(len(OPERATIONS)):
        if index not in CRASHES:
            crashes.finish(index)
            continue
        process, hears = crashes.begin(index)
        own_cluster.stop("immediate")
        assert hears.poll(15), "no answer in bounded time"
        said = last_word(hears)
        process.kill()
        process.join()
        own_cluster.start()
        if not crashes.examine(index, succeeded=said == DONE):
            crashes.finish(index)
