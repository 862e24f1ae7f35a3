"""The engine for SQLite and PostgreSQL, and what must be true of every connection it lends."""

import math
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from store.errors import SchemaMismatchError, StoreUnavailableError
from store.settings import StoreSettings

SCHEMA_VERSION = "0001"
"""The Alembic revision that this program works with."""

_POOL_SIZE = 8
_SQLITE_READERS = _POOL_SIZE - 1
_HOSTS_WITH_PORTS = re.compile(
    r"(?P<before>[^:/]+://(?:[^@]*@)?)(?P<hosts>(?=[^/?@]*:)[^/?@]+(?:,[^/?@]+)+)"
    r"(?P<path>/[^?]*)?(?:\?(?P<query>.*))?"
)
_VERSION_QUERY = "SELECT version_num FROM alembic_version"


class Database:
    """Lends transactions; every error of the driver becomes a StoreUnavailableError."""

    def __init__(self, settings: StoreSettings) -> None:
        """Prepare the engine; nothing is opened before the first transaction."""
        self._wait = settings.wait_seconds
        self.engine = make_engine(settings)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite has one writer at a time. Threads of this process queue here instead of in
        # SQLite's busy handler, which sleeps and polls; nor does a writer queue for a connection.
        self._writer = threading.Semaphore(1)
        self._readers = threading.Semaphore(_SQLITE_READERS)
        self._reading = self.engine.execution_options(
            **({"begin": "BEGIN"} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
        )
        self._errors = (SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error)
        check = _check_sqlite_version if self.is_sqlite else _check_postgresql_version
        event.listen(self.engine, "checkout", check)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection to read from."""
        turn = self._turn(self._readers)
        with self._translated(), turn, self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Lend a connection inside one transaction: committed at the end, or nothing is done."""
        deadline = time.monotonic() + self._wait
        turn = self._turn(self._writer)
        with self._translated(), turn, self.engine.connect() as connection:
            if self.is_sqlite:
                left = max(0, round((deadline - time.monotonic()) * 1000))
                driver: Any = connection.connection.dbapi_connection
                driver.execute(f"PRAGMA busy_timeout = {left}")
            with connection.begin():
                yield connection

    @contextmanager
    def _turn(self, gate: threading.Semaphore) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not gate.acquire(timeout=self._wait):
            message = "the store is busy: others held it for too long"
            raise StoreUnavailableError(message)
        try:
            yield
        finally:
            gate.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            message = f"the store cannot be used: {described(error)}"
            raise StoreUnavailableError(message) from error

    def close(self) -> None:
        """Close every connection that is not lent."""
        self.engine.dispose()


def make_engine(settings: StoreSettings, *, in_no_hurry: bool = False) -> Engine:
    """Make the engine of a store URL; StoreUnavailableError for one that is not ours.

    Who is in no hurry waits for an answer however long it takes.
    """
    url = _parse(settings.url)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, settings.wait_seconds)
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url, settings.wait_seconds, in_no_hurry=in_no_hurry)
    message = f"store.url: {url.get_backend_name()!r} is neither sqlite nor postgresql"
    raise StoreUnavailableError(message)


