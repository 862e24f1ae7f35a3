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


@pytest.fixture(params=["sqlite", "postgresql", "postgresql with two hosts"])
def shared_store(request: pytest.FixtureRequest, hosts: Hosts) -> list[Host]:
    """Run one host, or two, on one store."""
    if request.param == "sqlite":
        return [hosts.make()]
    url = request.getfixturevalue("postgres")
    first = hosts.make(url=url)
    if request.param == "postgresql":
        return [first]
    return [first, hosts.make(url=url, keys_of=first.installation)]


@pytest.fixture
def still_host(hosts: Hosts) -> Host:
    """Run a host whose clock stands."""
    return hosts.make(clock_stands=True)
