"""The units under systemd itself, on systems where the package was installed."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import installed_host, packages, roots, sandbox
from harness.roots import Root
from harness.waiting import until

from store import otp
from store.clock import system_clock

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

EXPOSURE = {
    "pam": 1.6,
    "passwords": 3.0,
    "web": 1.6,
    "sshd": 4.2,
    "sshd-folder": 1.3,
    "recover": 3.3,
    "verify-audit-log": 1.4,
}
"""As `systemd-analyze security` counts, from 0 to 10; below 5 is "OK"."""
METRICS = "/run/sftp-mfa/metrics/pam.prom"
PASSWORD = "right-Password.7"
NEW_PASSWORD = "other-Password.8"

_ENROLL = """
import base64
import re
import sys
from pathlib import Path
from store import otp
from store.audit import Actor
from store.clock import system_clock
from store.decisions import Protocol
from store.opening import open_store
from store.settings import load
store = open_store(load(Path("/etc/sftp-mfa/config.toml")))
root = Actor("root", Protocol.HOST)
begun = store.totp_factors.begin(sys.argv[1], "phone", root)
secret = base64.b32decode(begun.secret.text())
code = otp.code_at(secret, otp.step_at(system_clock()) - 1)
store.totp_factors.complete(sys.argv[1], begun.factor.id, code, root)
print(begun.secret.text())
"""
_CALL = """
import json, sys, urllib.request
path, token, body = sys.argv[1:]
headers = {"Content-Type": "application/json"}
if token:
    headers["Authorization"] = f"Bearer {token}"
request = urllib.request.Request(f"http://127.0.0.1:8080/api/v1{path}", body.encode(), headers)
try:
    answer = urllib.request.urlopen(request, timeout=20)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.loads(answer.read() or b"null")]))
"""
_ASKPASS = """\
#!/bin/sh
case $1 in
*ode*) echo "$CODE" ;;
*) echo "$PASSWORD" ;;
esac
"""


class Machine:
    """A system with sftp-mfa in its sshd."""

    def __init__(self, root: Root, suite: str) -> None:
        """Work in a booted system."""
        self.root = root
        self.suite = suite

    def make_user(self, name: str) -> None:
        """Make an account with a password."""
        self.root.run("useradd", "--create-home", name)
        self.root.run("chpasswd", given=f"{name}:{PASSWORD}\n")

    def python(self, script: str, *arguments: str) -> str:
        """Run a script with the package's Python, as the service's user."""
        as_service = ["setpriv", "--reuid=sftp-mfa", "--regid=sftp-mfa", "--init-groups"]
        argv = [*as_service, "/usr/lib/sftp-mfa/bin/python", "-IB", "-c", script, *arguments]
        return self.root.run(*argv).stdout

    def enroll(self, name: str) -> bytes:
        """Let an account adopt MFA; give the authenticator's secret."""
        return base64.b32decode(self.python(_ENROLL, name).strip())

    def call(self, path: str, body: str, token: str = "") -> str:
        """Call the REST API; give status and answer as JSON."""
        return self.python(_CALL, path, token, body)

    def gets_in(
        self, name: str, password: str = PASSWORD, code: str = "", *, port: int = 22
    ) -> bool:
        """Tell whether OpenSSH's client gets in with these answers."""
        self.root.write("/root/askpass", _ASKPASS, 0o700)
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", f"Port={port}")
        asked = self.root.run(
            *("sftp", *(f"-o{option}" for option in (*options, "NumberOfPasswordPrompts=1"))),
            *("-oPubkeyAuthentication=no", "-oBatchMode=no", "-b", "-", f"{name}@127.0.0.1"),
            given="pwd\n",
            check=False,
            environment={
                "SSH_ASKPASS": "/root/askpass",
                "SSH_ASKPASS_REQUIRE": "force",
                "PASSWORD": password,
                "CODE": code,
            },
        )
        return asked.returncode == 0

    def is_active(self, unit: str) -> bool:
        """Tell whether a unit is up."""
        return self.root.run("systemctl", "is-active", unit, check=False).stdout == "active\n"

    def pid(self, unit: str) -> str:
        """Give a service's main process, as the system numbers it."""
        return self.shows(unit, "MainPID")

    def shows(self, unit: str, what: str) -> str:
        """Give what systemd knows of a unit."""
        return self.root.run("systemctl", "show", "-P", what, unit).stdout.strip()

    def files(self) -> list[str]:
        """List what sshd and PAM read, and the accounts."""
        listed = self.root.shell(f"{installed_host.LIST}cat /etc/passwd /etc/group /etc/shadow")
        read = re.compile(r"/etc/(pam\.d|ssh)\b|^[\w-]+:")
        return [line for line in listed.splitlines() if read.search(line)]

    def status(self, unit: str) -> dict[str, str]:
        """Give what the kernel says of a service's main process."""
        lines = self.root.read(f"/proc/{self.pid(unit)}/status").splitlines()
        return {key: " ".join(value.split()) for key, _, value in (x.partition(":") for x in lines)}

    def log(self) -> str:
        """Give what the services have logged."""
        return self.root.run("journalctl", "--no-pager", "-t", "sftp-mfa").stdout


