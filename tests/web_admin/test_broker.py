"""The password broker: who may ask, what it says, how much of it can be had, how it ends."""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import os_accounts
import pytest
from harness.accounts import Account, Accounts
from harness.pam import PamServices
from harness.processes import Process, descendants
from harness.sandbox import checkout, command, place
from harness.syslog import Syslog
from harness.waiting import until

from store.secret import Secret
from store.settings import PasswordSettings
from web_admin import broker_wire
from web_admin.broker import Guesses
from web_admin.broker_wire import Answer, Request, Verdict, WireError
from web_admin.errors import BrokerUnavailableError
from web_admin.passwords import BrokeredPasswords

ADDRESS = "192.0.2.1"


class Broker:
    """A broker that runs, and the way to ask it."""

    def __init__(self, folder: Path, service: str, more: str = "") -> None:
        """Start it with a PAM service."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.socket = folder / "run" / "password.sock"
        config = folder / "config.toml"
        config.write_text(f'[passwords]\nsocket = "{self.socket}"\nservice = "{service}"\n{more}')
        self.argv = [command("sftp-mfa"), "serve-passwords", "--config", str(config)]
        self.process = self.start()
        self.passwords = BrokeredPasswords(PasswordSettings(socket=str(self.socket)))

    def start(self, **options: object) -> Process:
        """Start it and wait until it serves."""
        process = Process(self.argv, log=self.folder / "log", **options)  # type: ignore[arg-type]
        before = process.output().count("ready on")
        process.wait_until_ready(lambda: process.output().count("ready on") > before)
        return process

    def check(self, account: str, password: str) -> Verdict:
        """Ask whether a password is right."""
        return self.passwords.check(account, ADDRESS, Secret.of(password)).verdict

    def connect(self) -> socket.socket:
        """Connect without saying anything."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(30)
        channel.connect(str(self.socket))
        return channel


@pytest.fixture
def start_broker(pam_services: PamServices) -> Iterator[Callable[..., Broker]]:
    """Start brokers that the test's end stops; without a stack, with the one that we ship."""
    running = []

    def start(stack: str | None = None, more: str = "") -> Broker:
        shipped = (checkout() / "sshd_config" / "pam.d" / "sftp-mfa-web").read_text()
        service = pam_services.install(stack or shipped)
        folder = place() / "hosts" / secrets.token_hex(5)
        running.append(Broker(folder, service, more))
        return running[-1]

    yield start
    for broker in running:
        broker.process.stop()


@pytest.fixture
def broker(start_broker: Callable[..., Broker]) -> Broker:
    """Start one."""
    return start_broker()


def test_right_and_wrong_are_told_apart(broker: Broker, account: Account) -> None:
    """The machine's own stack decides."""
    assert broker.check(account.name, account.password) is Verdict.RIGHT
    assert broker.check(account.name, "wrong") is Verdict.WRONG
    assert broker.check("no-such-account", "wrong") is Verdict.WRONG


def test_the_account_phase_counts(broker: Broker, account: Account) -> None:
    """An account that has expired is closed, a password that has expired is to be changed."""
    os_accounts.change("chage", "--lastday", "0", account.name)
    assert broker.check(account.name, account.password) is Verdict.EXPIRED
    os_accounts.change("usermod", "--expiredate", "2020-01-01", account.name)
    assert broker.check(account.name, account.password) is Verdict.CLOSED
    assert broker.check(account.name, "wrong") is Verdict.WRONG


def test_passwords_of_any_bytes_are_checked(broker: Broker, accounts: Accounts) -> None:
    """Letters of any script, quotes and spaces arrive as they are."""
    password = "pä ss'\"\\ 密码 $(x) {y}"
    account = accounts.make(password=password)
    assert broker.check(account.name, password) is Verdict.RIGHT
    assert broker.check(account.name, password + " ") is Verdict.WRONG


@pytest.mark.parametrize("password", ["", "x" * 1025, "with\0nul"])
def test_what_cannot_be_a_password_is_a_wrong_one(
    broker: Broker, account: Account, password: str
) -> None:
    """Nothing, too much, or a NUL."""
    assert broker.check(account.name, password) is Verdict.WRONG


