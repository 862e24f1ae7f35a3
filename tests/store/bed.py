"""A store in this process, on either database, with clock and randomness in the test's hand."""

import hashlib
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from store.audit import Actor
from store.audit_chain import Finding
from store.clock import Clock, Randomness, system_clock, system_randomness
from store.decisions import Protocol
from store.opening import Store, open_store
from store.schema import metadata
from store.sealing import Keyring, create_key_file
from store.settings import Settings
from store.upgrade import upgrade_store

ROOT = Actor("root", Protocol.HOST)
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.system)]


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: int) -> None:
        """Stand at that time."""
        self.now = now

    def __call__(self) -> int:
        """Give the time."""
        return self.now


def counted_bytes(of: object = "") -> Randomness:
    """Make randomness that is the same in each run, and never twice the same in one."""
    numbers = count()

    def give(length: int) -> bytes:
        return hashlib.shake_256(f"{of} {next(numbers)}".encode()).digest(length)

    return give


class Bed:
    """One database with its key file, and as many stores opened on it as a test wants."""

    def __init__(
        self,
        folder: Path,
        url: str | None = None,
        *,
        randomness: Randomness = system_randomness,
        **sections: Any,
    ) -> None:
        """Make the schema, in an SQLite file of that folder unless there is a URL."""
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._url = url
        self._sections = sections
        self._files = count()
        self._opened: list[Store] = []
        self.key_file = folder / "keys"
        create_key_file(self.key_file, 0, randomness)
        self._first_keys = self.key_file.read_bytes()
        self.path = folder / "store.db"
        self.upgrade(lambda: 0, randomness)

    @property
    def settings(self) -> Settings:
        """Give the configuration."""
        store = {"url": self.url, "key_file": str(self.key_file), "wait_seconds": 4}
        sections = {**self._sections, "store": {**store, **self._sections.get("store", {})}}
        return msgspec.convert(sections, Settings)

    @property
    def is_sqlite(self) -> bool:
        """Tell which database it is."""
        return self._url is None

    @property
    def url(self) -> str:
        """Give the address of the database."""
        return self._url or f"sqlite:///{self.path}"

    def upgrade(
        self, clock: Clock = system_clock, randomness: Randomness = system_randomness
    ) -> None:
        """Make or move the schema."""
        upgrade_store(self.settings.store, Keyring(self.key_file, randomness), clock, randomness)

    def open(self, clock: Clock = system_clock, randomness: Randomness | None = None) -> Store:
        """Open the store, as one more process would."""
        store = open_store(self.settings, clock, randomness or system_randomness)
        self._opened.append(store)
        return store

    def start_anew(self) -> None:
        """Close what is open and empty the database, as it was when it was made."""
        self.close()
        self.key_file.write_bytes(self._first_keys)
        if self._url is None:
            first = self._folder / "first.db"
            if not first.exists():
                self.path.replace(first)  # its log was written back when its last user closed it
            self.path = self._folder / f"store{next(self._files)}.db"
            shutil.copyfile(first, self.path)
            return
        tables = ", ".join(metadata.tables)
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
        self.upgrade()

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.pop().close()


def make_bed(request: pytest.FixtureRequest, folder: Path, **sections: Any) -> Bed:
    """Make the bed that a fixture with DATABASES as its parameters is to give."""
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return Bed(folder, url, **sections)


Rows = dict[str, list[dict[str, Any]]]
"""What each table holds."""


def rows_of(store: Store) -> Rows:
    """Give all that the database holds."""
    held: Rows = {}
    with store.units.database.read() as connection:
        for table in metadata.sorted_tables:
            found = connection.exec_driver_sql(f"SELECT * FROM {table.name}")  # noqa: S608
            held[table.name] = [dict(row) for row in found.mappings()]
    return held


def without_numbers(rows: Rows) -> Rows:
    """Leave out the numbers that the database chose by itself."""
    names = {account["id"]: account["name"] for account in rows["accounts"]}
    held: Rows = {}
    for table, found in rows.items():
        plain = [dict(row) for row in found]
        for row in plain:
            if isinstance(row.get("id"), int):
                del row["id"]
            if "account_id" in row:
                row["account_id"] = names[row["account_id"]]
        held[table] = sorted(plain, key=repr)
    return held


def contents(store: Store) -> Rows:
    """Give all that the database holds, without the numbers that it chose by itself."""
    return without_numbers(rows_of(store))


def findings(store: Store) -> list[Finding]:
    """Verify the audit: empty when it is as it was written."""
    return list(store.audit_log.verify())


def tries(attempt: Callable[[], object], *errors: type[Exception]) -> str:
    """Name the error that an attempt ends in; empty when it ends well."""
    try:
        attempt()
    except errors as error:
        return type(error).__name__
    return ""
