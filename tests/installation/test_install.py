"""`sftp-mfa install` and `uninstall` on whole Debian systems: in, proved, and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import installed_host
from harness.installed_host import Host

DROP_IN = "/etc/ssh/sshd_config.d/50-sftp-mfa.conf"
STATE = "/var/backups/sftp-mfa/state.json"
PROVED = (
    "no MFA, password: let in",
    "no MFA, wrong password: refused",
    "MFA, password and no code: refused",
    "MFA, password alone by `password`: refused",
    "MFA, password and code: let in",
)


@pytest.fixture(params=installed_host.PYTHONS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Run a system with a helper, and ann on it, whose password is all she has."""
    with installed_host.host(request.param, tmp_path) as made:
        made.start_helper()
        made.make_user("ann")
        yield made


def test_it_goes_in_is_proved_and_comes_out_again(host: Host) -> None:
    """Who has adopted MFA needs more than the password from then on; afterwards all is as before.

    A second installation changes nothing and says so.
    """
    before, accounts = host.contents(), host.accounts()
    shown = host.install("--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert f"+++ {DROP_IN}\n" in shown.stdout
    assert (
        "+auth [success=done ignore=ignore default=die]   pam_sftp_mfa.so password" in shown.stdout
    )
    assert host.contents() == before

    done = host.install()
    assert done.returncode == 0, done.stderr
    assert [line for line in PROVED if f"proved: {line}\n" in done.stdout] == list(PROVED)
    assert host.accounts() == accounts
    assert host.gets_in("ann")
    host.enroll("ann")
    assert not host.gets_in("ann")

    installed = host.contents()
    again = host.install()
    assert (again.returncode, again.stdout) == (
        0,
        "everything is in its place: nothing was changed\n",
    )
    assert host.contents() == installed

    gone = host.sftp_mfa("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert host.contents() == before
    assert host.accounts() == accounts
    assert host.gets_in("ann")
    assert not host.root.path(STATE).exists()