def test_the_address_reaches_pam(broker: Broker, account: Account, syslog: Syslog) -> None:
    """fail2ban and pam_access see where a guess came from; nobody sees the guess."""
    broker.check(account.name, "a-wrong-guess")
    syslog.wait_for(rf"authentication failure;.*rhost={ADDRESS}.*user={account.name}")
    assert "a-wrong-guess" not in "\n".join(syslog.lines()) + broker.process.output()


def test_the_password_is_changed_by_the_machines_rules(broker: Broker, account: Account) -> None:
    """As the user would, so that the old one is needed and the rules speak."""

    def change(old: str, new: str) -> Answer:
        return broker.passwords.change(account.name, ADDRESS, Secret.of(old), Secret.of(new))

    assert change("wrong", "Quite-another-1").verdict is Verdict.WRONG
    refused = change(account.password, "ab")
    assert refused == Answer(Verdict.REFUSED, "You must choose a longer password.")
    assert broker.check(account.name, account.password) is Verdict.RIGHT
    assert change(account.password, "Quite-another-1").verdict is Verdict.CHANGED
    assert broker.check(account.name, "Quite-another-1") is Verdict.RIGHT


def test_the_minimum_age_of_a_password_holds(broker: Broker, account: Account) -> None:
    """A rule that binds users and not root."""
    os_accounts.change("chage", "--mindays", "5", account.name)
    new = Secret.of("Quite-another-1")
    answer = broker.passwords.change(account.name, ADDRESS, Secret.of(account.password), new)
    assert answer.verdict is Verdict.REFUSED
    assert "wait longer" in answer.text


def test_the_password_of_root_is_neither_told_nor_changed(broker: Broker) -> None:
    """Root is like an account that does not exist."""
    os_accounts.change("chpasswd", given="root:right\n")
    assert broker.check("root", "right") is Verdict.WRONG
    answer = broker.passwords.change("root", ADDRESS, Secret.of("right"), Secret.of("Other-1-word"))
    assert answer.verdict is Verdict.WRONG


@pytest.mark.parametrize("user", ["nobody", "stranger"])
def test_only_the_services_user_may_ask(broker: Broker, accounts: Accounts, user: str) -> None:
    """Others do not get in at the socket, and where its mode were open, they are hung up on."""
    name = accounts.make().name if user == "stranger" else user
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        f"s.connect({str(broker.socket)!r}); s.settimeout(5); s.send(b'Croot\\0\\0x'); "
        "sys.exit(7 if s.recv(100) == b'' else 0)"
    )

    def ask() -> int:
        return subprocess.run(
            ["/usr/bin/python3", "-c", script],
            user=name,
            group=pwd.getpwnam(name).pw_gid,
            extra_groups=[],
            check=False,
            capture_output=True,
        ).returncode

    assert ask() == 1
    broker.socket.chmod(0o777)
    assert ask() in {1, 7}
    assert "not the service's user" in broker.process.output()


def test_who_serves_must_be_root(tmp_path: Path) -> None:
    """The web service gives no password to a socket that somebody else made."""
    path = place() / f"fake-{secrets.token_hex(4)}.sock"
    script = (
        "import socket,time; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        f"s.bind({str(path)!r}); s.listen(); print('up', flush=True); c,_=s.accept(); "
        "print(c.recv(2000), flush=True); time.sleep(60)"
    )
    place().chmod(0o777)
    with Process(["/usr/bin/python3", "-c", script], log=tmp_path / "log", user="nobody") as fake:
        fake.wait_until_ready(lambda: "up" in fake.output())
        path.chmod(0o777)
        passwords = BrokeredPasswords(PasswordSettings(socket=str(path)))
        with pytest.raises(BrokerUnavailableError, match="not root"):
            passwords.check("somebody", ADDRESS, Secret.of("a-password"))
        assert "a-password" not in fake.output()
    place().chmod(0o755)


