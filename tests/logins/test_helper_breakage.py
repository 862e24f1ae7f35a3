"""A helper that is away, dead, frozen, mad or slow: nobody gets in, and soon that is said."""

import os
import pwd
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness.accounts import Account, Accounts
from harness.syslog import Syslog
from harness.waiting import until
from hosts import Host, Hosts, at_once
from store_lock import locked
from visitor import Visitor, gets_in

WAYS_TO_FAIL = {"Connection refused", "Connection reset by peer", "Connection timed out"}
TIMEOUT = 2
SOON = TIMEOUT * 3 + 6
"""Three waits of the relay at the most, pam_unix's delay, and what a busy machine adds."""


class Hook:
    """A point of a PAM stack at which it waits for the test."""

    def __init__(self, folder: Path) -> None:
        """Let everybody pass."""
        folder.mkdir()
        self._reached, self._open = folder / "reached", folder / "open"
        self.script = folder / "wait"
        self.script.write_text(
            f"#!/bin/sh\n: >{self._reached}\nuntil [ -e {self._open} ]; do sleep 0.02; done\n"
        )
        self.script.chmod(0o755)
        self.open()

    def close(self) -> None:
        """Hold up who comes."""
        self._open.unlink()

    def wait_until_reached(self) -> None:
        """Wait until somebody is held up."""
        until(self._reached.exists, "a login at this point of the stack", 20)

    def open(self) -> None:
        """Let everybody pass."""
        self._open.touch()


class HookedHost:
    """A host whose stack can be held up while it checks a password, and before the account line."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        """Put a hook into the machine's part of the stack, and one before the account lines."""
        self.check, self.account = Hook(folder / "check"), Hook(folder / "account")
        common = hosts.install_service(
            f"auth optional pam_exec.so quiet {self.check.script}\n@include common-auth\n"
        )

        def hooked(stack: str) -> str:
            hook = f"account optional pam_exec.so quiet {self.account.script}\naccount"
            return stack.replace("common-auth", common).replace("\naccount", f"\n{hook}", 1)

        self.host = hosts.make(arguments=[f"timeout={TIMEOUT}"], stack=hooked)


@pytest.fixture
def hooked(hosts: Hosts, tmp_path: Path) -> HookedHost:
    """Run a host with hooks."""
    return HookedHost(hosts, tmp_path)


def kill(host: Host) -> None:
    """End the helper as the kernel does when memory is short."""
    assert host.installation.helper is not None
    host.installation.helper.kill()


def freeze(host: Host) -> None:
    """Stop the helper where it is."""
    assert host.installation.helper is not None
    host.installation.helper.pause()


def mend(host: Host) -> None:
    """Start a killed helper, or let a frozen one go on."""
    assert host.installation.helper is not None
    if host.installation.helper.is_running:
        host.installation.helper.resume()
    else:
        host.installation.start()


Strike = Callable[[], None]
Point = Callable[[HookedHost, Account, str, Strike], Visitor]


def before_the_login(hooked: HookedHost, account: Account, code: str, strike: Strike) -> Visitor:
    """Strike, then log in."""
    del code
    strike()
    visitor = Visitor(hooked.host.sshd, account.name)
    assert visitor.asked() == "Password: "
    visitor.answer(account.password)
    return visitor


def at_the_password(hooked: HookedHost, account: Account, code: str, strike: Strike) -> Visitor:
    """Strike while the password is asked."""
    del code
    visitor = Visitor(hooked.host.sshd, account.name)
    assert visitor.asked() == "Password: "
    strike()
    visitor.answer(account.password)
    return visitor


def while_it_is_checked(hooked: HookedHost, account: Account, code: str, strike: Strike) -> Visitor:
    """Strike while the machine's own modules check the password."""
    del code
    hooked.check.close()
    visitor = Visitor(hooked.host.sshd, account.name)
    assert visitor.asked() == "Password: "
    visitor.answer(account.password)
    hooked.check.wait_until_reached()
    strike()
    hooked.check.open()
    return visitor


def at_the_code(hooked: HookedHost, account: Account, code: str, strike: Strike) -> Visitor:
    """Strike while the code is asked."""
    visitor = Visitor(hooked.host.sshd, account.name)
    assert visitor.asked() == "Password: "
    visitor.answer(account.password)
    assert visitor.asked() == "Verification code: "
    strike()
    visitor.answer(code)
    return visitor


