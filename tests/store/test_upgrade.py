"""Making the schema and moving it: once, twice, at once, half-way, and from the future."""

import json
import os
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from harness.stores import Clock, enroll, opened, seeded, settings_of, try_code
from sqlalchemy import Engine, inspect, select

from store.clock import Randomness
from store.database import SCHEMA_VERSION, make_engine, sqlite_path
from store.decisions import Granted
from store.errors import SchemaMismatchError, StoreUnavailableError
from store.schema import accounts, metadata, sealed_keys
from store.sealing import Keyring
from store.settings import Settings, StoreSettings
from store.upgrade import store_exists, upgrade_store

RACERS = Path(__file__).with_name("racers.py")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path, key_file: Path) -> Settings:
    """Give the settings of a store that is not made yet, on each database."""
    if request.param == "sqlite":
        return settings_of(f"sqlite:///{tmp_path / 'store.db'}", key_file)
    return settings_of(request.getfixturevalue("postgres"), key_file)


@pytest.fixture
def engine(nowhere: Settings) -> Iterator[Engine]:
    """Look into the database."""
    engine = make_engine(nowhere.store)
    yield engine
    engine.dispose()


def upgrade(settings: Settings, clock: Clock, randomness: Randomness | None = None) -> Any:
    """Run what `sftp-mfa upgrade-store` runs."""
    chance = randomness or seeded(5)
    keyring = Keyring(Path(settings.store.key_file), seeded(6))
    return upgrade_store(settings.store, keyring, clock, chance)


def contents(engine: Engine) -> dict[str, Any]:
    """Give every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables
        }


def complaint(settings: Settings, clock: Clock) -> str:
    """Give the text of an upgrade that fails: one line, and nothing of a statement."""
    with pytest.raises(StoreUnavailableError) as caught:
        upgrade(settings, clock)
    text = str(caught.value)
    assert "\n" not in text
    assert "CREATE" not in text
    return text


def test_store_is_made_from_nothing(nowhere: Settings, clock: Clock) -> None:
    """And works from then on."""
    assert upgrade(nowhere, clock) == (None, SCHEMA_VERSION)
    with opened(nowhere, clock) as store:
        phone = enroll(store, clock)
        assert isinstance(try_code(store, phone.code()), Granted)


def test_schema_is_the_one_that_the_program_knows(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """Tables, columns, types, keys and indexes that the revisions make are those of the schema."""
    upgrade(nowhere, clock)
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_new_store_holds_its_keys_sealed_and_the_systems_row(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """Each has one of each, and the keys are not there in the clear."""
    given: list[bytes] = []

    def chance(size: int) -> bytes:
        given.append(seeded(len(given))(size))
        return given[-1]

    upgrade(nowhere, clock, chance)
    held = contents(engine)
    (system,) = held.pop("accounts")
    assert (system.name, system.created_at, system.audit_sequence) == ("", clock(), 0)
    keys = held.pop("sealed_keys")
    assert {row.name for row in keys} == {"audit", "digest", "rows"}
    assert len(given) == 3
    assert not [key for key in given if key in b"".join(row.sealed for row in keys)]
    assert not [name for name, rows in held.items() if rows]


def test_second_time_changes_nothing(nowhere: Settings, engine: Engine, clock: Clock) -> None:
    """It may be repeated, while programs work on the store."""
    upgrade(nowhere, clock)
    with opened(nowhere, clock) as store:
        phone = enroll(store, clock)
        before = contents(engine)
        assert upgrade(nowhere, clock) == (SCHEMA_VERSION, SCHEMA_VERSION)
        assert contents(engine) == before
        assert isinstance(try_code(store, phone.code()), Granted)


def test_hosts_that_upgrade_at_once_take_turns(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """One makes the store, the others find it made; none of them fails."""
    order = {
        "settings": msgspec.to_builtins(nowhere),
        "now": clock(),
        "calls": [["upgrade"]] * 5,
    }
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        [sys.executable, RACERS],
        input=json.dumps(order),
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=True,
    )
    assert Counter(json.loads(ended.stdout)) == {
        "(None, '0001')": 1,
        "('0001', '0001')": 4,
    }
    with engine.connect() as connection:
        assert len(connection.execute(select(accounts)).all()) == 1
        assert len(connection.execute(select(sealed_keys)).all()) == 3
    with opened(nowhere, clock) as store:
        store.check()


def test_store_of_a_newer_program_is_refused(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """An older program changes nothing in it."""
    upgrade(nowhere, clock)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = contents(engine)
    with pytest.raises(SchemaMismatchError, match="9999, which this program does not know"):
        upgrade(nowhere, clock)
    assert contents(engine) == before


def test_upgrade_that_fails_half_way_leaves_nothing(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """A table stands in the way of a later one: those before it are not there either."""
    in_the_way = metadata.sorted_tables[-1].name
    if sqlite_path(nowhere.store.url) is not None:
        Path(nowhere.store.url.removeprefix("sqlite:///")).touch()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {in_the_way} (x INT)")
    assert "nothing was changed" in complaint(nowhere, clock)
    assert inspect(engine).get_table_names() == [in_the_way]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {in_the_way}")
    assert upgrade(nowhere, clock) == (None, SCHEMA_VERSION)


def test_upgrade_that_is_interrupted_leaves_nothing(
    nowhere: Settings, engine: Engine, clock: Clock
) -> None:
    """Not even a schema without its keys."""

    def interrupted(_: int) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(nowhere, clock, interrupted)
    assert inspect(engine).get_table_names() == []
    assert upgrade(nowhere, clock) == (None, SCHEMA_VERSION)


def test_whether_there_is_a_store(nowhere: Settings, clock: Clock) -> None:
    """Before it is made there is none: then a missing key file may be made."""
    assert not store_exists(nowhere.store)
    upgrade(nowhere, clock)
    assert store_exists(nowhere.store)


@pytest.mark.system
def test_server_that_cannot_be_asked_is_no_missing_store(postgresql: Settings) -> None:
    """Else a second key would be made for the secrets of the first."""
    url = postgresql.store.url.replace("@127.0.0.1:", "@127.0.0.1:1")
    password = url.split(":")[2].partition("@")[0]
    with pytest.raises(StoreUnavailableError) as caught:
        store_exists(StoreSettings(url, wait_seconds=0.3))
    assert password not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_new_file_is_closed_to_others(tmp_path: Path, key_file: Path, clock: Clock) -> None:
    """Nor are the files beside it open, that SQLite makes."""
    settings = settings_of(f"sqlite:///{tmp_path / 'store.db'}", key_file)
    mask = os.umask(0)
    try:
        upgrade(settings, clock)
        with opened(settings, clock) as store:
            store.check()
            modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(mask)
    assert modes == {0o600}


@pytest.mark.parametrize("kind", ["no folder", "folder", "text"])
def test_file_that_cannot_be_made_is_named(
    tmp_path: Path, key_file: Path, clock: Clock, kind: str
) -> None:
    """The operator reads which file it is, or what it is not."""
    path = tmp_path / "store.db"
    if kind == "no folder":
        path = tmp_path / "no" / "store.db"
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("This is a text, and no database at all. " * 100)
    text = complaint(settings_of(f"sqlite:///{path}", key_file), clock)
    assert "file is not a database" in text if kind == "text" else str(path) in text
    assert kind != "text" or path.read_text().startswith("This is a text")
