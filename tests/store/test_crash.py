"""A writer that is killed in the middle leaves each operation done, or not begun.

Again and again a process begins an operation and is killed with SIGKILL at a random moment, as many
before its commit as behind it. The store must then hold what it holds where the operation was never
begun, or what it holds where nobody was killed: to the last row and digest. An operation in several
transactions may also have been done up to one of them.
"""

import multiprocessing
import os
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from bare import bare
from harness.postgres import Cluster
from harness.sandbox import place
from killing import WHOLLY, Killer, kill_in_some, make_bed, unbroken
from operations import BEGUN, DONE, OPERATIONS, do, open_for, writer

KILLS = int(os.environ.get("SFTP_MFA_KILLS", "3"))
"""In each operation, on each database."""
CRASHES = range(2, len(OPERATIONS), 10)
"""The operations in which the database server itself is made to crash."""
AT_ONCE = 2

pytestmark = pytest.mark.timeout(300 + 30 * KILLS)  # on a busy machine


@pytest.fixture(scope="module")
def processes() -> Any:
    """Make processes from one that has read the program already, so that each begins at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing", "sqlalchemy.dialects.postgresql.psycopg"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(sys.path))
        forkserver.ensure_running()
    return context


def kill_in_each(processes: Any, folder: Path, urls: list[str | None]) -> None:
    """Kill writers of every operation, in processes without threads, so that they may fork."""
    shares = [list(range(len(OPERATIONS)))[first::AT_ONCE] for first in range(AT_ONCE)]
    folders = [folder / str(number) for number in range(AT_ONCE)]
    with ProcessPoolExecutor(AT_ONCE, processes) as killers:
        found = killers.map(kill_in_some, folders, urls, shares, [KILLS] * AT_ONCE)
        seen = {name: killed for of_some in found for name, killed in of_some.items()}
    assert seen.keys() == {operation.name for operation in OPERATIONS}
    for name, killed in seen.items():
        print(f"{name}: {dict(killed)}")  # noqa: T201 - shown by `pytest -rP`
        assert killed.total() >= KILLS, name


def test_killed_writer_leaves_no_operation_half_done(tmp_path: Path, processes: Any) -> None:
    """What reported success is there, the rest is whole or absent."""
    kill_in_each(processes, tmp_path, [None] * AT_ONCE)


def test_killed_client_of_postgresql_leaves_no_operation_half_done(
    tmp_path: Path, postgres_cluster: Cluster, processes: Any
) -> None:
    """The same where a server is left to roll back."""
    urls: list[str | None] = [postgres_cluster.make_database() for _ in range(AT_ONCE)]
    kill_in_each(processes, tmp_path, urls)


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL that may crash."""
    cluster = Cluster.make(place() / f"postgres-{secrets.token_hex(4)}")
    yield cluster
    cluster.stop("immediate")


@pytest.mark.system
def test_crashed_server_leaves_no_operation_half_done(
    tmp_path: Path, own_cluster: Cluster, processes: Any
) -> None:
    """What PostgreSQL had committed when it crashed is there; the client was refused or told so."""
    bed = make_bed(tmp_path / "bed", own_cluster.make_database())
    made, _ = unbroken()

    def examine(index: int, *, succeeded: bool) -> str:
        with bare(bed) as database:
            return Killer(bed, database, index).examine(succeeded=succeeded)

    for index in range(len(OPERATIONS)):
        if index in CRASHES:
            hears, told = processes.Pipe(duplex=False)
            process = processes.Process(target=writer, args=(bed.settings, index, made, told))
            process.start()
            told.close()
            assert hears.poll(30)
            assert hears.recv_bytes() == BEGUN
            own_cluster.stop("immediate")
            assert hears.poll(15), "no answer in bounded time"
            said = hears.recv_bytes()
            process.kill()
            process.join()
            own_cluster.start()
            if examine(index, succeeded=said == DONE) == WHOLLY:
                continue
        store = open_for(bed.settings, index)
        do(store, index, made)
        store.close()
        assert examine(index, succeeded=True) == WHOLLY