JOURNAL = "/var/backups/sftp-mfa/unfinished.json"


@contextmanager
def booted(suite: str, disk: Path) -> Iterator[Machine]:
    """Boot a system that has the package, from its disk; in the end its power fails."""
    shared = [packages.following(suite).parent]
    below = packages.disk(suite)
    with roots.debian(suite, systemd=True, shared=shared, disk=disk, below=below) as root:
        yield Machine(root, suite)


def is_cut_off_while_it_installs(machine: Machine) -> list[str]:
    """Let the power fail when all files are exchanged; give what was there before."""
    machine.make_user("plain")
    before = machine.files()
    installed_host.put_in_watcher(machine.root)
    step = {"KILL_AT": "scripts.installation.factor", "KILL_ALL": "yes"}
    machine.root.run("sftp-mfa", "install", check=False, environment=step)
    assert machine.root.path(JOURNAL).exists()
    assert machine.root.shell("sshd -T | grep -i '^kbdinteractive'").endswith(" yes\n")
    assert machine.is_active("sftp-mfa-pam.socket")
    installed_host.take_out_watcher(machine.root)
    if machine.suite == "trixie":  # as Ubuntu has it: sshd waits for its first connection
        machine.root.run("systemctl", "disable", "ssh.service")
        machine.root.run("systemctl", "enable", "ssh.socket")
    return before


def comes_back_by_itself(machine: Machine, before: list[str]) -> None:
    """Before sshd starts, and without a hand."""
    recover, ssh = "sftp-mfa-recover.service", "ssh.service"
    if machine.suite == "trixie":
        ssh = "ssh.socket"
    journal = machine.root.shell("journalctl --no-pager -o cat")
    assert "ended before its end: all files are as they were" in journal
    assert "rdering cycle" not in journal
    assert machine.shows(recover, "Result") == "success", machine.log()
    ended = int(machine.shows(recover, "ExecMainExitTimestampMonotonic"))
    assert 0 < ended <= int(machine.shows(ssh, "InactiveExitTimestampMonotonic"))
    assert machine.files() == before
    assert not machine.root.path(JOURNAL).exists()
    assert not machine.is_active("sftp-mfa-pam.socket")
    assert machine.root.shell("find /etc/systemd -name 'sftp-mfa*'") == ""
    assert machine.gets_in("plain")
    if machine.suite == "trixie":
        machine.root.run("systemctl", "disable", "--now", "ssh.socket")
        machine.root.run("systemctl", "stop", "ssh.service")
        machine.root.run("systemctl", "enable", "--now", "ssh.service")


def sshd_starts_whatever_becomes_of_recovery(machine: Machine) -> None:
    """One that fails is to be seen, and keeps nobody out."""
    machine.root.write(JOURNAL, "{")
    machine.root.run("systemctl", "stop", "ssh.service")
    both = ("sftp-mfa-recover.service", "ssh.service")
    assert machine.root.run("systemctl", "start", *both, check=False).returncode != 0
    assert machine.shows(both[0], "Result") == "exit-code"
    assert "unfinished.json cannot be read" in machine.log()
    assert machine.gets_in("plain")
    machine.root.path(JOURNAL).unlink()
    machine.root.run("systemctl", "reset-failed")


def sshd_of_its_own(machine: Machine) -> None:
    """On its port, under its unit's restrictions, and without the machine's own."""
    machine.root.run("sftp-mfa", "install", "--sftp-port", "2222", timeout=200)
    machine.make_user("gail")
    secret = machine.enroll("gail")
    assert not machine.gets_in("gail", port=2222)
    machine.root.run("systemctl", "disable", "--now", "ssh.service")
    until(lambda: machine.root.path("/run/sshd").is_dir(), "the folder of sshd")
    assert machine.gets_in("plain", port=2222)
    code = otp.code_at(secret, otp.step_at(system_clock()))
    assert machine.gets_in("gail", code=code, port=2222)
    machine.root.run("systemctl", "enable", "--now", "ssh.service")
    machine.root.run("sftp-mfa", "uninstall")
    assert not machine.is_active("sftp-mfa-sshd.path")


