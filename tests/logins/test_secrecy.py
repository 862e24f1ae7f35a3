"""Nothing secret is left where others may read it, and nothing of ours in a user's session."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko  # type: ignore[import-untyped]  # it ships no types
import pytest
from harness.accounts import Account, Accounts
from harness.clients import Method
from harness.sshd import Sshd, StartSshd
from harness.syslog import Syslog
from hosts import Host, Hosts, at_once
from visitor import Visitor, at_the_code_prompt, gets_in

from store.otp import base32


class Observer:
    """Reads the arguments and the environment of every process, again and again."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.seen: set[bytes] = set()
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while a block runs."""
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            for file in [
                *Path("/proc").glob("[0-9]*/cmdline"),
                *Path("/proc").glob("[0-9]*/environ"),
            ]:
                try:
                    self.seen.add(file.read_bytes())
                except OSError:
                    continue


@dataclass
class Secrets:
    """What must not be found."""

    texts: set[bytes] = field(default_factory=set)
    codes: set[bytes] = field(default_factory=set)

    def add(self, *texts: str | bytes) -> None:
        """Add passwords, tokens and keys."""
        self.texts |= {text.encode() if isinstance(text, str) else text for text in texts}

    def found_in(self, haystack: bytes) -> set[bytes]:
        """Find them; a code is six digits that stand alone."""
        numbers = set(re.findall(rb"(?<![0-9])[0-9]{6}(?![0-9])", haystack))
        return {text for text in self.texts if text in haystack} | (self.codes & numbers)


@pytest.fixture
def talkative_host(hosts: Hosts) -> Host:
    """Run a host whose sshd logs all that it can."""
    return hosts.make(sshd={"log_level": "DEBUG3"})


def log_in_in_all_ways(host: Host, accounts: Accounts, secrets: Secrets) -> Account:
    """Log in, rightly and wrongly, with everything that is secret."""
    with_mfa, without = accounts.make(), accounts.make()
    phone, spare = (host.installation.enroll(with_mfa.name, name) for name in ("phone", "spare"))
    token = host.installation.issue_token(with_mfa.name).text()
    bad_token = host.installation.issue_token(without.name).text()
    wrong = "Wrong-but-close-to-it-7351"
    code, other_code, wrong_code = phone.code(), spare.code(), phone.wrong_codes(1)[0]
    secrets.add(with_mfa.password, without.password, wrong)
    secrets.add(token, bad_token, token[13:56], bad_token[13:56])
    for device in (phone, spare):
        secrets.add(device.secret, base32(device.secret), device.secret.hex())
    secrets.codes |= {text.encode() for text in (code, other_code, wrong_code)}
    tries: list[tuple[Account, list[str]]] = [
        (with_mfa, [with_mfa.password, code]),
        (with_mfa, [with_mfa.password, wrong_code]),
        (with_mfa, [with_mfa.password + other_code]),
        (with_mfa, [with_mfa.password + wrong_code]),
        (with_mfa, [with_mfa.password, with_mfa.password]),
        (with_mfa, [wrong]),
        (with_mfa, [token]),
        (with_mfa, [bad_token]),
        (without, [without.password]),
        (without, [wrong]),
    ]
    results = at_once(lambda case: gets_in(host.sshd, case[0], *case[1]), tries)
    expected = [True, False, True, False, False, False, True, False, True, False]
    assert results == expected
    return with_mfa


def test_no_secret_is_written_anywhere(
    talkative_host: Host, accounts: Accounts, syslog: Syslog
) -> None:
    """Neither in logs, nor in arguments or environments, nor in the store's files."""
    host, secrets, observer = talkative_host, Secrets(), Observer()
    with observer.watching():
        account = log_in_in_all_ways(host, accounts, secrets)
    syslog.wait_for(account.name)
    host.wait_until_quiet()
    places = {
        "sshd's log": host.sshd.log().encode(),
        "the helper's log": host.installation.log().encode(),
        "syslog": "\n".join(syslog.lines()).encode(),
        "processes": b"\n".join(observer.seen),
        **{file.name: file.read_bytes() for file in host.installation.database.parent.iterdir()},
    }
    assert {"store.db", "store.db-wal"} <= places.keys()
    for place, content in places.items():
        assert not secrets.found_in(content), place
    # The search does find what is there.
    in_all = Secrets({account.name.encode()})
    for place in ("sshd's log", "the helper's log", "syslog"):
        assert in_all.found_in(places[place]), place
    assert Secrets({str(host.sshd.config).encode()}).found_in(places["processes"])