def test_guesses_run_side_by_side(broker: Broker, accounts: Accounts) -> None:
    """Twelve wrong ones take as long as the slowest, and a right one among them does not wait."""
    victims = [accounts.make() for _ in range(4)]
    with ThreadPoolExecutor(13) as together:
        started = time.monotonic()
        wrong = [
            together.submit(broker.check, victims[number % 4].name, "wrong") for number in range(12)
        ]
        time.sleep(0.1)
        assert broker.check(victims[0].name, victims[0].password) is Verdict.RIGHT
        assert not all(one.done() for one in wrong)
        assert {one.result() for one in wrong} == {Verdict.WRONG}
        assert time.monotonic() - started < 8, "each alone waits up to 3 s"


def test_there_is_a_bound_and_who_comes_above_it_waits(
    start_broker: Callable[..., Broker], account: Account
) -> None:
    """Silent connections take no place for long, and no more processes run than allowed."""
    broker = start_broker(more="max_requests = 2\n")
    silent = [broker.connect() for _ in range(6)]
    most = 0
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(broker.check, account.name, account.password)
        while not answer.done():
            most = max(most, len(list(descendants(broker.process.pid))))
            time.sleep(0.02)
        assert answer.result() is Verdict.RIGHT
    assert most <= 2
    for connection in silent:
        connection.close()


def test_many_wrong_ones_for_an_account_are_not_looked_at(
    start_broker: Callable[..., Broker], accounts: Accounts
) -> None:
    """Not even the service's user can guess without end; other accounts are not concerned."""
    broker = start_broker(more="wrong_per_minute = 2\n")
    account, other = accounts.make(), accounts.make()
    assert [broker.check(account.name, "wrong") for _ in range(3)] == [
        Verdict.WRONG,
        Verdict.WRONG,
        Verdict.BUSY,
    ]
    assert broker.check(account.name, account.password) is Verdict.BUSY
    assert broker.check(other.name, other.password) is Verdict.RIGHT


def test_guesses_are_forgotten_after_a_minute() -> None:
    """And what is remembered of them stays small."""
    guesses = Guesses(2)
    for second in (0, 1):
        guesses.add("a", second)
    assert guesses.are_too_many("a", 2)
    assert not guesses.are_too_many("b", 2)
    assert not guesses.are_too_many("a", 60.5)
    for number in range(30_000):
        guesses.add(str(number), 100 + number)
    assert len(guesses._times) <= 10_000  # noqa: SLF001


@pytest.mark.parametrize(
    "packet", [b"", b"X", b"C", b"Ca\0b", b"Ca\0b\0c\0d\0e", b"N\0\0\0", b"\0" * 2000, b"C" * 9000]
)
def test_nonsense_is_hung_up_on(broker: Broker, account: Account, packet: bytes) -> None:
    """Whatever is sent, no answer says Right, and the broker goes on."""
    with broker.connect() as channel:
        channel.send(packet)
        assert channel.recv(100) in {b"", b"W", b"U"}
    assert broker.check(account.name, account.password) is Verdict.RIGHT


def test_a_stack_in_which_nobody_says_yes_is_a_no(
    start_broker: Callable[..., Broker], account: Account
) -> None:
    """Where common-auth has "sufficient" lines only, ours must not be the yes that is missing."""
    shipped = (checkout() / "sshd_config" / "pam.d" / "sftp-mfa-web").read_text()
    stack = shipped.replace("@include common-auth", "auth sufficient pam_unix.so")
    broker = start_broker(stack)
    assert broker.check(account.name, "wrong") is Verdict.WRONG
    assert broker.check(account.name, account.password) is Verdict.RIGHT


def test_a_module_that_crashes_or_is_missing_is_not_a_wrong_password(
    start_broker: Callable[..., Broker],
) -> None:
    """The web says "not available" then, and counts nothing."""
    broker = start_broker("auth required pam_no_such_module.so\naccount required pam_permit.so\n")
    with pytest.raises(BrokerUnavailableError):
        broker.check("nobody", "x")


