"""Whatever goes wrong with an installation: everything is as before, and people get in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import installed_host
from harness.installed_host import Host
from harness.waiting import until

pytestmark = pytest.mark.timeout(300)  # a whole system, and several logins

SHIPPED = "/usr/share/sftp-mfa/sshd_config"
STATE = "/var/backups/sftp-mfa/state.json"
JOURNAL = "/var/backups/sftp-mfa/unfinished.json"
DROP_IN = "/etc/ssh/sshd_config.d/50-sftp-mfa.conf"
_PATIENCE = 20


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Run a system with a helper, and ann on it."""
    with installed_host.host(request.param, tmp_path) as made:
        made.start_helper()
        made.make_user("ann")
        yield made


on_trixie = pytest.mark.parametrize("host", ["trixie"], indirect=True)
on_bookworm = pytest.mark.parametrize("host", ["bookworm"], indirect=True)
"""There /etc/pam.d/sshd itself is edited."""


class Before:
    """How a host was, and whether it is so again."""

    def __init__(self, host: Host) -> None:
        """Take note."""
        self._host = host
        self._files, self._accounts = host.contents(), host.accounts()

    def check(self) -> None:
        """Compare, and log in."""
        assert self._host.contents() == self._files
        assert self._host.accounts() == self._accounts
        assert not self._host.root.path(STATE).exists()
        assert not self._host.root.path(JOURNAL).exists()
        assert self._host.gets_in("ann")


def change(host: Host, path: str, old: str, new: str) -> None:
    """Change a file that the package ships."""
    text = host.root.read(path)
    assert old in text
    host.root.write(path, text.replace(old, new))


WRONG_LINES = {
    "no code is asked": (
        "auth [success=ignore default=die]               pam_sftp_mfa.so code",
        "#",
        "no code",
    ),
    "everybody gets in": (
        "auth [success=done ignore=ignore default=die]   pam_sftp_mfa.so password",
        "auth sufficient pam_permit.so",
        "wrong password: let in",
    ),
    "nobody gets in": (
        "pam_sftp_mfa.so password",
        "pam_missing.so password",
        "no MFA, password: ",
    ),
}


@pytest.mark.parametrize(
    ("host", "names"),
    [("bookworm", list(WRONG_LINES)), ("trixie", ["everybody gets in"])],
    indirect=["host"],
)
def test_wrong_pam_line(host: Host, names: list[str], subtests: pytest.Subtests) -> None:
    """The logins show it: a stack that asks no code, lets everybody in, or nobody."""
    before = Before(host)
    shipped = f"{SHIPPED}/pam.d/sftp-mfa"
    right = host.root.read(shipped)
    for name in names:
        old, new, said = WRONG_LINES[name]
        with subtests.test(name):
            change(host, shipped, old, new)
            failed = host.install()
            host.root.write(shipped, right)
            assert failed.returncode == 1
            assert said in failed.stderr
            assert failed.stderr.endswith("everything was put back\n")
            before.check()


@on_bookworm
def test_helper_that_does_not_run(host: Host) -> None:
    """It is told how to start it, and nothing was changed."""
    before = Before(host)
    host.stop("helper")
    failed = host.install()
    assert failed.returncode == 1
    assert "sftp-mfa serve-pam" in failed.stderr
    before.check()


@on_bookworm
def test_file_that_wins_against_ours(host: Host) -> None:
    """It is named."""
    other = "/etc/ssh/sshd_config.d/10-other.conf"
    host.root.write(other, "KbdInteractiveAuthentication no\n")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert f"set by {other}:1" in failed.stderr
    before.check()


@on_trixie
def test_configuration_that_sshd_does_not_accept(host: Host) -> None:
    """A drop-in that is broken already is told before anything is done; so is one that ours breaks.

    sshd that runs goes on with what it has read.
    """
    other = "/etc/ssh/sshd_config.d/60-other.conf"
    host.root.write(other, "NoSuchKeyword yes\n")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert "60-other.conf" in failed.stderr
    before.check()
    host.root.path(other).unlink()
    change(host, f"{SHIPPED}/50-sftp-mfa.conf", "UsePAM yes", "UsePAM yes\nNoSuchKeyword yes")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert "50-sftp-mfa.conf" in failed.stderr
    before.check()


