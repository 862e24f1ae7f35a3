"""A column that holds what the store cannot have written: refused in one line, never a crash.

SQLite keeps a text in any column; PostgreSQL does once somebody has altered the column.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.stores import (
    ADDRESS,
    ROOT,
    Clock,
    Phone,
    attempt,
    enroll,
    make_store,
    opened,
    seeded,
    settings_of,
    try_code,
    with_changes,
)
from sqlalchemy import Column, LargeBinary

from store.audit_log import Filter
from store.database import sqlite_path
from store.decisions import Granted, Protocol, Reason
from store.errors import RequestError, StoreError
from store.opening import Store
from store.schema import metadata
from store.sessions import Stage
from store.settings import Settings
from store.upgrade import upgrade_store

NUMBERED = {("accounts", "id"), ("audit_events", "id")}
"""SQLite keeps nothing but numbers in these."""
COLUMNS = [
    pytest.param(column, id=f"{table.name}.{column.name}")
    for table in metadata.sorted_tables
    for column in table.columns
    if (table.name, column.name) not in NUMBERED
]
PROVEN = {"accounts", "totp_factors", "access_tokens", "sessions", "audit_events", "sealed_keys"}
"""Whatever is changed in these shows in `verify-audit-log`."""
ENDED = [metadata.tables["sessions"].c.account_id]
"""This is the same as that the session were deleted, which anybody may do."""
STILL_GRANTED = {
    "accounts": set[Reason](),
    "totp_factors": {Reason.ACCOUNT_OPEN, Reason.TOKEN_ACCEPTED},
    "access_tokens": {Reason.ACCOUNT_OPEN, Reason.CODE_ACCEPTED},
    "sessions": {Reason.ACCOUNT_OPEN, Reason.CODE_ACCEPTED, Reason.TOKEN_ACCEPTED},
    "audit_events": {Reason.ACCOUNT_OPEN, Reason.CODE_ACCEPTED, Reason.TOKEN_ACCEPTED},
    "sealed_keys": set[Reason](),
}
"""What opens although the columns of that table were altered."""
LONG_AGO, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


class Adopter:
    """An account with a row in every table."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Adopt MFA, and leave traces."""
        self.phone: Phone = enroll(store, clock)
        try_code(store, self.phone.code())
        clock.move(steps=1)
        self.token, made = store.access_tokens.issue("alice", "job", ROOT)
        self.token_id = made.id
        web = attempt(protocol=Protocol.WEB)
        self.session, _ = store.sessions.begin(web, Stage.FULL, "Firefox")
        store.password_throttle.enter("alice", ADDRESS)
        store.authentication.matches_code_before_password(attempt(), "000000")
        store.forms.use("form")

    def everything(self, store: Store) -> dict[str, Callable[[], object]]:
        """Give all that anybody may ask for."""
        code, token = self.phone.code(), self.token
        ask = store.authentication
        return {
            "factors": lambda: ask.factors_of("alice"),
            "account": lambda: ask.check_account(attempt()),
            "password": lambda: ask.accept_password(attempt()),
            "one string": lambda: ask.matches_code_before_password(attempt(), code),
            "code": lambda: try_code(store, code),
            "recovery code": lambda: try_code(store, "AAAA-AAAA-AAAA-AAAA"),
            "token": lambda: ask.check_token(attempt(), token),
            "request": lambda: ask.check_request(token, Protocol.API, ADDRESS),
            "session": lambda: store.sessions.find(self.session),
            "sessions": lambda: store.sessions.list("alice"),
            "guess": lambda: store.password_throttle.enter("alice", ADDRESS),
            "form": lambda: store.forms.use("form"),
            "show": lambda: store.accounts.show("alice"),
            "accounts": store.accounts.list,
            "adoption": store.accounts.adoption,
            "tokens": lambda: store.access_tokens.list("alice"),
            "authenticators": lambda: store.totp_factors.list("alice"),
            "enrollment": lambda: store.totp_factors.begin("alice", "spare", ROOT),
            "codes left": lambda: store.recovery_codes.left("alice"),
            "codes anew": lambda: store.recovery_codes.renew("alice", ROOT),
            "audit": lambda: store.audit_log.page(Filter(), 50),
            "tally": lambda: store.audit_log.tally(LONG_AGO, LATER),
            "prune": lambda: store.audit_log.prune(LONG_AGO, ROOT),
            "settle": lambda: store.restoration.settle(ROOT),
            "housekeeping": store.housekeeping.run,
            "revoke": lambda: store.access_tokens.revoke("alice", self.token_id, ROOT),
            "unlock": lambda: store.accounts.unlock("alice", ROOT),
            "forget": lambda: store.accounts.forget("alice", ROOT),
        }


