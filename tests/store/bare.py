"""A database without the store over it, which would take longer than what is done with it."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from bed import Bed, Rows
from harness.waiting import until
from psycopg.rows import dict_row

from store.schema import metadata

_BEHIND_ALL_THAT_IS_PUT_IN = """
    SELECT setval(numbers, greatest(100000, nextval(numbers))) FROM (
        VALUES (pg_get_serial_sequence('accounts', 'id')::regclass),
            (pg_get_serial_sequence('audit_events', 'id')::regclass)
    ) AS of (numbers)
"""
_OTHERS = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class Bare(ABC):
    """Reads and writes whole tables."""

    mark: str
    """How the driver writes a value's name."""

    @abstractmethod
    def connected(self) -> AbstractContextManager[Any]:
        """Lend a connection that commits by itself."""

    def empty(self, cursor: Any) -> None:
        """Delete everything."""
        for table in reversed(metadata.sorted_tables):
            cursor.execute(f"DELETE FROM {table.name}")  # noqa: S608

    def rows(self) -> Rows:
        """Give all that the database holds."""
        with self.connected() as connection:
            return {
                name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]  # noqa: S608
                for name in metadata.tables
            }

    def put(self, rows: Rows) -> None:
        """Let the database hold just these rows."""
        tables = metadata.sorted_tables
        with self.connected() as connection, closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN")
            self.empty(cursor)
            for table in tables:
                values = ", ".join(map(self.mark.format, table.columns.keys()))
                into = f"{table.name} ({', '.join(table.columns.keys())})"
                cursor.executemany(f"INSERT INTO {into} VALUES ({values})", rows[table.name])  # noqa: S608
            cursor.execute("COMMIT")


class BareSqlite(Bare):
    """Opens the file each time, as one does who starts anew."""

    mark = ":{}"

    def __init__(self, path: Path) -> None:
        """Use that file."""
        self._path = path

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection


class BarePostgreSql(Bare):
    """Keeps its connection."""

    mark = "%({})s"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Use that connection; the store's own numbers begin behind those of rows put in."""
        self._connection = connection
        connection.execute(_BEHIND_ALL_THAT_IS_PUT_IN)

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend the connection, once the server has noticed that all others are gone."""
        until(lambda: not self._connection.execute(_OTHERS).fetchall(), "killed sessions ended", 20)
        yield self._connection

    def empty(self, cursor: Any) -> None:
        """Delete everything, so that rows are read in the order in which they will be put in.

        Else they may fill the places of deleted ones, and secrets that are sealed anew in that
        order get other nonces than where nobody is killed.
        """
        cursor.execute(f"TRUNCATE {', '.join(metadata.tables)}")


@contextmanager
def bare(bed: Bed) -> Iterator[Bare]:
    """Reach into a bed's database."""
    if bed.is_sqlite:
        yield BareSqlite(bed.path)
        return
    with psycopg.connect(bed.url, autocommit=True, row_factory=dict_row) as connection:
        yield BarePostgreSql(connection)
