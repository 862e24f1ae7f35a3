"""A PostgreSQL that is stopped, frozen or silent, and back again, under a store that runs on."""

import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.postgres import Cluster
from harness.processes import descendants
from harness.sandbox import place
from harness.stores import (
    Clock,
    Phone,
    enroll,
    make_store,
    opened,
    settings_of,
    try_code,
    with_changes,
)

from store.decisions import Granted
from store.errors import StoreError, StoreUnavailableError
from store.opening import Store
from store.settings import Settings, StoreSettings

pytestmark = pytest.mark.system

WAIT = 0.5
CONNECT = 2
"""libpq's own lower limit to how long a connection may take."""
SLACK = 3


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Make a cluster that may be stopped."""
    cluster = Cluster.make(place() / f"postgres-{secrets.token_hex(4)}")
    yield cluster
    cluster.stop("immediate")


@contextmanager
def stopped(cluster: Cluster, mode: str) -> Iterator[None]:
    """Stop the server, or crash it."""
    cluster.stop(mode)
    yield
    cluster.start()


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Let the server neither answer nor hang up."""
    postmaster = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
    family = [postmaster, *descendants(postmaster)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in family:
        os.kill(pid, signal.SIGCONT)


def refused(store: Store, phone: Phone, cluster: Cluster, within: float) -> str:
    """Expect a refusal in time, whose text tells no password."""
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError) as caught:
        try_code(store, phone.code())
    assert time.monotonic() - begun < within + SLACK
    assert cluster.password not in str(caught.value)
    return str(caught.value)


def test_server_that_goes_away_refuses_until_it_is_back(
    cluster: Cluster, key_file: Path, clock: Clock
) -> None:
    """Shut down, crashed or frozen: refused in time, and told why; the next one works again."""
    settings = make_store(settings_of(cluster.make_database(), key_file), clock)
    with opened(with_changes(settings, store={"wait_seconds": WAIT}), clock) as store:
        phone = enroll(store, clock)
        for mode in ("fast", "immediate"):
            with stopped(cluster, mode):
                for _ in range(10):
                    text = refused(store, phone, cluster, CONNECT)
                    assert "check that the database server runs and store.url is right" in text
            assert isinstance(try_code(store, phone.code()), Granted)
            clock.move(steps=1)
        with frozen(cluster):
            refused(store, phone, cluster, WAIT + 1 + CONNECT)
        gets_in_soon(store, phone)


def gets_in_soon(store: Store, phone: Phone) -> None:
    """Expect a right code to let in: what was frozen may hold the account for a moment."""
    deadline = time.monotonic() + 10
    while True:
        try:
            assert isinstance(try_code(store, phone.code()), Granted)
        except StoreError:
            assert time.monotonic() < deadline
        else:
            return


def test_silent_server_refuses_in_time(key_file: Path, clock: Clock) -> None:
    """A port that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"postgresql://user:hunter2@127.0.0.1:{port}/db"
        with opened(Settings(store=StoreSettings(url, str(key_file), WAIT)), clock) as store:
            begun = time.monotonic()
            with pytest.raises(StoreUnavailableError) as caught:
                store.check()
            assert time.monotonic() - begun < CONNECT + SLACK
    assert "hunter2" not in str(caught.value)
    assert "check that the database server runs" in str(caught.value)