def told(operation: Callable[[], object]) -> object:
    """Give what an operation gives, or the one line that it is refused with."""
    try:
        return operation()
    except (StoreError, RequestError) as caught:
        error = caught
    assert "\n" not in str(error)
    return error


def spoil(settings: Settings, column: Column[Any]) -> None:
    """Put what is of another type into a column, past the store."""
    path = sqlite_path(settings.store.url)
    assert path is not None
    odd = "'odd'" if isinstance(column.type, LargeBinary) else "x'00'"
    table = column.table.name
    newest = f"(SELECT max(rowid) FROM {table})"  # noqa: S608
    statement = f"UPDATE {table} SET {column.name} = {odd} WHERE rowid = {newest}"  # noqa: S608
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount


@pytest.mark.parametrize("column", COLUMNS)
def test_odd_value_is_refused_and_told_in_a_line(
    column: Column[Any], sqlite: Settings, clock: Clock
) -> None:
    """In each column of each table, whatever is asked of the store."""
    sqlite = with_changes(sqlite, grace={"seconds": 60})
    with opened(sqlite, clock) as store:
        adopter = Adopter(store, clock)
    spoil(sqlite, column)
    with opened(sqlite, clock) as store:
        found = told(lambda: list(store.audit_log.verify()))
        answers = {name: told(ask) for name, ask in adopter.everything(store).items()}
        told(store.key_rotation.reseal_batch)
    assert found or column.table.name not in PROVEN or column in ENDED
    if column.table.name in {"accounts", "totp_factors", "sealed_keys"}:
        assert not isinstance(answers["code"], Granted)
    if column.table.name in {"accounts", "access_tokens", "sealed_keys"}:
        assert not isinstance(answers["token"], Granted)
    if column.table.name in {"accounts", "sessions", "sealed_keys"}:
        assert isinstance(answers["session"], StoreError | None)


def test_verification_goes_on_behind_an_odd_value(sqlite: Settings, clock: Clock) -> None:
    """Who spoils one row hides nothing by that."""
    with opened(sqlite, clock) as store:
        for name in ("alice", "bob"):
            enroll(store, clock, name)
    path = sqlite_path(sqlite.store.url)
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE accounts SET mac = 'odd' WHERE name = 'alice'")
        connection.execute("UPDATE accounts SET failures = 1 WHERE name = 'bob'")
    with opened(sqlite, clock) as store:
        found = {finding.account: finding.problem for finding in store.audit_log.verify()}
    assert "accounts.mac" in found["alice"]
    assert found["bob"] == "the account's row was changed"


@pytest.fixture
def own_database(postgres: str, key_file: Path, clock: Clock) -> Settings:
    """Make a store on PostgreSQL whose columns may be altered."""
    return make_store(settings_of(postgres, key_file), clock)


@pytest.mark.system
@pytest.mark.parametrize("table", sorted(PROVEN))
def test_altered_column_of_postgresql_is_refused(
    table: str, own_database: Settings, clock: Clock
) -> None:
    """A column of bytes that somebody turned into text opens nothing."""
    with opened(own_database, clock) as store:
        adopter = Adopter(store, clock)
    blobs = [c.name for c in metadata.tables[table].columns if isinstance(c.type, LargeBinary)]
    with psycopg.connect(own_database.store.url) as connection:
        for name in blobs:
            change = f"ALTER COLUMN {name} TYPE text USING encode({name}, 'hex')"
            connection.execute(f"ALTER TABLE {table} {change}")
    with opened(own_database, clock) as store:
        assert told(lambda: list(store.audit_log.verify()))
        answers = [told(ask) for ask in adopter.everything(store).values()]
        granted = {answer.reason for answer in answers if isinstance(answer, Granted)}
        told(store.key_rotation.reseal_batch)
    assert granted <= STILL_GRANTED[table]


def test_store_with_an_odd_value_can_be_upgraded_or_says_why(
    sqlite: Settings, clock: Clock
) -> None:
    """`upgrade-store` reads the system's row, whoever wrote it."""
    path = sqlite_path(sqlite.store.url)
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE accounts SET mac = 'odd' WHERE name = ''")
    with opened(sqlite, clock) as store:
        keyring = store.units.keyring
        told(lambda: upgrade_store(sqlite.store, keyring, clock, seeded()))
