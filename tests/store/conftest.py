"""A store on each database, fresh for each test; nothing secret may get into the log."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from harness.stores import (
    Clock,
    OpenStore,
    make_key_file,
    make_sqlite,
    make_store,
    opened,
    secrets_kept_out_of,
    settings_of,
    with_changes,
)

from store.clock import Randomness
from store.opening import Store
from store.settings import Settings

hypothesis.settings.register_profile(
    "busy-machine",
    deadline=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("busy-machine")

EMPTY_IT = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('alembic_version', 'accounts', 'system_as_made', 'keys_as_made')
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$;
DELETE FROM accounts;
INSERT INTO accounts SELECT * FROM system_as_made;
INSERT INTO sealed_keys SELECT * FROM keys_as_made;
"""


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with secrets_kept_out_of(caplog, monkeypatch):
        yield


@pytest.fixture
def clock() -> Clock:
    """Hold the time still."""
    return Clock()


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the key file of all stores that are not about key files."""
    return make_key_file(tmp_path_factory.mktemp("keys") / "store.keys")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an SQLite store to copy."""
    folder = tmp_path_factory.mktemp("made-once")
    make_sqlite(folder, Clock())
    return folder


@pytest.fixture
def sqlite(made_once: Path, tmp_path: Path) -> Settings:
    """Make a fresh store on SQLite."""
    folder = tmp_path / "store"
    shutil.copytree(made_once, folder)
    return settings_of(f"sqlite:///{folder / 'store.db'}", folder / "store.keys")


@pytest.fixture(scope="session")
def kept_postgres(postgres_cluster: Any, key_file: Path) -> Iterator[Settings]:
    """Make a store on PostgreSQL that tests of this worker use in turn."""
    address = postgres_cluster.make_database()
    settings = make_store(settings_of(address, key_file), Clock())
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE system_as_made AS SELECT * FROM accounts")
        connection.execute("CREATE TABLE keys_as_made AS SELECT * FROM sealed_keys")
    yield settings
    postgres_cluster.drop_database(address)


@pytest.fixture
def postgresql(kept_postgres: Settings) -> Settings:
    """Give a store on PostgreSQL as if it were fresh."""
    with psycopg.connect(kept_postgres.store.url) as connection:
        connection.execute(EMPTY_IT)
    return kept_postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Give a fresh store, once on each database."""
    settings: Settings = request.getfixturevalue(request.param)
    return settings


@pytest.fixture
def open_store(settings: Settings, clock: Clock) -> Iterator[OpenStore]:
    """Open the fresh store, with other values in some sections, such as lockout={"failures": 1}."""
    with ExitStack() as stores:

        def open_it(randomness: Randomness | None = None, **sections: dict[str, Any]) -> Store:
            changed = with_changes(settings, **sections)
            return stores.enter_context(opened(changed, clock, randomness))

        yield open_it


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """Open the fresh store."""
    return open_store()