def while_the_code_is_checked(
    hooked: HookedHost, account: Account, code: str, strike: Strike
) -> Visitor:
    """Strike while the helper waits for the store."""
    with locked(hooked.host.installation.database):
        visitor = at_the_code(hooked, account, code, lambda: None)
        time.sleep(0.5)
        strike()
    return visitor


def before_the_account_line(
    hooked: HookedHost, account: Account, code: str, strike: Strike
) -> Visitor:
    """Strike once the code was accepted."""
    hooked.account.close()
    visitor = at_the_code(hooked, account, code, lambda: None)
    hooked.account.wait_until_reached()
    strike()
    hooked.account.open()
    return visitor


POINTS: list[Point] = [
    before_the_login,
    at_the_password,
    while_it_is_checked,
    at_the_code,
    while_the_code_is_checked,
    before_the_account_line,
]


@pytest.mark.parametrize("death", [kill, freeze])
@pytest.mark.parametrize("point", POINTS)
def test_helper_that_dies_refuses_and_the_next_works(
    hooked: HookedHost,
    account: Account,
    syslog: Syslog,
    point: Point,
    death: Callable[[Host], None],
) -> None:
    """Killed or frozen at any point of a login: refused soon, logged, nothing left, then mended."""
    host = hooked.host
    device = host.installation.enroll(account.name)
    visitor = point(hooked, account, device.code(), lambda: death(host))
    started = time.monotonic()
    assert not visitor.leave()
    assert time.monotonic() - started < SOON
    path = host.installation.socket
    why = syslog.wait_for(rf"pam_sftp_mfa\(.* helper at {path} (?:failed )?\(([^)]*)\).* refusing")
    assert why[1] in WAYS_TO_FAIL
    mend(host)
    assert gets_in(host.sshd, account, account.password, device.code(1))
    host.wait_until_quiet()


def lose_the_socket(path: Path) -> Callable[[], None]:
    """Remove the socket."""
    aside = path.with_name("aside")
    path.rename(aside)

    def restore() -> None:
        aside.replace(path)

    return restore


def put_a_link(path: Path) -> Callable[[], None]:
    """Lead to it by a link."""
    restore = lose_the_socket(path)
    path.symlink_to(path.with_name("aside"))
    return restore


def put_a_file(path: Path) -> Callable[[], None]:
    """Put a file in its place."""
    restore = lose_the_socket(path)
    path.touch()
    return restore


def give_away(path: Path) -> Callable[[], None]:
    """Let another user own it."""
    owner = path.stat()
    nobody = pwd.getpwnam("nobody")
    os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return lambda: os.chown(path, owner.st_uid, owner.st_gid)


def open_the_folder(path: Path) -> Callable[[], None]:
    """Let everybody put a socket there."""
    path.parent.chmod(0o777)
    return lambda: path.parent.chmod(0o755)


SOCKETS: dict[str, tuple[Callable[[Path], Callable[[], None]], str]] = {
    "missing": (lose_the_socket, "No such file or directory"),
    "a link": (put_a_link, "not a socket in a folder, or a link"),
    "a file": (put_a_file, "not a socket in a folder, or a link"),
    "another user's": (give_away, "belongs to neither root nor the helper's user"),
    "in an open folder": (open_the_folder, "may be written by group or others"),
    "in another user's folder": (
        lambda path: give_away(path.parent),
        "belongs to neither root nor the helper's user",
    ),
}


@pytest.mark.parametrize("trouble", SOCKETS)
def test_socket_that_cannot_be_trusted_refuses(
    hosts: Hosts, accounts: Accounts, syslog: Syslog, trouble: str
) -> None:
    """With MFA or without: asked as ever, refused, and the log says what is wrong with it."""
    spoil, complaint = SOCKETS[trouble]
    host = hosts.make()
    with_mfa, without = accounts.make(), accounts.make()
    device = host.installation.enroll(with_mfa.name)
    restore = spoil(host.installation.socket)
    for results in at_once(lambda who: refused(host, who), [with_mfa, without]):
        assert results == ["Password: "]
    syslog.wait_for(rf"cannot reach the helper at {host.installation.socket} \(.*{complaint}")
    restore()
    assert gets_in(host.sshd, with_mfa, with_mfa.password, device.code())
    assert gets_in(host.sshd, without, without.password)
    host.wait_until_quiet()


