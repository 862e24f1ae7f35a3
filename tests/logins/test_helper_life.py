"""The helper's life: started, restarted, stopped, started twice, and who may talk with it."""

import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pass_socket
import pytest
import short_of_memory
from harness.accounts import Account
from harness.processes import Process
from harness.relay_client import RelayClient
from harness.waiting import until
from hosts import Host, Hosts, at_once
from store_lock import locked
from visitor import at_the_code_prompt, gets_in

HANGS_UP = b""
CANNOT_DECIDE = b"U"


def helper(host: Host) -> Process:
    """Return the helper, which runs."""
    assert host.installation.helper is not None
    return host.installation.helper


def test_restart_between_password_and_code_refuses(hosts: Hosts, account: Account) -> None:
    """The login that was under way is refused, its code stays unused, the next one works."""
    host = hosts.make()
    code = host.installation.enroll(account.name).code()
    visitor = at_the_code_prompt(host.sshd, account)
    host.installation.stop()
    host.installation.start()
    visitor.answer(code)
    assert not visitor.leave()
    assert gets_in(host.sshd, account, account.password, code)


def test_sigterm_ends_it_soon_and_refuses_what_is_open(hosts: Hosts, account: Account) -> None:
    """People at prompts, and checks that wait for the store, do not hold it up."""
    host = hosts.make()
    device = host.installation.enroll(account.name)
    waiting = [RelayClient(host.installation.socket) for _ in range(60)]
    assert {client.hello(account.name) for client in waiting} == {b"PPassword: "}
    for client in waiting[:30]:
        assert client.answer("right") == b"Nright"
        assert client.go_on() == b"PVerification code: "
    with locked(host.installation.database):
        for client in waiting[:20]:
            client.socket.send(b"A" + device.code().encode())
        time.sleep(0.3)
        started = time.monotonic()
        assert helper(host).stop() == 0
        assert time.monotonic() - started < 8
    assert {refusal(client) for client in waiting} <= {HANGS_UP, CANNOT_DECIDE}
    log = host.installation.log()
    assert log.endswith("stopped\n"), log
    host.installation.start()
    assert gets_in(host.sshd, account, account.password, device.code(1))


def test_second_helper_is_refused(hosts: Hosts, account: Account) -> None:
    """The first goes on; the second says why it does not start."""
    host = hosts.make()
    ended = host.installation.run("sftp-mfa", "serve-pam", check=False)
    assert ended.returncode == 3
    assert ended.stderr == (
        f"error: {host.installation.socket}: another helper serves this socket\n"
    )
    assert gets_in(host.sshd, account, account.password)


def test_second_helper_is_refused_while_the_first_is_too_busy_to_listen(
    hosts: Hosts, account: Account
) -> None:
    """A full queue before the first does not hold the second up, nor make it take the socket."""
    host = hosts.make()
    helper(host).pause()
    queue = list(fill_the_queue(host.installation.socket))
    ended = host.installation.run("sftp-mfa", "serve-pam", check=False)
    assert (ended.returncode, ended.stderr.rpartition(": ")[2]) == (
        3,
        "another helper serves this socket\n",
    )
    for waiting in queue:
        waiting.close()
    helper(host).resume()
    assert gets_in(host.sshd, account, account.password)


def fill_the_queue(path: Path) -> Iterator[socket.socket]:
    """Connect until the kernel takes no more."""
    with suppress(BlockingIOError):
        while True:
            waiting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            waiting.setblocking(False)  # noqa: FBT003
            waiting.connect(str(path))
            yield waiting


def test_of_two_helpers_started_at_once_one_serves(hosts: Hosts, account: Account) -> None:
    """Where a dead one has left its socket behind, two new ones do not take it from each other."""
    host = hosts.make()
    for _ in range(3):
        helper(host).kill()
        assert host.installation.socket.is_socket()
        host.installation.helper = winner(at_once(lambda n: start_rival(host, n), range(4)))
        assert gets_in(host.sshd, account, account.password)


def winner(rivals: list[Process]) -> Process:
    """Wait until one of them serves and the others have given up."""
    until(lambda: sum(rival.is_running for rival in rivals) <= 1, "all but one gave up", 20)
    (served,) = [rival for rival in rivals if rival.is_running]
    until(lambda: "ready on" in served.output(), "one serves", 20)
    return served


