"""Clients that say what nobody says, or go away when nobody does: nothing leaks, nothing stops."""

import re
import secrets
from collections.abc import Callable

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Method, Paramiko
from harness.waiting import until
from hosts import Host, Hosts, at_once
from visitor import Visitor, at_the_code_prompt, gets_in

LARGE = 200_000
ODD_ANSWERS: dict[str, bytes] = {
    "large": b"x" * LARGE,
    "large digits": b"1" * LARGE,
    "a byte too long": b"x" * 1025,
    "NUL within": b"123\0456",
    "NUL behind": b"123456\0",
    "NUL alone": b"\0",
    "not UTF-8": b"\xff\xfe\xc0\x80\xed\xa0\x80",
    "other digits": "١٢٣٤٥٦".encode(),
    "line ends": b"123456\r\n",
    "control characters": bytes(range(1, 32)),
    "a format": b"%s%n%99999d",
    "a token's beginning": b"smfa_" + b"A" * 4000,
}


def test_odd_answers_are_refused(host: Host, account: Account) -> None:
    """At either prompt they end the attempt, count as no guess, and disturb nobody."""
    device = host.installation.enroll(account.name)

    def at_password(answer: bytes) -> bool:
        with Visitor(host.sshd, account.name) as visitor:
            return visitor.say(answer)

    def at_code(answer: bytes) -> bool:
        with Visitor(host.sshd, account.name) as visitor:
            return visitor.say(account.password, answer)

    assert not any(at_once(at_password, ODD_ANSWERS.values()))
    assert not any(at_once(at_code, [a for n, a in ODD_ANSWERS.items() if n != "line ends"]))
    assert host.installation.wrong_codes(account.name) <= 1  # "123456" with a NUL behind is a guess
    assert "fault of this program" not in host.installation.log()
    assert gets_in(host.sshd, account, account.password, device.code())


def test_odd_passwords_work(host: Host, accounts: Accounts) -> None:
    """Whatever the machine takes for a password is carried to it as it is."""
    passwords = ["pässwörd-☃-مرور", "%s%n{}\\'\"$(id)", " spaces around ", "x" * 500, "smfa_mine"]
    owners = [accounts.make(password=password) for password in passwords]
    devices = [host.installation.enroll(owner.name) for owner in owners]

    def log_in(number: int) -> bool:
        owner = owners[number]
        return gets_in(host.sshd, owner, owner.password, devices[number].code())

    assert all(at_once(log_in, range(len(owners))))


def odd_names(account: Account) -> list[str | bytes]:
    """Make up names that are nobody's, near an account's and far from it."""
    name = account.name
    return [
        f"nobody-{secrets.token_hex(4)}",
        "x" * 300,
        "x" * 3000,
        f"{name}\n",
        f"\n{name}",
        f"{name} ",
        f" {name}",
        f"../{name}",
        f"{name}%s%n",
        name.upper(),
        f"-{name}",
        "--help",
        "../../etc/shadow",
        "%s%n%99999d",
        'a" b=c reason=code_accepted "',
        "'; DROP TABLE accounts; --",
        "two\nlines event=login_granted",
        "\x1b[2J\x07",
        b"\xff\xfe\xc0",
        "",
        "root",
        "0",
    ]


METHODS: list[Method] = ["keyboard-interactive", "password"]


@pytest.mark.parametrize("method", METHODS)
def test_odd_names_are_refused(
    hosts: Hosts, account: Account, paramiko_client: Paramiko, method: Method
) -> None:
    """With somebody's right password too; the log stays one line for each event, and readable."""
    host = hosts.make()
    device = host.installation.enroll(account.name)

    def log_in(name: str | bytes) -> bool:
        if method == "password":
            answer = account.password + device.code()
            return paramiko_client.login(host.sshd, name, [answer], method=method).ok  # type: ignore[arg-type]
        with Visitor(host.sshd, name) as visitor:
            return visitor.say(account.password, device.code())

    assert not any(at_once(log_in, odd_names(account)))
    lines = host.installation.log().splitlines()
    assert all(re.fullmatch(r"sftp_mfa\.[a-z]+: (INFO|WARNING|ERROR): [ -~]+", x) for x in lines)
    assert not [line for line in lines if "login_granted" in line]
    assert gets_in(host.sshd, account, account.password, device.code())