def is_installed(machine: Machine) -> None:
    """Bring it into the machine's sshd, as an operator does."""
    machine.root.run("sftp-mfa", "install", timeout=200)
    config = "/etc/sftp-mfa/config.toml"
    text = machine.root.read(config)
    named = text.replace('metrics_file = ""', f'metrics_file = "{METRICS}"')
    machine.root.write(config, named)
    machine.root.run("systemctl", "restart", "sftp-mfa-pam.service")
    web = ("sftp-mfa-passwords.socket", "sftp-mfa-web.service")
    machine.root.run("systemctl", "enable", "--now", *web)


@pytest.mark.parametrize("suite", roots.SUITES)
def test_exposure_is_low_and_units_are_well_formed(suite: str) -> None:
    """As systemd itself judges them."""
    units = sandbox.checkout() / "scripts" / "service_units"
    with roots.debian(suite, shared=[units]) as root:
        for program in ("/usr/sbin/sftp-mfa", "/usr/bin/sftp-mfa-admin", "/etc/sftp-mfa/sftp-mfa"):
            root.write(program, "#!/bin/sh\n", 0o755)
        root.shell(f"cp {units}/sftp-mfa-* /etc/systemd/system")
        assert {path.stem for path in units.glob("*.service")} == {
            f"sftp-mfa-{x}" for x in EXPOSURE
        }
        for name, most in EXPOSURE.items():
            unit = f"/etc/systemd/system/sftp-mfa-{name}.service"
            judged = root.run(
                *("systemd-analyze", "security", "--offline=yes", "--no-pager"),
                *(f"--threshold={round(most * 10)}", unit),
                check=False,
            )
            assert judged.returncode == 0, judged.stdout
            assert root.run("systemd-analyze", "verify", "--man=no", unit).stderr == ""


def people_get_in(machine: Machine) -> None:
    """Through the machine's sshd, PAM and the helper under its restrictions."""
    assert machine.gets_in("plain")
    machine.make_user("alice")
    secret = machine.enroll("alice")
    assert not machine.gets_in("alice")
    code = otp.code_at(secret, otp.step_at(system_clock()))
    assert machine.gets_in("alice", code=code)
    assert not machine.gets_in("alice", code=code), "a code counts once"
    assert 'event=login_granted account="alice"' in machine.log()


def metrics_are_written(machine: Machine) -> None:
    """Where node_exporter reads them, which the helper's restrictions let it write."""
    until(machine.root.path(METRICS).exists, "the helper's metrics", 20)
    assert 'ending="granted"' in machine.root.read(METRICS)


def audit_is_verified(machine: Machine) -> None:
    """Day by day; what was changed makes the unit fail, and is in the log."""
    timer, service = (f"sftp-mfa-verify-audit-log.{kind}" for kind in ("timer", "service"))
    assert machine.is_active(timer)
    assert machine.root.run("systemctl", "is-enabled", timer).stdout == "enabled\n"
    machine.root.run("systemctl", "start", service)
    assert "The audit log is as it was written." in machine.log()
    change = "UPDATE audit_events SET address = '192.0.2.1' WHERE event = 'login_granted'"
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    machine.python(script, "/var/lib/sftp-mfa/store.db", f"{change};")
    assert machine.root.run("systemctl", "start", service, check=False).returncode != 0
    assert machine.root.run("systemctl", "is-failed", service).stdout == "failed\n"
    assert "error: the audit log is not as it was written" in machine.log()


def web_signs_in(machine: Machine) -> None:
    """Let the broker check passwords and write /etc/shadow under its restrictions."""
    machine.make_user("bob")
    wrong = machine.call("/auth/login", '{"account": "bob", "password": "wrong"}')
    assert wrong.startswith("[401,"), wrong
    right = machine.call("/auth/login", f'{{"account": "bob", "password": "{PASSWORD}"}}')
    assert right.startswith("[200,"), right + machine.log()
    token = right.partition('"sessionToken": "')[2].partition('"')[0]
    body = f'{{"oldPassword": "{PASSWORD}", "newPassword": "{NEW_PASSWORD}"}}'
    changed = machine.call("/auth/change-password", body, token)
    assert changed.startswith("[20"), changed + machine.log()
    assert machine.gets_in("bob", NEW_PASSWORD)
    assert not machine.gets_in("bob", PASSWORD)
    assert machine.root.shell("stat -c '%U:%G %a' /etc/shadow") == "root:shadow 640\n"


def kernel_restricts(machine: Machine) -> None:
    """Capabilities, privileges, system calls and disks, as the kernel tells."""
    machine.call("/auth/login", '{"account": "nobody", "password": "x"}')  # starts the broker
    chown, dac_override, fowner, setgid, setuid, audit_write = 0, 1, 3, 6, 7, 29
    roots_own = (chown, dac_override, fowner, setgid, setuid, audit_write)
    allowed = {"pam": 0, "web": 0, "passwords": sum(1 << number for number in roots_own)}
    for name, capabilities in allowed.items():
        unit = f"sftp-mfa-{name}.service"
        status = machine.status(unit)
        assert int(status["CapBnd"], 16) == capabilities, name
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), name
        inside = ["nsenter", f"--target={machine.pid(unit)}", "--mount", "--"]
        refused = machine.root.run(*inside, "touch", "/usr/bin/sftp-mfa-cli", check=False)
        assert "Read-only file system" in refused.stderr, name
    assert machine.status("sftp-mfa-pam.service")["Uid"].split()[0] != "0"


