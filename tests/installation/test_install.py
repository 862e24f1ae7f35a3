"""`sftp-mfa install` and `uninstall` on whole Debian systems: in, proved, and back."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import installed_host
from harness.installed_host import Host
from harness.waiting import until

pytestmark = pytest.mark.timeout(300)  # a whole system, and several logins

DROP_IN = "/etc/ssh/sshd_config.d/50-sftp-mfa.conf"
STATE = "/var/backups/sftp-mfa/state.json"
SHIPPED = "/usr/share/sftp-mfa/sshd_config"
NOTHING = "everything is in its place: nothing was changed\n"
PROVED = (
    "no MFA, password: let in",
    "no MFA, wrong password: refused",
    "MFA, password and no code: refused",
    "MFA, password alone by `password`: refused",
    "MFA, password and code: let in",
)


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Run a system with a helper, and ann on it, whose password is all she has."""
    with installed_host.host(request.param, tmp_path) as made:
        made.start_helper()
        made.make_user("ann")
        yield made


on_each = pytest.mark.parametrize("host", installed_host.PYTHONS, indirect=True)
on_bookworm = pytest.mark.parametrize("host", ["bookworm"], indirect=True)
on_trixie = pytest.mark.parametrize("host", ["trixie"], indirect=True)


@on_each
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
    assert (again.returncode, again.stdout) == (0, NOTHING)
    assert host.contents() == installed

    gone = host.sftp_mfa("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert host.contents() == before
    assert host.accounts() == accounts
    assert host.gets_in("ann")
    assert not host.root.path(STATE).exists()


@on_bookworm
def test_upgrade_and_what_others_have_changed(host: Host) -> None:
    """A new version of our lines comes in; what others have changed stays, and is told.

    So it is with the way back: what others have written into the machine's own file stays there,
    and of a file of ours that they have changed a copy is kept.
    """
    before = host.contents()
    stack = "/etc/pam.d/sshd"
    gate = "/etc/pam.d/sftp-mfa-gate"
    assert host.install().returncode == 0
    host.root.shell(f"echo '# mine' >>{gate}")
    shipped = f"{SHIPPED}/pam.d/sftp-mfa"
    line = "pam_sftp_mfa.so code"
    host.root.write(shipped, host.root.read(shipped).replace(line, f"{line} timeout=11"))
    shown = host.install("--dry-run").stdout
    assert f"+++ {stack}\n" in shown
    assert (
        "+auth [success=ignore default=die]               pam_sftp_mfa.so code timeout=11" in shown
    )
    done = host.install()
    assert done.returncode == 0, done.stderr
    assert f"{gate} was changed since it was written, and stays as it is" in done.stderr
    assert "timeout=11" in host.root.read(stack)
    assert host.root.read(gate).endswith("# mine\n")
    assert host.install("--overwrite-changed").returncode == 0
    assert not host.root.read(gate).endswith("# mine\n")

    host.root.shell(f"echo '# mine' >>{gate}; echo '# mine too' >>{stack}")
    gone = host.sftp_mfa("uninstall")
    assert gone.returncode == 0, gone.stderr
    (kept,) = re.findall(rf"removed {gate}; as it was changed since: (\S+)\n", gone.stdout)
    assert host.root.read(kept).endswith("# mine\n")
    assert host.root.read(stack).endswith("# mine too\n")
    host.root.shell(f"sed -i '/^# mine too$/d' {stack}")
    assert _but_for_times(host.contents()) == _but_for_times(before)


def _but_for_times(contents: list[str]) -> list[str]:
    return sorted(re.sub(r" \d+\.\d+ ", " ", line) for line in contents)


@on_trixie
def test_sshd_that_lets_in_certain_people_only(host: Host) -> None:
    """The proof is made on a copy of it then, which is said, and nothing of it is left."""
    host.root.shell("groupadd chosen; gpasswd -a ann chosen")
    host.root.write("/etc/ssh/sshd_config.d/20-who.conf", "AllowGroups chosen\n")
    before = host.contents()
    done = host.install()
    assert done.returncode == 0, done.stderr
    assert "proving on a copy of it on loopback: sshd lets in certain users only" in done.stdout
    assert [line for line in PROVED if f"proved: {line}\n" in done.stdout] == list(PROVED)
    assert "proof.sshd_config" not in host.root.shell("ps -ef; ls /var/backups/sftp-mfa")
    assert host.gets_in("ann")
    host.enroll("ann")
    assert not host.gets_in("ann")
    assert host.sftp_mfa("uninstall").returncode == 0
    assert host.contents() == before


@on_bookworm
def test_machine_that_takes_public_keys_only(host: Host) -> None:
    """Passwords are opened only if that is said; the `password` method stays off."""
    host.root.write("/etc/ssh/sshd_config.d/60-keys.conf", "PasswordAuthentication no\n")
    before = host.contents()
    refused = host.install()
    assert refused.returncode == 1
    assert "--open-passwords" in refused.stderr
    assert host.contents() == before
    done = host.install("--open-passwords")
    assert done.returncode == 0, done.stderr
    assert "passwordauthentication no" in host.root.shell("sshd -T")
    assert host.gets_in("ann")
    assert host.install().stdout == NOTHING
    assert host.sftp_mfa("uninstall").returncode == 0
    assert host.contents() == before


@on_trixie
def test_sshd_that_makes_this_machine_wait(host: Host) -> None:
    """After refused logins sshd does not talk with 127.0.0.1 for a while; the proof is not hit."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: host.gets_in("ann", "wrong"), range(6)))
    with pytest.raises(AssertionError, match=r"(closed|reset) by 127\.0\.0\.1|Not allowed"):
        host.gets_in("ann")
    done = host.install()
    assert done.returncode == 0, done.stderr


@on_each
def test_sshd_of_our_own_on_its_port(host: Host) -> None:
    """The machine's sshd and PAM stack stay as they are; ours asks for codes, for SFTP only."""
    before = host.contents()
    taken = host.install("--sftp-port", "22")
    assert (taken.returncode, "port 22 cannot be used" in taken.stderr) == (1, True)
    done = host.install("--sftp-port", "2222")
    assert done.returncode == 0, done.stderr
    assert [line for line in PROVED if f"proved: {line}\n" in done.stdout] == list(PROVED)
    command = done.stdout.partition("run `")[2].partition("`")[0]
    assert "pam.d/sshd" not in "".join(set(host.contents()) - set(before))
    assert host.install("--sftp-port", "2222").stdout == NOTHING
    assert "already" in host.install().stderr

    host.start("own", command.split())
    until(lambda: host.listens(2222), "our own sshd")
    assert host.gets_in("ann", port=2222)
    host.enroll("ann")
    assert not host.gets_in("ann", port=2222)
    assert host.gets_in("ann"), "the machine's own sshd is as it was"
    told = json.loads(host.sftp_mfa("doctor", "--json").stdout)
    (other,) = [one for one in told["findings"] if one["id"] == "sshd.other"]
    assert (other["severity"], "port 22)" in other["text"]) == ("risk", True)
    host.stop("own")
    assert host.sftp_mfa("uninstall").returncode == 0
    assert host.contents() == before


@on_trixie
def test_purge_asks_and_deletes_everything(host: Host) -> None:
    """Only if the machine's name is typed; then keys, store and copies are gone as well."""
    assert host.install().returncode == 0
    refused = host.sftp_mfa("uninstall", "--purge", given="yes\n")
    assert refused.returncode == 1
    assert host.root.path(DROP_IN).exists()
    gone = host.sftp_mfa("uninstall", "--purge", given="root\n")
    assert gone.returncode == 0, gone.stderr
    for path in ("/etc/sftp-mfa", "/var/lib/sftp-mfa/store.db", "/var/backups/sftp-mfa", DROP_IN):
        assert not host.root.path(path).exists(), path
