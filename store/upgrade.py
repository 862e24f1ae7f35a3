"""Moves the store's schema to the one that this program works with."""

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from store.audit import first_head
from store.clock import Clock, Randomness
from store.database import SCHEMA_VERSION, described, make_engine, sqlite_path
from store.errors import SchemaMismatchError, StoreUnavailableError
from store.schema import SYSTEM_ACCOUNT, accounts, sealed_keys
from store.sealing import KEY_BYTES, Keyring
from store.settings import StoreSettings
from store.unit_of_work import AUDIT_KEY, KEY_NAMES, key_context, new_account

_LOCK = 0x73667470
"""A number for PostgreSQL's advisory lock: two hosts that upgrade at once take turns."""


def upgrade_store(
    settings: StoreSettings, keyring: Keyring, clock: Clock, randomness: Randomness
) -> tuple[str | None, str]:
    """Make or move the schema in one transaction; give the versions before and after."""
    _make_file(settings)
    engine = make_engine(settings, in_no_hurry=True)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            before = MigrationContext.configure(connection).get_current_revision()
            if before != SCHEMA_VERSION:
                _migrate(connection, before)
            _prepare(connection, keyring, clock, randomness)
    except SQLAlchemyError as error:
        message = f"the schema could not be upgraded, nothing was changed: {described(error)}"
        raise StoreUnavailableError(message) from error
    finally:
        engine.dispose()
    return before, SCHEMA_VERSION


def store_exists(settings: StoreSettings) -> bool:
    """Tell whether there is a schema already, of whichever version."""
    path = sqlite_path(settings.url)
    if path is not None:
        return path.exists()
    engine: Engine = make_engine(settings)
    try:
        with engine.connect() as connection:
            return inspect(connection).has_table("alembic_version")
    except SQLAlchemyError as error:
        message = f"the store cannot be reached: {described(error)}"
        raise StoreUnavailableError(message) from error
    finally:
        engine.dispose()


def _make_file(settings: StoreSettings) -> None:
    path = sqlite_path(settings.url)
    if path is None:
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise StoreUnavailableError(message) from error


def _migrate(connection: Connection, before: str | None) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, SCHEMA_VERSION)
    except CommandError as error:
        message = f"the store has schema {before}, which this program does not know: it is newer"
        raise SchemaMismatchError(message) from error


def _prepare(
    connection: Connection, keyring: Keyring, clock: Clock, randomness: Randomness
) -> None:
    """Make what every store has one of: the system's row, and the store's own keys."""
    query = select(accounts.c.id).where(accounts.c.name == SYSTEM_ACCOUNT)
    system = connection.execute(query)
    if system.first() is not None:
        return
    keys = {name: randomness(KEY_BYTES) for name in KEY_NAMES}
    head = first_head(keys[AUDIT_KEY], SYSTEM_ACCOUNT)
    connection.execute(accounts.insert(), new_account(keys, SYSTEM_ACCOUNT, clock(), head))
    for name, key in keys.items():
        sealed = keyring.seal(key, key_context(name))
        values = {"name": name, "key_id": sealed.key_id, "sealed": sealed.data}
        connection.execute(sealed_keys.insert(), values)