TIMES = 200


def vanish_at_the_password(host: Host, account: Account) -> None:
    """Go away when the password is asked."""
    with Visitor(host.sshd, account.name) as visitor:
        assert visitor.asked() == "Password: "


def vanish_while_it_is_checked(host: Host, account: Account) -> None:
    """Go away right after the password."""
    with Visitor(host.sshd, account.name) as visitor:
        assert visitor.asked() == "Password: "
        visitor.answer(account.password)


def vanish_at_the_code(host: Host, account: Account) -> None:
    """Go away when the code is asked."""
    at_the_code_prompt(host.sshd, account).vanish()


@pytest.mark.parametrize(
    "vanish", [vanish_at_the_password, vanish_while_it_is_checked, vanish_at_the_code]
)
def test_clients_that_vanish_leave_nothing_behind(
    hosts: Hosts, account: Account, vanish: Callable[[Host, Account], None]
) -> None:
    """Two hundred clients go away at a prompt, and everything is as it was before."""
    host = hosts.make()
    device = host.installation.enroll(account.name)
    abreast = range(20)
    at_once(lambda _: vanish(host, account), abreast)  # until all of its threads have started
    host.wait_until_quiet()
    before = host.footprint()
    assert before.descriptors < 40
    for _ in range(TIMES // len(abreast)):
        at_once(lambda _: vanish(host, account), abreast)
    host.wait_until_quiet()
    after = host.footprint()
    # The pools of threads and of connections to the store grow until each has eight.
    assert after.descriptors <= before.descriptors + 3 * 8
    assert after.threads <= before.threads + 8
    assert after.kilobytes < before.kilobytes + 4_000
    assert "fault of this program" not in host.installation.log()
    assert host.installation.wrong_codes(account.name) == 0
    assert gets_in(host.sshd, account, account.password, device.code())


def test_who_takes_too_long_is_refused(hosts: Hosts, account: Account) -> None:
    """After pam.prompt_seconds the conversation is over, at either prompt."""
    host = hosts.make(more="prompt_seconds = 10\n")
    device = host.installation.enroll(account.name)
    first, second = Visitor(host.sshd, account.name), at_the_code_prompt(host.sshd, account)
    with first, second:
        assert first.asked() == "Password: "
        until(lambda: not host.conversations(), "the helper gave up", 20)
        first.answer(account.password)
        second.answer(device.code())
        assert not first.is_in()
        assert not second.is_in()
    assert gets_in(host.sshd, account, account.password, device.code())


def test_sshd_that_hangs_up_ends_the_conversation(hosts: Hosts, account: Account) -> None:
    """After LoginGraceTime nothing is left, neither of sshd's nor of the helper's."""
    host = hosts.make(sshd={"config": ["LoginGraceTime 3"]})
    device = host.installation.enroll(account.name)
    first, second = Visitor(host.sshd, account.name), at_the_code_prompt(host.sshd, account)
    with first, second:
        assert first.asked() == "Password: "
        host.wait_until_quiet()
    assert gets_in(host.sshd, account, account.password, device.code())


@pytest.mark.parametrize("suffix", [":pam", ":x", "/unconfined_r"])
def test_what_sshd_cuts_from_a_name_changes_nothing(
    host: Host, account: Account, paramiko_client: Paramiko, suffix: str
) -> None:
    """A style or (Debian's own) a role behind the name is the same account, with its MFA."""
    host.installation.enroll(account.name)
    name = f"{account.name}{suffix}"
    assert not paramiko_client.login(host.sshd, name, [account.password], method="password").ok
    with Visitor(host.sshd, name) as visitor:
        assert not visitor.say(account.password, account.password)
    assert set(host.installation.reasons(account.name)) <= {"code_missing"}
