"""Whatever goes wrong with an installation: everything is as before, and people get in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import installed_host
from harness.installed_host import Host
from harness.waiting import until

SHIPPED = "/usr/share/sftp-mfa/sshd_config"
STATE = "/var/backups/sftp-mfa/state.json"
DROP_IN = "/etc/ssh/sshd_config.d/50-sftp-mfa.conf"
_PATIENCE = 20


@pytest.fixture(params=installed_host.PYTHONS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Run a system with a helper, and ann on it."""
    with installed_host.host(request.param, tmp_path) as made:
        made.start_helper()
        made.make_user("ann")
        yield made


@pytest.fixture
def bookworm(tmp_path: Path) -> Iterator[Host]:
    """Run Debian 12, on which /etc/pam.d/sshd itself is edited."""
    with installed_host.host("bookworm", tmp_path) as made:
        made.start_helper()
        made.make_user("ann")
        yield made


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
        assert self._host.gets_in("ann")


def change(host: Host, path: str, old: str, new: str) -> None:
    """Change a file that the package ships."""
    text = host.root.read(path)
    assert old in text
    host.root.write(path, text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("auth [success=ignore default=die]               pam_sftp_mfa.so code", "#", "no code"),
        ("auth substack                                   common-auth", "#", "no MFA, password"),
        (
            "auth [success=done ignore=ignore default=die]   pam_sftp_mfa.so password",
            "auth sufficient pam_permit.so",
            "wrong password: let in",
        ),
        ("pam_sftp_mfa.so password", "pam_missing.so password", "no MFA, password"),
    ],
    ids=["no-code", "nobody-in", "everybody-in", "no-module"],
)
def test_wrong_pam_line(host: Host, old: str, new: str, said: str) -> None:
    """The logins show it: a stack that asks no code, lets nobody in, or everybody."""
    before = Before(host)
    change(host, f"{SHIPPED}/pam.d/sftp-mfa", old, new)
    failed = host.install()
    assert failed.returncode == 1
    assert said in failed.stderr
    assert failed.stderr.endswith("everything was put back\n")
    before.check()


def test_helper_that_does_not_run(bookworm: Host) -> None:
    """It is told how to start it, and nothing was changed."""
    before = Before(bookworm)
    bookworm.stop("helper")
    failed = bookworm.install()
    assert failed.returncode == 1
    assert "sftp-mfa serve-pam" in failed.stderr
    before.check()


def test_file_that_wins_against_ours(host: Host) -> None:
    """It is named."""
    other = "/etc/ssh/sshd_config.d/10-other.conf"
    host.root.write(other, "KbdInteractiveAuthentication no\n")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert f"set by {other}:1" in failed.stderr
    before.check()


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


def test_disk_that_is_nearly_full(bookworm: Host) -> None:
    """Less than what is surely enough is told before anything is done."""
    bookworm.root.shell("cp -a /etc/pam.d /tmp/kept; mount -t tmpfs -o size=1M tmpfs /etc/pam.d")
    bookworm.root.shell("cp -a /tmp/kept/. /etc/pam.d/; chmod 755 /etc/pam.d")
    before = Before(bookworm)
    failed = bookworm.install()
    assert failed.returncode == 1
    assert "free where /etc/pam.d is" in failed.stderr
    before.check()


def test_disk_that_becomes_full(host: Host) -> None:
    """A file that cannot be written any more: those before it go again."""
    host.root.shell("mount -t tmpfs -o size=4k,mode=755 tmpfs /etc/ssh/sshd_config.d")
    host.root.write("/etc/ssh/sshd_config.d/99-full.conf", "# full\n")
    before = Before(host)
    failed = host.install()
    assert failed.returncode == 1
    assert "No space left" in failed.stderr
    before.check()


def test_disk_that_is_full_on_the_way_back(bookworm: Host) -> None:
    """The way back needs no space."""
    root = bookworm.root
    root.shell("cp -a /etc/pam.d /tmp/kept; mount -t tmpfs -o size=20M tmpfs /etc/pam.d")
    root.shell("cp -a /tmp/kept/. /etc/pam.d/; chmod 755 /etc/pam.d")
    before = Before(bookworm)
    line = "auth [success=ignore default=die]               pam_sftp_mfa.so code"
    change(bookworm, f"{SHIPPED}/pam.d/sftp-mfa", line, "#")
    # What the proof's second half finds: full as soon as our last file is there.
    root.shell(
        f"(until [ -e {DROP_IN} ]; do sleep 0.01; done; cat /dev/zero >/etc/pam.d/zeros) "
        ">/dev/null 2>&1 </dev/null &"
    )
    failed = bookworm.install()
    assert failed.returncode == 1
    assert root.path("/etc/pam.d/zeros").stat().st_size > 0
    root.shell("rm /etc/pam.d/zeros")
    before.check()


STEPS = [
    "subprocess.Popen useradd",
    "subprocess.Popen chpasswd",
    "os.link /etc/pam.d/sshd",
    "os.rename /etc/pam.d/.sftp-mfa-gate.sftp-mfa-new",
    "os.rename /etc/pam.d/.sshd.sftp-mfa-new",
    "os.rename /etc/ssh/sshd_config.d/.50-sftp-mfa.conf.sftp-mfa-new",
    "subprocess.Popen /usr/sbin/sshd",
    "os.kill ",
    "'end'",
    "subprocess.Popen userdel",
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_installation_is_undone_by_its_guardian(bookworm: Host, step: str) -> None:
    """Nobody has to do anything."""
    before = Before(bookworm)
    bookworm.put_in_killer()
    killed = bookworm.install(environment={"KILL_AT": step})
    assert killed.returncode in {-9, 137}
    until(lambda: not bookworm.root.path(STATE).exists(), killed.stderr, _PATIENCE)
    before.check()


@pytest.mark.parametrize("again", ["uninstall", "install"])
def test_killed_with_its_guardian_it_is_undone_by_the_next_command(
    bookworm: Host, again: str
) -> None:
    """`uninstall` puts everything back; `install` does so first, and then installs."""
    before = Before(bookworm)
    bookworm.put_in_killer()
    killed = bookworm.install(environment={"KILL_AT": "os.kill ", "KILL_ALL": "yes"})
    assert killed.returncode in {-9, 137}
    assert bookworm.root.path(DROP_IN).exists()
    done = bookworm.sftp_mfa(again)
    assert done.returncode == 0, done.stderr
    assert "all files are as they were" in done.stdout
    if again == "install":
        assert bookworm.root.path(DROP_IN).exists()
        assert bookworm.sftp_mfa("uninstall").returncode == 0
    before.check()


def test_killed_after_its_success_it_stays_installed(bookworm: Host) -> None:
    """Only second names of old files are left then, and the next command removes them."""
    before = Before(bookworm)
    bookworm.put_in_killer()
    step = "os.remove /etc/pam.d/.sftp-mfa-web.sftp-mfa-before"
    killed = bookworm.install(environment={"KILL_AT": step})
    assert killed.returncode in {-9, 137}
    until(lambda: not bookworm.root.path("/etc/pam.d/.sshd.sftp-mfa-before").exists(), "its end")
    assert bookworm.root.path(DROP_IN).exists()
    assert bookworm.sftp_mfa("uninstall").returncode == 0
    before.check()
