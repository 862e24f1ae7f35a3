"""What has expired goes by itself: each service sees to it as soon as it runs."""

from collections.abc import Iterator

import pytest
from harness.installation import ROOT, Installation
from harness.processes import Process
from harness.sandbox import command, free_port
from harness.waiting import until

from store.clock import system_clock
from store.opening import open_store
from store.settings import load

pytestmark = pytest.mark.system

HOUR = 3_600_000


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Make a host that has an enrollment of an hour ago, which nobody completed."""
    made = Installation(more=f'[web]\nlisten = "127.0.0.1:{free_port()}"\n')
    store = open_store(load(made.config), lambda: system_clock() - HOUR)
    store.totp_factors.begin("alice", "phone", ROOT)
    store.close()
    assert made.store.totp_factors.list("alice")
    yield made
    made.close()


def wait_until_it_is_gone(installation: Installation) -> None:
    """Look at what an administrator would see."""
    until(lambda: not installation.store.totp_factors.list("alice"), "the enrollment went", 30)


def test_helper_keeps_house(installation: Installation) -> None:
    """Also one that is started anew more often than it would be due."""
    installation.start()
    wait_until_it_is_gone(installation)


def test_web_service_keeps_house(installation: Installation) -> None:
    """Where nobody logs in over SFTP."""
    serve = [command("sftp-mfa"), "serve-web", "--config", str(installation.config)]
    web = Process(serve, log=installation.folder / "web.log")
    web.wait_until_ready(lambda: "ready" in web.output())
    try:
        wait_until_it_is_gone(installation)
    finally:
        web.stop()
