"""A whole host for a test: sshd with the shipped PAM stack, helper, store."""

from collections.abc import Callable, Iterator

import pytest
from harness import pam
from harness.installation import Installation
from harness.pam import PamServices
from harness.sshd import Sshd


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Run a helper over an SQLite store."""
    made = Installation()
    made.start()
    yield made
    made.close()


@pytest.fixture
def sshd(
    installation: Installation, start_sshd: Callable[..., Sshd], pam_services: PamServices
) -> Sshd:
    """Run an sshd with the stack that we ship."""
    return start_sshd(pam_services.install(pam.shipped(installation.socket)))