def test_a_stack_that_refuses_is_obeyed(
    start_broker: Callable[..., Broker], account: Account
) -> None:
    """The service file is the one that is asked, whatever the password."""
    broker = start_broker("auth required pam_deny.so\naccount required pam_permit.so\n")
    assert broker.check(account.name, account.password) is Verdict.WRONG


def test_a_request_that_hangs_is_ended(broker: Broker, account: Account) -> None:
    """A worker that is killed leaves its question without an answer, never with a yes."""
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(broker.check, account.name, "wrong")
        (worker,) = until(lambda: list(descendants(broker.process.pid)), "a worker")
        os.kill(worker, signal.SIGALRM)
        with pytest.raises(BrokerUnavailableError):
            answer.result()
    assert broker.check(account.name, account.password) is Verdict.RIGHT


def test_it_stops_at_once_but_lets_questions_under_way_end(
    broker: Broker, account: Account
) -> None:
    """SIGTERM: the answer that somebody waits for still comes; no process is left."""
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(broker.check, account.name, "wrong")
        until(lambda: list(descendants(broker.process.pid)), "a worker")
        broker.process.signal(signal.SIGTERM)
        assert answer.result() is Verdict.WRONG
    until(lambda: not broker.process.is_running, "its end")
    assert broker.process.stop() == 0


def test_a_socket_left_behind_is_replaced_and_a_served_one_is_not(broker: Broker) -> None:
    """After a crash it comes back; a second broker beside the first is refused."""
    second = subprocess.run(broker.argv, capture_output=True, text=True, check=False, timeout=20)
    assert second.returncode == 3
    assert "another broker serves this socket" in second.stderr
    broker.process.kill()
    broker.process = broker.start()


def test_it_must_be_root_and_have_its_pam_service(broker: Broker) -> None:
    """What is missing is said in one line."""
    broker.process.stop()
    config = Path(broker.argv[-1])
    config.write_text(config.read_text() + "\n[web]\n")
    text = config.read_text()
    service = text.partition('service = "')[2].partition('"')[0]
    config.write_text(text.replace(service, "no-such-service"))
    ended = subprocess.run(broker.argv, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 3
    assert "/etc/pam.d/no-such-service is missing" in ended.stderr
    config.write_text(text)
    broker.process = broker.start()


def test_systemd_passes_the_socket_and_hears_when_it_is_ready(
    broker: Broker, account: Account
) -> None:
    """LISTEN_FDS in, READY=1 out."""
    broker.process.stop()
    path = broker.folder / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        broker.socket.unlink(missing_ok=True)
        listener.bind(str(broker.socket))
        listener.listen()
        manager.bind(str(path))
        manager.settimeout(10)
        script = 'exec 3<&"$FD"; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *broker.argv],
            pass_fds=[listener.fileno()],
            env={**os.environ, "FD": str(listener.fileno()), "NOTIFY_SOCKET": str(path)},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert manager.recv(100) == b"READY=1"
            assert broker.check(account.name, account.password) is Verdict.RIGHT
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()


def test_nothing_of_it_can_be_dumped(broker: Broker) -> None:
    """No core file holds what somebody typed."""
    limits = Path(f"/proc/{broker.process.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits


def test_a_request_survives_the_wire_and_hides_its_secrets() -> None:
    """What is written is read again; no repr shows a password."""
    packet = broker_wire.request("alice", ADDRESS, Secret(b"old"), Secret(b"new"))
    assert packet is not None
    parsed = broker_wire.parse_request(packet)
    assert parsed == Request("alice", ADDRESS, b"old", b"new")
    assert "old" not in repr(parsed)
    assert broker_wire.account_of(packet) == "alice"
    with pytest.raises(WireError):
        broker_wire.parse_answer(b"?")


def test_the_shipped_stack_is_the_machines_own() -> None:
    """Every line of ours is there for a reason that stands above it."""
    lines = (checkout() / "sshd_config" / "pam.d" / "sftp-mfa-web").read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("#"), line
