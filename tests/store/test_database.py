"""A database that cannot be used: refused soon, with a text that tells what to do, until it can."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.stores import (
    ROOT,
    Clock,
    OpenStore,
    attempt,
    enroll,
    opened,
    try_code,
    with_changes,
)

from store.database import Database, make_engine, sqlite_path
from store.decisions import Denied, Granted, Reason
from store.errors import SchemaMismatchError, StoreError
from store.settings import Settings, StoreSettings

WAIT = 0.3
SLACK = 2.5
"""What a busy machine may take beyond the time that was configured."""

Trouble = Callable[[Path], AbstractContextManager[None]]


def complaint(operation: Callable[[], object], within: float = WAIT) -> str:
    """Give the text of a refusal, which comes in time and in one line."""
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        operation()
    assert time.monotonic() - begun < within + SLACK
    text = str(caught.value)
    assert "\n" not in text
    assert "[SQL" not in text
    assert "FROM" not in text
    return text


def file_of(settings: Settings) -> Path:
    """Give the path of an SQLite store."""
    path = sqlite_path(settings.store.url)
    assert path is not None
    return path


@pytest.fixture
def impatient(sqlite: Settings) -> Settings:
    """Make a store on SQLite that waits for a moment only."""
    return with_changes(sqlite, store={"wait_seconds": WAIT})


# SQLite


@contextmanager
def missing(path: Path) -> Iterator[None]:
    """Move the file away."""
    away = path.rename(path.with_name("away"))
    yield
    away.rename(path)


@contextmanager
def folder_missing(path: Path) -> Iterator[None]:
    """Move the whole folder away."""
    away = path.parent.rename(path.parent.with_name("away"))
    yield
    away.rename(path.parent)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """Put something else in the file's place, with its log moved away."""
    away = path.parent.rename(path.parent.with_name("away"))
    path.parent.mkdir()
    path.write_bytes(content)
    yield
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    away.rename(path.parent)


@contextmanager
def folder_in_its_place(path: Path) -> Iterator[None]:
    """Put a folder in the file's place."""
    with missing(path):
        path.mkdir()
        yield
        path.rmdir()


@contextmanager
def held(path: Path, statements: str) -> Iterator[None]:
    """Let another process hold the file."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"c.executescript({statements!r})\nprint('held', flush=True); sys.stdin.read()"
    )
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, path], **pipes) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


@contextmanager
def of_schema(path: Path, version: str) -> Iterator[None]:
    """Let the store have another schema."""
    change = "UPDATE alembic_version SET version_num = ?"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change, (version,))
        yield
        connection.execute(change, ("0001",))


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "missing": (missing, "unable to open database file (check store.url"),
    "folder missing": (folder_missing, "unable to open database file (check store.url"),
    "folder": (folder_in_its_place, "unable to open database file (check store.url"),
    "text": (
        partial(replaced, content=b"This is not a database, but a text of some length." * 50),
        "file is not a database (store.url names a file that is no store)",
    ),
    "empty": (partial(replaced, content=b""), "no schema, this program needs 0001: run `sftp-mfa"),
    "held": (
        partial(held, statements="BEGIN EXCLUSIVE"),
        "database is locked (another program holds the store; end it or wait)",
    ),
    "newer": (partial(of_schema, version="9999"), "schema 9999, this program needs 0001"),
    "older": (partial(of_schema, version="0000"), "schema 0000, this program needs 0001"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("is_open", [True, False], ids=["running", "starting"])
def test_sqlite_that_cannot_be_used_refuses_until_it_can(
    impatient: Settings,
    clock: Clock,
    trouble: str,
    is_open: bool,  # noqa: FBT001
) -> None:
    """Found at the start or under way; mended, the same program goes on, with nothing lost."""
    make_trouble, expected = TROUBLES[trouble]
    with opened(impatient, clock) as store:
        phone = enroll(store, clock)
        if not is_open:
            store.close()
        with make_trouble(file_of(impatient)):
            assert expected in complaint(lambda: try_code(store, phone.code()))
            if trouble != "held":
                assert expected in complaint(lambda: store.authentication.factors_of("alice"))
        assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_other_schema_is_an_error_of_its_own(impatient: Settings, clock: Clock) -> None:
    """Commands tell it from a store that is down."""
    with (
        of_schema(file_of(impatient), "9999"),
        opened(impatient, clock) as store,
        pytest.raises(SchemaMismatchError),
    ):
        store.check()


def test_readers_go_on_while_another_program_writes(impatient: Settings, clock: Clock) -> None:
    """A long write by another program stops writers only."""
    with opened(impatient, clock) as store:
        enroll(store, clock)
        with held(file_of(impatient), "BEGIN IMMEDIATE"):
            assert store.authentication.factors_of("alice").totp
            complaint(store.check)


def test_writer_waits_no_longer_behind_another_one(sqlite: Settings, clock: Clock) -> None:
    """First for its turn in this process and then for another program: together, once."""
    wait = 3.0
    texts: list[str] = []
    with opened(with_changes(sqlite, store={"wait_seconds": wait}), clock) as store:
        enroll(store, clock)
        with closing(sqlite3.connect(file_of(sqlite), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writers = [
                threading.Thread(target=lambda: texts.append(complaint(store.check, wait)))
                for _ in range(3)
            ]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
        store.check()
    assert len(texts) == 3
    assert all("another program holds the store" in text or "busy" in text for text in texts)


def test_many_writers_wait_for_a_busy_store_together(impatient: Settings, clock: Clock) -> None:
    """They do not wait one after the other: nobody waits for twice as long as one does."""
    with opened(impatient, clock) as store, held(file_of(impatient), "BEGIN IMMEDIATE"):
        store.close()
        texts: list[str] = []
        writers = [
            threading.Thread(target=lambda: texts.append(complaint(store.check, 2 * WAIT)))
            for _ in range(20)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert len(texts) == 20
    assert all("locked" in text or "busy" in text for text in texts)


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a disk of a megabyte."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def fill(filler: Path) -> None:
    """Write until there is no room for a page."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def moved_to(folder: Path, settings: Settings) -> Settings:
    """Copy a store that nobody uses, and give its settings there."""
    file = folder / "store.db"
    file.write_bytes(file_of(settings).read_bytes())
    return with_changes(settings, store={"url": f"sqlite:///{file}"})


