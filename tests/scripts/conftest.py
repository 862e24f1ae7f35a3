"""What tests of the commands share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "web_admin"))  # for web_host

from admin_terminal import Desk
from harness.accounts import Account, Accounts
from harness.sandbox import exclusively
from web_host import ADMINISTRATORS, WebHost

from store.access_tokens import Scope


@pytest.fixture(scope="session")
def admin_host() -> Iterator[WebHost]:
    """Run a host that the tests of a worker share: each uses accounts of its own."""
    made = WebHost(behind_proxy=False, more="[password_throttle.address]\nfailures = 1000\n")
    yield made
    made.close()


@pytest.fixture
def web_host_to_stop() -> Iterator[WebHost]:
    """Run a host that the test may break."""
    made = WebHost(behind_proxy=False)
    yield made
    made.close()


@pytest.fixture
def host_of_still_clock() -> Iterator[WebHost]:
    """Run a host whose clock is the test's to move."""
    made = WebHost(behind_proxy=False, clock_stands=True)
    yield made
    made.close()


@pytest.fixture
def strict() -> Iterator[WebHost]:
    """Run a host where everybody must adopt MFA."""
    with exclusively("accounts"):
        subprocess.run(["groupadd", "--force", "must-adopt"], check=True)
    made = WebHost(behind_proxy=False, more='[enforcement]\ngroups = ["must-adopt"]\n')
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path, admin_host: WebHost) -> Desk:
    """Sit down somewhere."""
    return Desk(tmp_path, admin_host)


@pytest.fixture
def ruth(accounts: Accounts) -> Account:
    """Make an administrator."""
    return accounts.make(groups=[ADMINISTRATORS])


@pytest.fixture
def job(desk: Desk, ruth: Account) -> Desk:
    """Work with an administrator's token, as a program does."""
    token = desk.host.installation.issue_token(ruth.name, scopes=tuple(Scope))
    desk.environment["SFTP_MFA_TOKEN"] = token.text()
    return desk
