"""A person at a terminal, or a job, with `sftp-mfa-cli` and a home of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.accounts import Account

sys.path.append(str(Path(__file__).parent.parent / "logins"))  # for hosts

from hosts import Host, Hosts
from traveller import Traveller


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Run a host that the tests of a worker share: each uses accounts of its own."""
    made = Hosts(tmp_path_factory.mktemp("host"))
    yield made.make()
    made.close()


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Make hosts that the test may break."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    yield made
    made.close()


@pytest.fixture
def traveller(tmp_path: Path, host: Host, account: Account) -> Traveller:
    """Give somebody who has an account on the host, and knows its key."""
    return Traveller(tmp_path / "home", host.sshd, account.name)
