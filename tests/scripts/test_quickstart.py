"""The shipped scripts/quickstart, on a machine of its own that has no network but loopback."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from harness import sandbox
from harness.clients import Lftp, OpenSsh
from harness.installation import Device
from harness.machine import Machine, send
from harness.sshd import Sshd
from harness.waiting import until

# A start builds everything: on a busy machine that takes a while.
pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

QUICKSTART = Machine.checkout / "scripts" / "quickstart"
PLACE = Path("/var/lib/sftp-mfa-quickstart")
_PASSWORD = r"\n  password +(\S+)\n"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A quickstart that runs, by what it printed; the harness's clients take it for an sshd."""

    machine: Machine
    printed: Any
    told: str
    """What it said on standard error meanwhile."""
    known_hosts: Path

    @property
    def host(self) -> str:
        """Return where its sshd listens."""
        host: str = self.printed["sftp"]["host"]
        return host

    @property
    def port(self) -> int:
        """Return where its sshd listens."""
        port: int = self.printed["sftp"]["port"]
        return port

    @property
    def user(self) -> str:
        """Return the account's name."""
        name: str = self.printed["account"]["name"]
        return name

    @property
    def password(self) -> str:
        """Return the account's password."""
        password: str = self.printed["account"]["password"]
        return password

    @property
    def sshd(self) -> Sshd:
        """Pass for an sshd of the harness."""
        return cast("Sshd", self)

    def admin(self, *arguments: str) -> str:
        """Run the administrator's command and return what it printed."""
        ended = self.machine.run(*self.printed["admin_command"], *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def enrolled(self) -> Iterator[Device]:
        """Enroll an authenticator as a program does, reading the secret, answering with a code."""
        argv = [*self.printed["admin_command"], "add-auth-factor-totp", self.user, "--json"]
        with subprocess.Popen(
            self.machine.argv(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            begun = json.loads(process.stdout.readline())
            device = Device(begun["id"], base64.b32decode(begun["secret"]))
            completed, _ = process.communicate(f"{device.code()}\n", timeout=20)
        assert json.loads(completed)["status"] == "active"
        yield device
        self.admin("delete-auth-factor-totp", self.user, device.factor_id)


@pytest.fixture(autouse=True)
def wheels_that_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what a build needs beside what the tests need: there is no network."""
    places = [
        os.environ["PIP_FIND_LINKS"],
        *map(str, Path(os.environ["SFTP_MFA_WHEELS"]).iterdir()),
    ]
    monkeypatch.setenv("PIP_FIND_LINKS", " ".join(places))


@pytest.fixture(name="machine")
def fresh_machine(tmp_path: Path) -> Iterator[Machine]:
    """Make a machine where nothing of ours has ever run."""
    machine = Machine.make(tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def demonstration(tmp_path: Path) -> Iterator[Demonstration]:
    """Start one for programs, once for all tests, which must leave it and its account as it was."""

    def make() -> str:
        folder = sandbox.place() / "quickstart"
        folder.mkdir()
        machine = Machine.make(folder)
        started = quickstart(machine, "--detach", "--json", *ports())
        assert started.returncode == 0, started.stderr
        return json.dumps([machine.first, started.stdout, started.stderr])

    first, printed, told = json.loads(sandbox.once_per_run("quickstart", make))
    machine = Machine(first)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(machine.read(PLACE / "known_hosts"))
    assert printed.count("\n") == 1, "one object on one line, and nothing else"
    with sandbox.exclusively("quickstart in use"):
        yield Demonstration(machine, json.loads(printed), told, known_hosts)


def ports(port: int | None = None) -> list[str]:
    """Give the options for ports that nobody else has."""
    pages = sandbox.free_port()
    return ["--port", str(port or sandbox.free_port()), "--web-port", str(pages)]


def quickstart(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it."""
    return machine.run(QUICKSTART, *arguments)


class Foreground:
    """A quickstart that stays, as in a terminal."""

    def __init__(self, machine: Machine, folder: Path, *arguments: str) -> None:
        """Start it and wait for its screen's last line."""
        self._out, self._err = folder / "screen", folder / "progress"
        with self._out.open("w") as out, self._err.open("w") as err:
            argv = machine.argv(QUICKSTART, *arguments)
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
            )
        until(lambda: self.is_shown() or self.process.poll() is not None, "its screen", 300)
        assert self.is_shown(), self._err.read_text()

    def is_shown(self) -> bool:
        """Tell whether the screen is complete."""
        return "Ctrl-C ends it" in self.screen

    @property
    def screen(self) -> str:
        """Return what it shows."""
        return self._out.read_text()

    def shown(self, pattern: str) -> str:
        """Return what stands on the screen there."""
        match = re.search(pattern, self.screen)
        assert match, self.screen
        return match[1]


def test_program_gets_one_object_and_nothing_else(demonstration: Demonstration) -> None:
    """What a program needs is on standard output; what goes on is told on the other one."""
    printed = demonstration.printed
    assert set(printed) == {"sftp", "web", "account", "administrator", "config", "admin_command"}
    assert printed["sftp"] == {"host": "127.0.0.1", "port": demonstration.port}
    assert set(printed["account"]) == {"name", "password"}
    assert "[store]" in demonstration.machine.read(printed["config"])
    assert isinstance(printed["admin_command"], list)
    assert "logging in" in demonstration.told
    assert demonstration.password not in demonstration.told


def test_web_pages_know_the_administrator(demonstration: Demonstration) -> None:
    """The pages are served where the object says, and its administrator may see all accounts."""
    url = demonstration.printed["web"]["url"]
    administrator = demonstration.printed["administrator"]
    body = {"account": administrator["name"], "password": administrator["password"]}
    with urllib.request.urlopen(url, timeout=20) as page:
        assert "<form" in page.read().decode()
    asked = urllib.request.Request(
        f"{url}api/v1/auth/login",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        session = json.load(answer)["session"]["sessionToken"]
    users = urllib.request.Request(
        f"{url}api/v1/users", headers={"Authorization": f"Bearer {session}"}
    )
    with urllib.request.urlopen(users, timeout=20) as answer:
        assert answer.status == 200


def test_account_comes_without_factors(demonstration: Demonstration, openssh: OpenSsh) -> None:
    """The start's own logins leave no factor behind: the password is enough."""
    state = json.loads(demonstration.admin("show-user", demonstration.user, "--json"))
    assert state["adoptedAt"] is None
    assert (state["totp"], state["accessTokens"]) == ([], [])
    outcome = openssh.login(demonstration.sshd, demonstration.user, [demonstration.password])
    assert outcome.ok, outcome.output


def test_program_enrolls_the_account_with_the_command_it_was_given(
    demonstration: Demonstration, openssh: OpenSsh, lftp: Lftp
) -> None:
    """Password and code let in, the password alone does not, and a token does."""
    sshd, user, password = demonstration.sshd, demonstration.user, demonstration.password
    with demonstration.enrolled() as device:
        assert openssh.login(sshd, user, [password, lambda: device.code(1)]).ok
        assert not openssh.login(sshd, user, [password], method="password").ok
        issued = json.loads(demonstration.admin("add-auth-factor-access-token", user, "--json"))
        assert lftp.login(sshd, user, [issued["token"]], method="password").ok
        demonstration.admin("delete-auth-factor-access-token", user, issued["id"])


def test_account_is_for_sftp_only(demonstration: Demonstration) -> None:
    """It has no shell, no terminal and no way through to other ports, and cannot be switched to."""
    with paramiko.Transport((demonstration.host, demonstration.port)) as transport:
        transport.connect(username=demonstration.user, password=demonstration.password)
        command = transport.open_session()
        command.exec_command("echo I run")
        command.shutdown_write()
        assert b"I run" not in command.makefile().read()
        with pytest.raises(paramiko.SSHException):
            transport.open_session().get_pty()
        inward = ("127.0.0.1", demonstration.port)
        with pytest.raises(paramiko.ChannelException):
            transport.open_channel("direct-tcpip", inward, ("127.0.0.1", 1))
    passwd = demonstration.machine.read("/etc/passwd")
    (line,) = re.findall(rf"(?m)^{demonstration.user}:.*$", passwd)
    assert line.endswith(":/usr/sbin/nologin")


def test_other_accounts_are_not_let_in(demonstration: Demonstration, openssh: OpenSsh) -> None:
    """Nobody's password can be tried there, unless the account was named at the start."""
    machine = demonstration.machine
    machine.run("useradd", "--create-home", "somebody")
    try:
        machine.run("chpasswd", given="somebody:right\n")
        assert not openssh.login(demonstration.sshd, "somebody", ["right"]).ok
    finally:
        machine.run("userdel", "--remove", "somebody")


def test_secrets_are_for_root_and_the_service_only(demonstration: Demonstration) -> None:
    """No file with a secret can be read by others, and no command line has one."""
    readable = demonstration.machine.run(
        *("find", PLACE, "-type", "f", "-perm", "/o=r", "-not", "-path", f"{PLACE}/venv/*"),
        *("-exec", "grep", "-l", demonstration.password, "{}", "+"),
    )
    assert readable.stdout == ""
    assert demonstration.password in demonstration.machine.read(PLACE / "record.json")
    for name in ("record.json", "store.keys", "host_key", "store/store.db"):
        mode = demonstration.machine.run("stat", "-c", "%A", PLACE / name).stdout
        assert mode.strip().endswith("---"), name
    assert not [
        line for line in demonstration.machine.processes() if demonstration.password in line
    ]


def test_helper_has_given_up_root(demonstration: Demonstration) -> None:
    """The helper runs as the service's user, whom the quickstart has added."""
    script = """
        for one in /proc/[0-9]*; do
            grep -qa 'serve-[p]am' $one/cmdline && sed -n 's/^Uid:[[:space:]]*//p' $one/status
        done
        id -u sftp-mfa
    """
    *helpers, user = demonstration.machine.run("sh", "-c", script).stdout.splitlines()
    assert helpers
    assert {uid for helper in helpers for uid in helper.split()} == {user}


def test_second_run_shows_the_same_again(demonstration: Demonstration) -> None:
    """Who runs it twice has one of it, and is told the same."""
    before = demonstration.machine.processes()
    again = quickstart(demonstration.machine, "--detach", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == demonstration.printed
    assert "running already" in again.stderr
    assert demonstration.machine.processes() == before


def test_code_is_not_offered_where_there_is_no_factor(demonstration: Demonstration) -> None:
    """It says so, instead of a code that nobody asks for."""
    asked = quickstart(demonstration.machine, "--code")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "no authenticator" in asked.stderr


def test_stop_leaves_nothing(machine: Machine, tmp_path: Path, openssh: OpenSsh) -> None:
    """Files, accounts, PAM services and processes are those of before; so after a second stop.

    It is stopped while one client hangs at a prompt and an account of the machine's own, which
    was named at the start, is logged in.
    """
    machine.run("useradd", "somebody")
    machine.run("chpasswd", given="somebody:right\n")
    before = machine.contents()
    started = quickstart(machine, "--detach", "--json", *ports(), "--user", "somebody")
    assert started.returncode == 0, started.stderr
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(machine.read(PLACE / "known_hosts"))
    running = Demonstration(machine, json.loads(started.stdout), "", known_hosts)
    openssh.login(running.sshd, running.user, [])
    with paramiko.Transport((running.host, running.port)) as transport:
        transport.connect(username="somebody", password="right")
        paramiko.SFTPClient.from_transport(transport)
        assert "stopped" in quickstart(machine, "--stop").stderr
        assert machine.contents() == before
    again = quickstart(machine, "--stop")
    assert again.returncode == 0
    assert "nothing was running" in again.stderr
    assert machine.contents() == before


def test_person_is_shown_all_there_is_to_type(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory, openssh: OpenSsh
) -> None:
    """The screen's account, password, code and token are good; Ctrl-C leaves nothing.

    In between the terminal is killed: the next start clears away what was left.
    """
    before = machine.contents()
    folder = tmp_path_factory.mktemp("terminal")
    port = sandbox.free_port()
    first = Foreground(machine, folder, *ports(port))
    check_screen(machine, first, port, folder, openssh)
    password = first.shown(_PASSWORD)

    send(first.process, signal.SIGKILL)
    first.process.wait()
    second = Foreground(machine, folder, *ports(port))
    assert second.shown(_PASSWORD) != password
    assert len([line for line in machine.processes() if "serve-pam" in line]) == 1

    send(second.process, signal.SIGINT)
    assert second.process.wait(timeout=20) == 0
    assert machine.contents() == before


def check_screen(
    machine: Machine, shown: Foreground, port: int, folder: Path, openssh: OpenSsh
) -> None:
    """Log in with what the screen shows."""
    assert shown.screen.count("let in: a file went up and came back") == 2
    assert re.search(r"password alone +refused", shown.screen)
    assert "█▄▄▄█" in shown.screen
    user = shown.shown(rf"sftp -P {port} .* (\S+)@127\.0\.0\.1\n")
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(machine.read(shown.shown(r"UserKnownHostsFile=(\S+)")))
    sshd = cast("Sshd", Address("127.0.0.1", port, known_hosts))
    code = quickstart(machine, "--code")
    assert shown.shown(r"its key:\n +([A-Z2-7 ]+)\n").replace(" ", "").isalnum()
    password, token = shown.shown(_PASSWORD), shown.shown(r"token +(smfa_\S+)")
    assert openssh.login(sshd, user, [password, code.stdout.strip()]).ok
    assert openssh.login(sshd, user, [token]).ok


@dataclass(frozen=True)
class Address:
    """What OpenSSH's client needs of an sshd."""

    host: str
    port: int
    known_hosts: Path


def test_busy_port_is_told_in_one_line(machine: Machine) -> None:
    """It names the option, and nothing has been made."""
    before = machine.contents()
    with socket.create_server(("127.0.0.1", sandbox.free_port())) as taken:
        port = taken.getsockname()[1]
        refused = quickstart(machine, "--port", str(port))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr
    assert machine.contents() == before


def test_start_that_was_killed_half_way_is_cleared_away(machine: Machine) -> None:
    """Whatever a start had made by then, stop finds it."""
    before = machine.contents()
    process = begin(machine)
    send(process, signal.SIGKILL)
    process.communicate()
    assert "stopped" in quickstart(machine, "--stop").stderr
    until(lambda: machine.processes() == [], "the end of what it was building", 300)
    quickstart(machine, "--stop")
    assert machine.contents() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_start_that_is_interrupted_leaves_nothing(machine: Machine, number: signal.Signals) -> None:
    """Who does not want to wait for the end of the build can go, or close the window."""
    before = machine.contents()
    process = begin(machine)
    send(process, number)
    _, told = process.communicate()
    assert process.returncode == 130, told
    # What it killed may take a moment to be gone.
    until(lambda: not any(" venv " in line for line in machine.processes()), "the build's end")
    assert machine.contents() == before


def begin(machine: Machine) -> "subprocess.Popen[str]":
    """Run the quickstart up to the middle of its build."""
    process = subprocess.Popen(
        machine.argv(QUICKSTART, "--port", str(sandbox.free_port())),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: any(" venv " in line for line in machine.processes()), "the build", 300)
    return process


def test_login_that_fails_is_told_and_everything_stopped(machine: Machine) -> None:
    """On a machine whose own PAM stack lets nobody in, the start says what it saw and fails."""
    machine.run("sh", "-c", "echo 'auth requisite pam_deny.so' >/etc/pam.d/common-auth")
    machine.run("useradd", "--system", "--no-create-home", "sftp-mfa")
    before = machine.contents()
    failed = quickstart(machine, "--detach", *ports())
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "password and code: refused" in failed.stderr
    assert "Permission denied" in failed.stderr
    assert "reason=password_refused" in failed.stderr
    assert machine.contents() == before, "the service's user was there before, and stays"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prot", "1"], "--prot"),
        (["--port"], "--port"),
        (["--port", "0"], "1 to 65535"),
        (["--stop", "--json"], "--stop"),
        (["--user", "nobody-of-that-name", "--detach"], "nobody-of-that-name"),
        (["--user", "root", "--detach"], "root"),
    ],
)
def test_wrong_command_line_changes_nothing(
    machine: Machine, arguments: Sequence[str], said: str
) -> None:
    """It is told, and nothing is made."""
    before = machine.contents()
    refused = quickstart(machine, *arguments)
    assert refused.returncode in {1, 2}
    assert said in refused.stderr
    assert machine.contents() == before


def test_only_root_may(machine: Machine) -> None:
    """Who is not root is told so."""
    machine.run("chmod", "755", "/root")
    refused = machine.run("setpriv", "--reuid=nobody", "--clear-groups", QUICKSTART)
    assert refused.returncode == 2
    assert "as root" in refused.stderr
