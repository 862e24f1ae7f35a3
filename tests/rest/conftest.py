"""A host with the API for a test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "web_admin"))  # for web_host

from harness.accounts import Account, Accounts
from rest_client import Client
from web_host import ADMINISTRATORS, WebHost


@pytest.fixture(scope="session")
def rest_host() -> Iterator[WebHost]:
    """Run a host that the tests of a worker share: each uses accounts and addresses of its own."""
    made = WebHost()
    yield made
    made.close()


@pytest.fixture
def client(rest_host: WebHost) -> Client:
    """Speak to the API, from an address that no other test has."""
    return Client(rest_host)


@pytest.fixture
def administrator(accounts: Accounts) -> Account:
    """Make an administrator."""
    return accounts.make(groups=[ADMINISTRATORS])
