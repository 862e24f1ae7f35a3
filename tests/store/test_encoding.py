"""A PostgreSQL database in another encoding than UTF-8 is refused: it could not keep every name."""

import secrets
import subprocess
from pathlib import Path

import psycopg
import pytest
from harness.postgres import Cluster
from harness.sandbox import command, place
from harness.stores import Clock, make_store, opened, settings_of, try_code

from store.database import make_engine
from store.errors import StoreUnavailableError
from store.settings import Settings
from store.upgrade import store_exists

pytestmark = pytest.mark.system


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def other(request: pytest.FixtureRequest, postgres_cluster: Cluster, key_file: Path) -> Settings:
    """Make a database in another encoding."""
    address = postgres_cluster.make_database()
    name = f"{request.param.lower()}_{address.rpartition('/')[2]}"
    with psycopg.connect(address, autocommit=True) as connection:
        how = f"ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0"
        connection.execute(f"CREATE DATABASE {name} {how}")
    return settings_of(f"{address.rpartition('/')[0]}/{name}", key_file)


def test_other_encoding_is_refused_when_made_and_when_used(other: Settings, clock: Clock) -> None:
    """In one line that says what to do, whoever opens it."""
    with opened(other, clock) as store:
        for operation in (
            lambda: make_store(other, clock),
            lambda: store_exists(other.store),
            lambda: try_code(store, "123456"),
            lambda: store.authentication.factors_of("alice"),
        ):
            with pytest.raises(StoreUnavailableError, match=r"needs UTF8: .* ENCODING") as told:
                operation()
            assert "\n" not in str(told.value)


def test_upgrade_tells_it_in_one_line(other: Settings) -> None:
    """The command's own words."""
    folder = place() / f"encoding-{secrets.token_hex(4)}"
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(f'[store]\nurl = "{other.store.url}"\nkey_file = "{folder}/keys"\n')
    program = [command("sftp-mfa"), "upgrade-store", "--config", str(config)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "needs UTF8" in done.stderr


def test_clients_encoding_in_the_environment_changes_nothing(
    postgresql: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's shell may have one set for psql."""
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    engine = make_engine(postgresql.store)
    with engine.connect() as connection:
        name = "Zoë"
        assert connection.exec_driver_sql("SELECT %s::text", (name,)).scalar_one() == name
    engine.dispose()