@contextmanager
def session(
    sshd: Sshd, account: Account, method: Method, answers: list[str]
) -> Iterator[paramiko.Transport]:
    """Log in, and stay while a block runs."""
    if method == "keyboard-interactive":
        with Visitor(sshd, account.name) as visitor:
            assert visitor.say(*answers)
            yield visitor.transport
    else:
        with paramiko.Transport((sshd.host, sshd.port)) as transport:
            transport.start_client(timeout=20)
            transport.auth_password(account.name, answers[0], fallback=False)
            yield transport


def descriptors_and_environment(transport: paramiko.Transport) -> str:
    """Run a command that shows them."""
    channel = transport.open_session()
    channel.exec_command("ls -l /proc/self/fd; env")
    return str(channel.makefile("rb").read().decode())


WAYS: dict[str, tuple[Method, str]] = {
    "password and code": ("keyboard-interactive", "password code"),
    "one string": ("password", "password+code"),
    "token, asked for": ("keyboard-interactive", "token"),
    "token by the password method": ("password", "token"),
}


@pytest.mark.parametrize("way", WAYS)
def test_session_has_nothing_of_ours(host: Host, account: Account, way: str) -> None:
    """No descriptor beside the shell's own three, no variable that tells a secret or of us."""
    method, pattern = WAYS[way]
    device = host.installation.enroll(account.name)
    code, token = device.code(), host.installation.issue_token(account.name).text()
    values = {"password": account.password, "code": code, "token": token}
    answers = ["".join(values[word] for word in part.split("+")) for part in pattern.split()]
    with session(host.sshd, account, method, answers) as transport:
        output = descriptors_and_environment(transport)
        assert host.relays() == 0
    descriptors = dict(re.findall(r" ([0-9]+) -> (\S+)", output))
    # ls itself has the folder open that it lists.
    assert descriptors.keys() == {"0", "1", "2", "3"}, output
    assert descriptors["3"].startswith("/proc/")
    assert not re.search(r"(?i)smfa|sftp.mfa|pam\.sock|AUTHTOK", output)
    secrets = Secrets({account.password.encode(), token.encode()}, {code.encode()})
    assert not secrets.found_in(output.encode())


def test_descriptors_of_a_login_under_way_would_be_found(host: Host, account: Account) -> None:
    """The search that finds none in a session finds one at the code prompt."""
    host.installation.enroll(account.name)
    with at_the_code_prompt(host.sshd, account):
        assert host.relays() == 1


@pytest.mark.parametrize("method", ["keyboard-interactive", "password"])
def test_session_of_a_user_without_mfa_is_as_before(
    host: Host, start_sshd: StartSshd, account: Account, method: Method
) -> None:
    """The same descriptors and the same variables as with the service file that came with sshd."""

    def shown(sshd: Sshd) -> tuple[list[str], set[str]]:
        with session(sshd, account, method, [account.password]) as transport:
            output = descriptors_and_environment(transport)
        descriptors = re.findall(r" ([0-9]+ -> [a-z]+)", output)
        return descriptors, set(re.findall(r"(?m)^([A-Z_]+)=", output))

    ours, before = at_once(shown, [host.sshd, start_sshd("sshd")])
    assert ours == before
