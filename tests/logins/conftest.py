"""A whole host for a test: sshd with the shipped PAM stack, helper, store."""

from collections.abc import Iterator

import pytest
from hosts import Host, Hosts


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Run a host that the tests of a worker share: each uses accounts of its own."""
    made = Hosts(tmp_path_factory.mktemp("host"))
    yield made.make()
    made.close()


@pytest.fixture(scope="session")
def dark_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Run a host without a helper, shared likewise."""
    made = Hosts(tmp_path_factory.mktemp("dark"))
    yield made.make(start=False)
    made.close()


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Make hosts that the test may break."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    yield made
    made.close()