def sqlite_path(url: str) -> Path | None:
    """Give the file of an SQLite URL; None for PostgreSQL."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _parse(text: str) -> URL:
    """Parse a store URL; hosts with a port each, libpq's way of writing, are SQLAlchemy's query."""
    match = _HOSTS_WITH_PORTS.fullmatch(text)
    if match is not None:
        hosts = "&".join(f"host={host}" for host in match["hosts"].split(","))
        text = f"{match['before']}{match['path'] or '/'}?{hosts}&{match['query'] or ''}"
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        message = "store.url is not a database URL"
        raise StoreUnavailableError(message) from error


def _sqlite_engine(url: URL, wait: float) -> Engine:
    path = url.database
    if not path or not Path(path).is_absolute():
        message = "store.url: SQLite needs an absolute path (sqlite:////var/lib/…)"
        raise StoreUnavailableError(message)

    engine = create_engine(
        "sqlite://",
        creator=partial(_open_sqlite, path, wait),
        poolclass=QueuePool,
        paramstyle="named",
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=wait,
        execution_options={"begin": "BEGIN IMMEDIATE"},
    )

    @event.listens_for(engine, "connect")
    def remember_file(_connection: Any, record: Any) -> None:
        record.info["file"] = _file_identity(path)

    @event.listens_for(engine, "checkout")
    def is_same_file(_connection: Any, record: Any, _proxy: Any) -> None:
        # A store that was moved away or restored under a running service lives on in open
        # connections; what they wrote would be lost.
        if record.info["file"] != _file_identity(path):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.execute(connection.get_execution_options()["begin"])

    return engine


def _postgresql_engine(url: URL, wait: float, *, in_no_hurry: bool) -> Engine:
    milliseconds = int(wait * 1000)
    seconds = max(1, round(wait))
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=wait,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": max(2, int(wait)),
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
            f"-c idle_in_transaction_session_timeout={milliseconds * 2} -c timezone=UTC",
            # For a host that is gone: else Linux would notice after two hours.
            "tcp_user_timeout": milliseconds,
            "keepalives_idle": seconds,
            "keepalives_interval": seconds,
            "keepalives_count": 2,
            "application_name": "sftp-mfa",
            "client_encoding": "UTF8",  # whatever PGCLIENTENCODING says
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, options: Any) -> Any:
        from store import postgresql  # noqa: PLC0415 - brings psycopg

        connection = postgresql.connect(options, wait)
        # The server's own timeouts come first, and say more.
        connection.patience = math.inf if in_no_hurry else wait + 1
        return connection

    return engine


def _open_sqlite(path: str, wait: float) -> sqlite3.Connection:
    if Path(path).exists() and not os.access(path, os.W_OK):
        # SQLite would open it for reading, and the connection would stay so for good: a store
        # that was made writable again would still refuse.
        message = "the store's file is readonly"
        raise sqlite3.OperationalError(message)
    # mode=rw: a store that has gone missing is an error, never a new and empty store.
    connection = sqlite3.connect(
        f"{Path(path).as_uri()}?mode=rw",
        uri=True,
        timeout=wait,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    _use_log(connection, wait)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _use_log(connection: sqlite3.Connection, wait: float) -> None:
    """Use a write-ahead log. While others turn a new file to it SQLite fails rather than waits."""
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _file_identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - several times a login; a Path takes twice as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_sqlite_version(connection: Any, _record: Any, _proxy: Any) -> None:
    try:
        rows = connection.execute(_VERSION_QUERY).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        rows = []
    _require_version(rows)


def _check_postgresql_version(connection: Any, _record: Any, _proxy: Any) -> None:
    """Ask at each loan; the same round trip tells whether the connection still lives."""
    import psycopg  # noqa: PLC0415 - 10 MB that an SQLite store does not need

    try:
        connection.autocommit = True
        rows = connection.execute(_VERSION_QUERY).fetchall()
        connection.autocommit = False
    except psycopg.errors.UndefinedTable:
        rows = []
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not connection.closed:
            raise  # it lives, and something stands in its way
        raise DisconnectionError from error
    _require_version(rows)


def _require_version(rows: list[tuple[str]]) -> None:
    if rows == [(SCHEMA_VERSION,)]:
        return
    found = f"schema {rows[0][0]}" if rows else "no schema"
    message = (
        f"the store has {found}, this program needs {SCHEMA_VERSION}: "
        "run `sftp-mfa upgrade-store`, or the program that fits the store"
    )
    raise SchemaMismatchError(message)


_ADVICE = {
    "locked": "another program holds the store; end it or wait",
    "statement timeout": "another program holds the store, or it is slow; end it or wait",
    "lock timeout": "another program holds the store; end it or wait",
    "queuepool": "too much at once for a store that is slow; wait",
    "readonly": "make the store's file and folder writable for the service's user",
    "read-only": "make the store writable again",
    "unable to open": "check store.url, and that the service's user may enter that folder",
    "full": "free disk space",
    "disk i/o": "look for a full or failing disk",
    "malformed": "restore the store from a backup",
    "not a database": "store.url names a file that is no store",
    "connection": "check that the database server runs and store.url is right",
}


def described(error: Exception) -> str:
    """Say in one line what happened and what to do; never the statement nor its values."""
    original = getattr(error, "orig", None) or error.__cause__ or error
    text = " ".join(str(original).split())[:300]
    advice = next((hint for word, hint in _ADVICE.items() if word in text.lower()), None)
    return text + (f" ({advice})" if advice else "")