@pytest.mark.system
def test_full_disk_refuses_until_there_is_room(
    impatient: Settings, clock: Clock, tmp_path: Path
) -> None:
    """A code that could not be written down as used does not let in; later it does."""
    with small_disk(tmp_path / "disk") as disk, opened(moved_to(disk, impatient), clock) as store:
        phone = enroll(store, clock)
        filler = disk / "filler"
        fill(filler)
        for _ in range(10):
            text = complaint(lambda: try_code(store, phone.code()))
            assert "full (free disk space)" in text or "disk I/O error (look for a full" in text
        filler.unlink()
        assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


@pytest.mark.system
def test_read_only_disk_refuses_until_it_is_writable(
    impatient: Settings, clock: Clock, tmp_path: Path
) -> None:
    """As after a fault of the disk, when Linux mounts it read-only."""
    with small_disk(tmp_path / "disk") as disk, opened(moved_to(disk, impatient), clock) as store:
        phone = enroll(store, clock)
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for _ in range(10):
            text = complaint(lambda: try_code(store, phone.code()))
            assert "readonly" in text
            assert "writable" in text
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_damaged_file_refuses(impatient: Settings, clock: Clock) -> None:
    """Nobody is let in by what can be read of it."""
    with opened(impatient, clock) as store:
        phone = enroll(store, clock)
    file = file_of(impatient)
    content = file.read_bytes()
    file.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    with opened(impatient, clock) as store:
        complaint(lambda: try_code(store, phone.code()))
        complaint(lambda: store.authentication.check_account(attempt()))


def test_store_is_durable_and_keeps_its_references(sqlite: Settings) -> None:
    """What was answered is on the disk; no factor is without its account."""
    database = Database(sqlite.store)
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


# Both databases


def test_failed_operations_leak_no_connection(open_store: OpenStore) -> None:
    """After more failures than the pool has connections there is still one to lend."""
    store = open_store(store={"wait_seconds": WAIT})
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), store.units.begin():
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), store.units.database.read():
            raise ZeroDivisionError
        with pytest.raises(StoreError), store.units.begin() as work:
            work.connection.exec_driver_sql("SELECT no_such_column FROM accounts")
    store.check()


def test_more_threads_than_connections_are_served_in_turn(
    open_store: OpenStore, clock: Clock
) -> None:
    """Whoever finds no free connection waits for one."""
    store = open_store(store={"wait_seconds": 4})
    enroll(store, clock)
    held_totp: list[bool] = []

    def look() -> None:
        held_totp.append(store.authentication.factors_of("alice").totp)

    threads = [threading.Thread(target=look) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held_totp == [True] * 40


def test_all_connections_in_use_is_a_refusal_in_time(open_store: OpenStore) -> None:
    """It says so, and what is the matter is not blamed on the operator's configuration."""
    store = open_store(store={"wait_seconds": WAIT})
    pool: Any = store.units.database.engine.pool
    lent = [store.units.database.engine.connect() for _ in range(pool.size())]
    try:
        assert "store.url" not in complaint(store.check)
    finally:
        for connection in lent:
            connection.close()
    store.check()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url",
        "mysql://root:hunter2@127.0.0.1/db",
        "sqlite://",
        "sqlite:///relative.db",
        "sqlite:///:memory:",
        "postgresql://root:hunter2@127.0.0.1:port/db",
        "postgresql://root:hunter2/x@127.0.0.1/db",
        "postgresql://root:hunter2:5432@host:70000000/db",
        "postgresql://root:hunter2@[::1/db",
    ],
)
def test_address_that_is_none_of_ours_is_refused_without_its_password(url: str) -> None:
    """Nor is any part of the password seen that stands where a port should be."""
    text = complaint(lambda: Database(StoreSettings(url=url, wait_seconds=WAIT)).read().__enter__())
    assert "hunter2" not in text