def test_nobody_keeps_it_from_starting_by_a_lock_on_its_folder(
    hosts: Hosts, account: Account
) -> None:
    """Who may read a folder may lock it (flock(2)): everybody, here."""
    host = hosts.make()
    host.installation.stop()
    folder = str(host.installation.socket.parent)
    hold = ["flock", "--no-fork", folder, "sh", "-c", "echo held; exec sleep 60"]
    with subprocess.Popen(hold, user=account.uid, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            host.installation.start()
            assert gets_in(host.sshd, account, account.password)
            assert holder.poll() is None
        finally:
            holder.kill()


def start_rival(host: Host, number: int) -> Process:
    """Start a helper of the same configuration."""
    log = host.installation.folder / f"rival{number}.log"
    log.unlink(missing_ok=True)
    return Process(host.installation.serve, log=log)


def test_socket_of_a_killed_helper_is_replaced(hosts: Hosts, account: Account) -> None:
    """After kill -9 the next start needs no clearing up."""
    host = hosts.make()
    helper(host).kill()
    assert host.installation.socket.is_socket()
    host.installation.start()
    assert gets_in(host.sshd, account, account.password)


def test_socket_may_be_passed_by_the_service_manager(hosts: Hosts, account: Account) -> None:
    """With LISTEN_FDS it serves the socket that it is given."""
    host = hosts.make(start=False)
    device = host.installation.enroll(account.name)
    path = host.installation.socket
    path.parent.mkdir()
    argv = [sys.executable, "-P", pass_socket.__file__, str(path), *host.installation.serve]
    host.installation.start(argv)
    until(lambda: "ready on" in host.installation.log(), "the helper is ready")
    inode = path.stat().st_ino
    assert gets_in(host.sshd, account, account.password, device.code())
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    "passed",
    [
        {"path": "another.sock"},
        {"PASSED_KIND": "SOCK_STREAM"},
        {"PASSED_COUNT": "2"},
        {"PASSED_COUNT": "0"},
    ],
    ids=["of another name", "of another kind", "two", "none"],
)
def test_it_refuses_a_passed_socket_that_sshd_would_not_knock_at(
    hosts: Hosts, passed: dict[str, str]
) -> None:
    """A socket unit and a configuration that do not fit end it with a line that says so."""
    host = hosts.make(start=False)
    path = host.installation.socket
    path.parent.mkdir(exist_ok=True)
    ended = subprocess.run(
        [
            *(sys.executable, "-P", pass_socket.__file__),
            *(path.with_name(passed.pop("path", path.name)), *host.installation.serve),
        ],
        env={"PATH": "/usr/bin:/bin", **passed},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ended.returncode == 3
    assert ended.stderr == (
        f"error: the service manager does not pass the socket {path}, which pam.socket names, and "
        "no other: mend ListenSequentialPacket= of its unit, or pam.socket\n"
    )


def test_it_tells_the_service_manager_that_it_lives(hosts: Hosts) -> None:
    """A helper whose loop hangs would not, and be started anew."""
    host = hosts.make(start=False)
    name = str(host.installation.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(name)
        Path(name).chmod(0o666)
        watched = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "5000000"}
        host.installation.start(environment=watched)
        assert manager.recv(100) == b"READY=1"
        assert {manager.recv(100) for _ in range(2)} == {b"WATCHDOG=1"}


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
def test_it_tells_the_service_manager_its_state(hosts: Hosts, kind: str) -> None:
    """READY=1 once it serves, STOPPING=1 when it is told to end."""
    host = hosts.make(start=False)
    folder = host.installation.folder
    name = str(folder / "notify") if kind == "a path" else f"@{folder}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(name.replace("@", "\0"))
        if kind == "a path":
            Path(name).chmod(0o666)
        host.installation.start(environment={"NOTIFY_SOCKET": name})
        assert manager.recv(100) == b"READY=1"
        host.installation.stop()
        assert manager.recv(100) == b"STOPPING=1"


def test_only_root_is_served(host: Host, account: Account) -> None:
    """Nobody else may open the socket; who could all the same is hung up on before a word."""
    talk = (
        "import socket, sys\n"
        "peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "peer.connect(sys.argv[1])\n"
        "print(peer.recv(100))\n"
    )

    def as_user(name: str) -> str:
        argv = [sys.executable, "-c", talk, host.installation.socket]
        entry = pwd.getpwnam(name)
        ended = subprocess.run(
            argv,
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return ended.stdout or ended.stderr.splitlines()[-1]

    for name in ("sftp-mfa", account.name):
        assert as_user(name) == "PermissionError: [Errno 13] Permission denied"
    host.installation.socket.chmod(0o666)
    try:
        assert as_user(account.name) == "b''\n"
    finally:
        host.installation.socket.chmod(0o600)
    assert "hung up on a peer that is not root" in host.installation.log()


def test_it_runs_without_privileges(host: Host) -> None:
    """As its own user, with that user's group, and with no way back."""
    status = Path(f"/proc/{helper(host).pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    entry = pwd.getpwnam("sftp-mfa")
    assert fields["Uid"].split() == [str(entry.pw_uid)] * 4
    assert fields["Gid"].split() == [str(entry.pw_gid)] * 4
    assert fields["Groups"].split() in ([], [str(entry.pw_gid)])
    assert int(fields["CapEff"], 16) == 0
    assert host.installation.socket.stat().st_mode & 0o777 == 0o600


def test_conversations_above_the_most_are_hung_up_on(hosts: Hosts, account: Account) -> None:
    """A flood is bounded, and when it ends everything works."""
    host = hosts.make(more="max_conversations = 10\n")
    clients = [RelayClient(host.installation.socket) for _ in range(10)]
    for client in clients:
        assert client.hello(account.name) == b"S"
    with RelayClient(host.installation.socket) as eleventh:
        assert refusal(eleventh) == HANGS_UP
    assert not gets_in(host.sshd, account, account.password)
    for client in clients:
        client.socket.close()
    until(lambda: not host.conversations(), "no conversation left")
    assert gets_in(host.sshd, account, account.password)


def test_short_of_descriptors_it_says_so_and_goes_on_by_itself(
    hosts: Hosts, account: Account
) -> None:
    """Who comes then waits or is refused; the log is not filled with the one complaint."""
    host = hosts.make(start=False)
    name = str(host.installation.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(name)
        Path(name).chmod(0o666)
        watched = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "5000000"}
        host.installation.start(environment=watched)
        outlast_a_shortage(host, account)
        assert helper(host).stop() == 0
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"


def outlast_a_shortage(host: Host, account: Account) -> None:
    """Take descriptors away for a while that is longer than it takes to tell of one's life."""
    pid = helper(host).pid
    assert gets_in(host.sshd, account, account.password)
    held = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    subprocess.run(
        ["prlimit", f"--pid={pid}", f"--nofile={held + 8}:"],
        user="sftp-mfa",
        group="sftp-mfa",
        extra_groups=[],
        check=True,
    )
    clients = [RelayClient(host.installation.socket) for _ in range(20)]
    advice = "raise LimitNOFILE"
    until(lambda: host.installation.log().count(advice) > 3, "the helper complains often", 20)
    for client in clients:
        client.socket.close()
    until(lambda: not host.conversations(), "no conversation left")
    assert gets_in(host.sshd, account, account.password)
    assert host.installation.log().count(advice) < len(clients)


def test_a_connection_that_it_cannot_take_costs_no_other(hosts: Hosts, account: Account) -> None:
    """Whatever went wrong with one, the helper goes on listening."""
    host = hosts.make(start=False)
    script = str(short_of_memory.__file__)
    host.installation.start([sys.executable, "-P", script, str(host.installation.config)])
    until(lambda: "MemoryError" in host.installation.log(), "it ran short of memory")
    assert gets_in(host.sshd, account, account.password)


def refusal(client: RelayClient) -> bytes:
    """Hear how the helper ends it; that may also be a reset."""
    try:
        return client.hear()
    except ConnectionResetError:
        return HANGS_UP


OUT_OF_TURN: dict[str, Callable[[RelayClient, str], bytes]] = {
    "an answer first": lambda client, _: client.answer("secret"),
    "a grant of its own": lambda client, _: client.say(b"G"),
    "noise": lambda client, _: client.say(b"\xff\x00\xff"),
    "a long packet": lambda client, _: client.say(b"H" + b"x" * 60_000),
    "another version": lambda client, name: client.say(
        b"H2\0auth\0sshd\0" + name.encode() + b"\0\0"
    ),
    "another phase": lambda client, name: client.hello(name, phase="session"),
    "two greetings": lambda client, name: (client.hello(name), client.hello(name))[1],
    "a code before the password": lambda client, name: (client.hello(name), client.go_on())[1],
}


@pytest.mark.parametrize("kind", OUT_OF_TURN)
def test_what_the_relay_never_says_is_refused(host: Host, account: Account, kind: str) -> None:
    """Out of turn, too long, of another version: a refusal and a line in the log."""
    host.installation.enroll(account.name)
    seen = len(host.installation.log())
    with RelayClient(host.installation.socket) as client:
        assert OUT_OF_TURN[kind](client, account.name) == CANNOT_DECIDE
        assert client.hear() == HANGS_UP
    assert "the PAM module sent" in host.installation.log()[seen:]


@pytest.mark.parametrize("early", ["greeting", "answer"])
def test_what_the_relay_says_before_it_has_an_answer_is_refused(
    hosts: Hosts, account: Account, early: str
) -> None:
    """It would answer what the helper has not asked yet."""
    host = hosts.make()
    host.installation.enroll(account.name)
    greeting = b"H1\0auth\0sshd\0" + account.name.encode() + b"\x00192.0.2.7\0ssh"
    helper(host).pause()
    with RelayClient(host.installation.socket) as client:
        client.socket.send(greeting)
        client.socket.send(greeting if early == "greeting" else b"Aguess")
        helper(host).resume()
        assert client.hear() == CANNOT_DECIDE
        assert client.hear() == HANGS_UP
    assert "the PAM module sent a packet out of turn" in host.installation.log()


def test_without_its_key_it_does_not_start(hosts: Hosts) -> None:
    """It says which file, in one line."""
    host = hosts.make(start=False)
    host.installation.keys.unlink()
    ended = host.installation.run("sftp-mfa", "serve-pam", check=False)
    assert ended.returncode == 3
    assert ended.stderr == f"error: {host.installation.keys}: No such file or directory\n"
