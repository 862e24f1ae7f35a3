"""What `doctor` says of a real PostgreSQL whose clock is not this host's."""

from collections.abc import Iterator

import psycopg
import pytest
from harness.installation import Installation

from scripts.doctor import parts
from store.settings import load

_ANOTHER_CLOCK = """
CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz
LANGUAGE SQL AS $$ SELECT pg_catalog.clock_timestamp() + interval '{} seconds' $$;
"""
"""The double: found before PostgreSQL's own."""


@pytest.fixture
def host(postgres: str) -> Iterator[Installation]:
    """Make a host whose store is in PostgreSQL."""
    made = Installation(postgres)
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = postgres.rpartition("/")[2]
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    yield made
    made.close()


def look(host: Installation) -> dict[str, str]:
    """Give each finding's severity."""
    return {one.id: one.severity for one in parts.look(host.config, load(host.config))}


def test_clock_of_the_database(host: Installation, postgres: str) -> None:
    """A step of 30 s apart refuses codes; a few seconds are a risk; both directions count.

    Of a database that is away that is said, and nothing made up about its clock.
    """
    with psycopg.connect(postgres, autocommit=True) as connection:
        for seconds, severity in ((0, "ok"), (-10, "risk"), (45, "broken")):
            connection.execute(_ANOTHER_CLOCK.format(seconds))
            assert look(host)["clock.database"] == severity, seconds
    text = host.config.read_text()
    host.config.write_text(text.replace(postgres, f"{postgres}_that_is_not_there"))
    found = look(host)
    assert found["store"] == "broken"
    assert "clock.database" not in found