# PostgreSQL

WRITABLE = "-c default_transaction_read_only=off"


@pytest.mark.system
def test_postgresql_without_schema_says_what_to_do(
    postgres: str, key_file: Path, clock: Clock
) -> None:
    """Before `upgrade-store` has run."""
    settings = Settings(store=StoreSettings(postgres, str(key_file), WAIT))
    with opened(settings, clock) as store:
        for _ in range(10):
            text = complaint(store.check)
            assert "no schema, this program needs 0001: run `sftp-mfa upgrade-store`" in text


@pytest.mark.system
def test_postgresql_of_another_schema_is_noticed_under_way(
    postgresql: Settings, clock: Clock
) -> None:
    """A program that was not restarted after an upgrade stops writing at once."""
    with opened(postgresql, clock) as store:
        phone = enroll(store, clock)
        set_version(postgresql, "9999")
        try:
            text = complaint(lambda: try_code(store, phone.code()))
            assert "schema 9999, this program needs 0001" in text
        finally:
            set_version(postgresql, "0001")
        assert isinstance(try_code(store, phone.code()), Granted)


def execute(settings: Settings, statement: str) -> None:
    """Let somebody else do something in a database."""
    with psycopg.connect(settings.store.url, autocommit=True, options=WRITABLE) as connection:
        connection.execute(statement.encode())


def set_version(settings: Settings, version: str) -> None:
    """Let the store have another schema."""
    execute(settings, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608


@pytest.mark.system
@pytest.mark.parametrize("change", [":x@", "@127.0.0.1:1", "@127.0.0.1:20000/no_such_db"])
def test_postgresql_that_cannot_be_reached_is_told_without_its_password(
    postgresql: Settings, clock: Clock, change: str
) -> None:
    """Wrong password, wrong port, wrong database: the server's own words, and what to check."""
    url = postgresql.store.url
    before, _, host = url.partition("@")
    user, _, password = before.removeprefix("postgresql://").partition(":")
    wrong = {
        ":x@": f"postgresql://{user}:x{password}@{host}",
        "@127.0.0.1:1": f"{before}@127.0.0.1:1/db",
        "@127.0.0.1:20000/no_such_db": f"{before}@{host.rpartition('/')[0]}/no_such_db",
    }[change]
    settings = with_changes(postgresql, store={"url": wrong, "wait_seconds": WAIT})
    with opened(settings, clock) as store:
        text = complaint(store.check, within=2)
    assert password not in text
    assert "check that the database server runs and store.url is right" in text


@pytest.mark.system
def test_connections_that_the_server_ended_are_replaced_unnoticed(
    postgresql: Settings, clock: Clock
) -> None:
    """After a restart or a firewall's timeout the next login does not fail."""
    with opened(postgresql, clock) as store:
        phone = enroll(store, clock)
        execute(
            postgresql,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert isinstance(try_code(store, phone.code()), Granted)


@pytest.mark.system
@pytest.mark.parametrize(
    "lock",
    [
        "SELECT 1 FROM accounts WHERE name = 'alice' FOR UPDATE",
        "LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_lock_in_postgresql_is_waited_for_in_bounds_and_told(
    postgresql: Settings, clock: Clock, lock: str
) -> None:
    """Whoever holds what is needed, a row or a table, the refusal says that it is a lock."""
    impatient = with_changes(postgresql, store={"wait_seconds": WAIT})
    with opened(impatient, clock) as store:
        phone = enroll(store, clock)
        engine = make_engine(postgresql.store)
        with engine.begin() as other:
            other.exec_driver_sql(lock)
            text = complaint(lambda: try_code(store, phone.code()), 2 * WAIT)
        engine.dispose()
        assert "timeout" in text
        assert "another program holds the store" in text
        assert isinstance(try_code(store, phone.code()), Granted)


@pytest.mark.system
def test_read_only_postgresql_is_told_as_such(postgresql: Settings, clock: Clock) -> None:
    """As on a standby."""
    name = postgresql.store.url.rpartition("/")[2]
    with opened(postgresql, clock) as store:
        enroll(store, clock)
        execute(postgresql, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        store.close()
        try:
            text = complaint(lambda: store.accounts.bar("alice", ROOT))
            assert "read-only" in text
            assert "writable" in text
        finally:
            execute(postgresql, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        store.close()
        store.accounts.bar("alice", ROOT)
        assert store.authentication.check_account(attempt()) == Denied(Reason.ACCOUNT_BARRED)
