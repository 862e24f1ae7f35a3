"""With MFA the right password alone is never enough, however it is tried."""

from contextlib import suppress

import pytest
from harness.accounts import Account
from harness.clients import Answer, Method, OpenSsh, Paramiko, TransferError
from hosts import Host, at_once
from visitor import gets_in

MAX_AUTH_TRIES = 6
WAYS = {
    "p": "the password by the `password` method",
    "k": "the password at both prompts",
    "e": "the password, and nothing as the code",
    "r": "the password, and a code that was used",
    "w": "a wrong password by the `password` method",
}
ORDERS = ["pppppp", "kkkkkk", "pkpkpk", "kpkpkp", "ppkkek", "ekpepk", "wpkwek", "rprkrp", "kkkppp"]


@pytest.fixture
def used_code(host: Host, account: Account) -> str:
    """Adopt MFA and use a code up."""
    code = host.installation.enroll(account.name).code()
    assert gets_in(host.sshd, account, account.password, code)
    return code


def test_no_order_of_methods_makes_the_password_enough(
    host: Host, account: Account, used_code: str, paramiko_client: Paramiko
) -> None:
    """All that one connection may try, by both methods in any order, does not let in."""
    ways: dict[str, tuple[Method, list[Answer]]] = {
        "p": ("password", [account.password]),
        "k": ("keyboard-interactive", [account.password, account.password]),
        "e": ("keyboard-interactive", [account.password, ""]),
        "r": ("keyboard-interactive", [account.password, used_code]),
        "w": ("password", ["wrong"]),
    }

    def tried(order: str) -> list[bool]:
        attempts = [ways[way] for way in order]
        return [o.ok for o in paramiko_client.attempts(host.sshd, account.name, attempts)]

    for order, results in zip(ORDERS, at_once(tried, ORDERS), strict=True):
        assert results == [False] * MAX_AUTH_TRIES, order
    assert host.installation.wrong_codes(account.name) == 0
    reasons = host.installation.reasons(account.name)
    assert reasons.count("code_accepted") == 1
    assert set(reasons) == {
        "code_accepted",
        "code_missing",
        "code_malformed",
        "code_replayed",
        "password_refused",
    }


def test_a_refused_attempt_does_not_spoil_the_next_connection(
    host: Host, account: Account, paramiko_client: Paramiko
) -> None:
    """After a `password` attempt sshd may end a good login of the same connection; not the next.

    Its PAM handle keeps the failed chain: that is OpenSSH's own and fails safe.
    """
    device = host.installation.enroll(account.name)
    codes = [device.code(), device.code(1)]
    attempts: list[tuple[Method, list[Answer]]] = [
        ("password", [account.password]),
        ("keyboard-interactive", [account.password, codes[0]]),
    ]
    with suppress(TransferError):
        outcomes = paramiko_client.attempts(host.sshd, account.name, attempts)
        assert not outcomes[0].ok
    assert gets_in(host.sshd, account, account.password, codes[1])


def test_wrong_then_right_in_one_connection_lets_in(
    host: Host, account: Account, openssh: OpenSsh
) -> None:
    """A person who mistypes first the password, then the code, gets in at the third try."""
    device = host.installation.enroll(account.name)
    wrong = device.wrong_codes(1)[0]
    answers = ["wrong", account.password, wrong, account.password, device.code]
    outcome = openssh.login(host.sshd, account.name, answers, attempts=3)
    assert outcome.ok, outcome.output
    reasons = ["password_refused", "code_wrong", "code_accepted"]
    assert host.installation.reasons(account.name) == reasons


def test_a_code_alone_lets_nobody_in(host: Host, account: Account) -> None:
    """Neither in the place of the password, nor with a wrong or an empty one."""
    device = host.installation.enroll(account.name)
    code = device.code()
    for answers in (
        [code],
        [code, code],
        ["", code],
        ["wrong", code],
        ["wrong" + code],
        [" " + code],
    ):
        assert not gets_in(host.sshd, account, *answers), answers
    assert gets_in(host.sshd, account, account.password, code)