def sockets_outlive_services(machine: Machine) -> None:
    """Log in while the helper is stopped: its socket is there, and starts it again."""
    machine.make_user("carol")
    sockets = ("/run/sftp-mfa/pam.sock", "/run/sftp-mfa/password.sock")
    machine.root.run("systemctl", "stop", "sftp-mfa-pam.service", "sftp-mfa-passwords.service")
    assert [machine.root.shell(f"stat -c '%U:%G %a' {path}") for path in sockets] == [
        "root:root 600\n",
        "root:sftp-mfa 660\n",
    ]
    assert not machine.is_active("sftp-mfa-pam.service")
    assert machine.gets_in("carol")
    assert machine.is_active("sftp-mfa-pam.service")


def helper_comes_back(machine: Machine) -> None:
    """Killed, and hung: the watchdog ends what does not answer."""
    machine.make_user("dave")
    before = machine.pid("sftp-mfa-pam.service")
    machine.root.run("kill", "-KILL", before)
    until(lambda: machine.pid("sftp-mfa-pam.service") not in {before, "0"}, "a new helper")
    assert machine.gets_in("dave")
    drop_in = "/run/systemd/system/sftp-mfa-pam.service.d/soon.conf"
    machine.root.write(drop_in, "[Service]\nWatchdogSec=6\n")
    machine.root.run("systemctl", "daemon-reload")
    machine.root.run("systemctl", "restart", "sftp-mfa-pam.service")
    hung = machine.pid("sftp-mfa-pam.service")
    machine.root.run("kill", "-STOP", hung)
    until(lambda: machine.pid("sftp-mfa-pam.service") not in {hung, "0"}, "a new helper", 60)
    assert machine.gets_in("dave")


def web_reloads(machine: Machine) -> None:
    """`systemctl reload` leaves it serving."""
    machine.root.run("systemctl", "reload", "sftp-mfa-web.service")
    assert machine.call("/auth/login", '{"account": "x", "password": "y"}').startswith("[401,")


def upgrade(machine: Machine) -> None:
    """With factors in the store: who had adopted MFA has, and who had not gets in as before."""
    machine.make_user("erin")
    secret = machine.enroll("erin")
    before = {name: machine.pid(f"sftp-mfa-{name}.service") for name in ("pam", "web")}
    packages.install(machine.root, packages.following(machine.suite))
    after = {name: machine.pid(f"sftp-mfa-{name}.service") for name in before}
    assert "0" not in after.values()
    assert not set(before.values()) & set(after.values())
    assert machine.root.run("sftp-mfa", "check-config").returncode == 0
    assert not machine.gets_in("erin")
    assert machine.gets_in("erin", code=otp.code_at(secret, otp.step_at(system_clock())))


def removal(machine: Machine) -> None:
    """Nobody is locked out: with the module gone people get in as before it came."""
    machine.make_user("frank")
    machine.root.run("dpkg", "--purge", "sftp-mfa", timeout=200)
    assert "sftp" not in machine.root.shell("grep -rl pam_sftp_mfa /etc/pam.d || :")
    assert machine.root.shell("find /usr/lib -name pam_sftp_mfa.so") == ""
    assert machine.gets_in("frank")
    left = machine.root.shell("find /etc /var/lib /var/backups -name '*sftp-mfa*'").split()
    assert left == []
    assert machine.root.run("test", "-e", "/run/sftp-mfa", check=False).returncode == 1


@pytest.mark.parametrize("suite", roots.SUITES)
def test_life_of_a_host(suite: str, tmp_path: Path) -> None:
    """Cut off, installed, used, disturbed, upgraded with data in place, removed: on one disk."""
    disk = tmp_path / "disk"
    with booted(suite, disk) as machine:
        before = is_cut_off_while_it_installs(machine)
    with booted(suite, disk) as machine:
        comes_back_by_itself(machine, before)
        sshd_starts_whatever_becomes_of_recovery(machine)
        sshd_of_its_own(machine)
        is_installed(machine)
        people_get_in(machine)
        metrics_are_written(machine)
        web_signs_in(machine)
        kernel_restricts(machine)
        sockets_outlive_services(machine)
        helper_comes_back(machine)
        web_reloads(machine)
        audit_is_verified(machine)
        upgrade(machine)
        removal(machine)
