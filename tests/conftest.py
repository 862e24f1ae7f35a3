"""What every test may ask for; the machinery is in harness/."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import pam, postgres, sandbox, syslog
from harness.accounts import Account, Accounts
from harness.clients import CLIENTS, Client, Lftp, OpenSsh, Paramiko, Psftp, make_client
from harness.pam import PamServices
from harness.sshd import Sshd, StartSshd
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ONE_WORKER = ("tests/containers/", "tests/service_units/")
"""Each shares what takes long to make: by one worker, or the others would wait for it."""
NEEDS_SYSTEM = {"accounts", "pam_services", "postgres_cluster", "start_sshd", "syslog"}


def pytest_configure(config: pytest.Config) -> None:
    """Collect what is sent to syslog, once for all workers."""
    config.addinivalue_line("markers", "system: needs a running sshd, PAM or a database")
    if sandbox.is_inside() and not hasattr(config, "workerinput"):
        syslog.Listener().start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs more than Python, so that `scripts/test unit` can leave it out."""
    for item in items:
        if NEEDS_SYSTEM.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("system")


class _Scheduling(LoadGroupScheduling):
    """Each test goes to whoever is free (and xdist_group has no effect with this pytest)."""

    def _split_scope(self, nodeid: str) -> str:
        return next((part for part in ONE_WORKER if nodeid.startswith(part)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling:
    """Schedule the tests."""
    return _Scheduling(config, log)


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    """Make Unix accounts that the test's end forgets."""
    sandbox.place()
    made = Accounts()
    yield made
    made.forget_all()


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """Make one fresh account."""
    return accounts.make()


@pytest.fixture
def pam_services() -> Iterator[PamServices]:
    """Install PAM services that the test's end removes."""
    sandbox.place()
    services = PamServices()
    yield services
    services.remove_all()


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[StartSshd]:
    """Start sshds, given a PAM service's name and Sshd's options, that the test's end stops."""
    with ExitStack() as running:

        def start(service: str, *, folder: str = "sshd", **options: Any) -> Sshd:
            return running.enter_context(Sshd(tmp_path / folder, service, **options))

        yield start


@pytest.fixture
def plain_sshd(start_sshd: StartSshd, pam_services: PamServices) -> Sshd:
    """Start an sshd with the machine's own PAM stack and nothing of ours."""
    return start_sshd(pam_services.install(pam.MACHINE_ONLY))


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Client:
    """Run the test with each client."""
    return make_client(request.param, tmp_path / request.param)


@pytest.fixture
def openssh(tmp_path: Path) -> OpenSsh:
    """Drive OpenSSH's sftp."""
    return OpenSsh(tmp_path / "openssh")


@pytest.fixture
def psftp(tmp_path: Path) -> Psftp:
    """Drive PuTTY's psftp."""
    return Psftp(tmp_path / "psftp")


@pytest.fixture
def lftp(tmp_path: Path) -> Lftp:
    """Drive lftp."""
    return Lftp(tmp_path / "lftp")


@pytest.fixture
def paramiko_client(tmp_path: Path) -> Paramiko:
    """Drive paramiko."""
    return Paramiko(tmp_path / "paramiko")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Start Chromium, once a worker."""
    from harness import chromium  # noqa: PLC0415 - brings Playwright, which few tests need

    with chromium.running() as running:
        yield running


@pytest.fixture(name="syslog")
def syslog_since_now() -> syslog.Syslog:
    """Read what is sent to syslog from now on."""
    return syslog.Syslog()


@pytest.fixture(scope="session")
def postgres_cluster() -> postgres.Cluster:
    """Start PostgreSQL, once for all workers."""
    return postgres.shared_cluster()


@pytest.fixture(name="postgres")
def postgres_database(postgres_cluster: postgres.Cluster) -> Iterator[str]:
    """Make an empty database and return its address, which begins with postgresql."""
    address = postgres_cluster.make_database()
    yield address
    postgres_cluster.drop_database(address)