@on_bookworm
def test_disk_that_is_nearly_full(host: Host) -> None:
    """Less than what is surely enough is told before anything is done."""
    host.root.shell("cp -a /etc/pam.d /tmp/kept; mount -t tmpfs -o size=1M tmpfs /etc/pam.d")
    host.root.shell("cp -a /tmp/kept/. /etc/pam.d/; chmod 755 /etc/pam.d")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert "free where /etc/pam.d is" in failed.stderr
    before.check()


@on_trixie
def test_disk_that_becomes_full(host: Host) -> None:
    """A file that cannot be written any more: those before it go again."""
    host.root.shell("mount -t tmpfs -o size=4k,mode=755 tmpfs /etc/ssh/sshd_config.d")
    host.root.write("/etc/ssh/sshd_config.d/99-full.conf", "# full\n")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert "No space left" in failed.stderr
    before.check()


@on_bookworm
def test_disk_that_is_full_on_the_way_back(host: Host) -> None:
    """The way back needs no space."""
    root = host.root
    root.shell("cp -a /etc/pam.d /tmp/kept; mount -t tmpfs -o size=20M tmpfs /etc/pam.d")
    root.shell("cp -a /tmp/kept/. /etc/pam.d/; chmod 755 /etc/pam.d")
    before = Before(host)
    line = "auth [success=ignore default=die]               pam_sftp_mfa.so code"
    change(host, f"{SHIPPED}/pam.d/sftp-mfa", line, "#")
    # What the proof's second half finds: full as soon as our last file is there.
    root.shell(
        f"(until [ -e {DROP_IN} ]; do sleep 0.01; done; cat /dev/zero >/etc/pam.d/zeros) "
        ">/dev/null 2>&1 </dev/null &"
    )
    failed = host.install()
    assert failed.returncode == 1
    assert root.path("/etc/pam.d/zeros").stat().st_size > 0
    root.shell("rm /etc/pam.d/zeros")
    before.check()


@on_trixie
def test_nobody_is_left_to_read_what_it_says(host: Host) -> None:
    """A terminal that is gone, or a pager that was left, does not stop the way back either."""
    before = Before(host)
    reader = f"sed -n '\\|^wrote {DROP_IN}|q'"
    host.root.shell(f"/usr/sbin/sftp-mfa install 2>/tmp/said | {reader}")
    assert "everything was put back" in host.root.read("/tmp/said")  # noqa: S108 - in the system
    before.check()


@on_bookworm
@pytest.mark.parametrize("step", ["os.kill ", "subprocess.Popen userdel"], ids=["reload", "end"])
def test_killed_installation_is_undone_by_its_guardian(host: Host, step: str) -> None:
    """Nobody has to do anything; what every step leaves is test_every_step.py's."""
    before = Before(host)
    host.watch_steps()
    killed = host.install(environment={"KILL_AT": step})
    assert killed.returncode in {-9, 137}
    until(lambda: not host.root.path(JOURNAL).exists(), "the guardian's end", _PATIENCE)
    before.check()


@on_bookworm
def test_killed_with_its_guardian_it_is_undone_by_the_next_command(host: Host) -> None:
    """`install` puts everything back first, and then installs; `doctor` says what to do.

    Recovery leaves an installation that is at work alone.
    """
    before = Before(host)
    host.watch_steps()
    killed = host.install(environment={"KILL_AT": "os.kill ", "KILL_ALL": "yes"})
    assert killed.returncode in {-9, 137}
    assert host.root.path(DROP_IN).exists()
    assert "`sftp-mfa recover-install` puts everything back" in host.sftp_mfa("doctor").stdout
    held = host.root.run("flock", "/var/backups/sftp-mfa", "sftp-mfa", "recover-install").stdout
    assert held == "nothing was done: another installation is at work: wait for its end\n"
    assert "is undone first" in host.install("--dry-run").stderr
    done = host.install()
    assert done.returncode == 0, done.stderr
    assert "all files are as they were" in done.stdout
    assert host.root.path(DROP_IN).exists()
    assert host.sftp_mfa("uninstall").returncode == 0
    before.check()