def refused(host: Host, account: Account) -> list[str]:
    """Log in with the right password, be refused soon, and return the prompts."""
    started = time.monotonic()
    with Visitor(host.sshd, account.name) as visitor:
        assert not visitor.say(account.password)
    assert time.monotonic() - started < SOON
    return [prompt for _, _, prompts in visitor.requests for prompt, _ in prompts]


Speech = Callable[[socket.socket], None]


@contextmanager
def scripted_helper(path: Path, speech: Speech) -> Iterator[None]:
    """Serve a socket by a speech of the test's own for each connection."""
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, args=(listener, speech), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    shutil.rmtree(path.parent)


def serve(listener: socket.socket, speech: Speech) -> None:
    """Accept and speak."""
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=speak, args=(connection, speech), daemon=True).start()


def speak(connection: socket.socket, speech: Speech) -> None:
    """Speak and hang up."""
    with connection, suppress(OSError):
        speech(connection)


def say(*packets: bytes) -> Speech:
    """Answer each packet of the relay with one of these; stay silent then."""

    def speech(connection: socket.socket) -> None:
        for packet in packets:
            connection.recv(4096)
            connection.send(packet)
        connection.recv(4096)
        time.sleep(SOON)

    return speech


def hang_up(connection: socket.socket) -> None:
    """Say nothing at all."""
    connection.recv(4096)


MAD: dict[str, tuple[Speech, str]] = {
    "hangs up": (hang_up, "failed .Connection reset by peer"),
    "is silent": (say(), "failed .Connection timed out"),
    "is silent after the password": (say(b"PPassword: "), "failed .Connection timed out"),
    "sends noise": (say(os.urandom(400)), "sent what this line does not take"),
    "sends noise after the password": (
        say(b"PPassword: ", b"\xff" * 5000),
        "sent what this line does not take",
    ),
    "sends an empty prompt": (say(b"P"), "sent what this line does not take"),
    "grants in words": (say(b"GRANTED"), "sent what this line does not take"),
    "asks without end": (say(*[b"PPassword: "] * 40), "sent what this line does not take"),
}


@pytest.mark.parametrize("madness", MAD)
def test_mad_helper_refuses(hosts: Hosts, account: Account, syslog: Syslog, madness: str) -> None:
    """Whatever it says that is no grant: refused soon, logged, and a right helper then serves."""
    speech, complaint = MAD[madness]
    host = hosts.make(start=False, arguments=[f"timeout={TIMEOUT}"])
    device = host.installation.enroll(account.name)
    started = time.monotonic()
    with scripted_helper(host.installation.socket, speech):
        with Visitor(host.sshd, account.name) as visitor:
            assert not visitor.say(*[account.password] * 30)
        assert time.monotonic() - started < SOON
        assert visitor.requests[0] == ("", "", [("Password: ", False)])
        syslog.wait_for(rf"the helper at {host.installation.socket} {complaint}")
        host.wait_until_quiet()
    host.installation.start()
    assert gets_in(host.sshd, account, account.password, device.code())


def slowly(connection: socket.socket) -> None:
    """Let in a user without MFA, each answer just within the relay's patience."""
    greeting = connection.recv(4096)
    time.sleep(TIMEOUT * 0.6)
    if b"\0account\0" not in greeting:
        connection.send(b"S")
        connection.recv(4096)
        time.sleep(TIMEOUT * 0.6)
    connection.send(b"G")


def test_slow_helper_is_waited_for(hosts: Hosts, account: Account) -> None:
    """A helper that takes its time, but less than the relay's patience, is heard out."""
    host = hosts.make(start=False, arguments=[f"timeout={TIMEOUT}"])
    with scripted_helper(host.installation.socket, slowly):
        started = time.monotonic()
        assert gets_in(host.sshd, account, account.password)
        assert time.monotonic() - started > TIMEOUT
        assert not gets_in(host.sshd, account, "wrong")
