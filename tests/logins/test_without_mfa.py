"""Who has not adopted MFA notices nothing of it."""

import secrets
from collections.abc import Sequence

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Client, Method, OpenSsh, Paramiko
from harness.sshd import Sshd
from hosts import Host, at_once
from screens import screen
from visitor import Visitor

METHODS: list[Method] = ["keyboard-interactive", "password"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("password", ["right", "wrong", "empty"])
def test_screen_is_the_same_to_the_byte(
    host: Host,
    plain_sshd: Sshd,
    account: Account,
    openssh: OpenSsh,
    method: Method,
    password: str,
) -> None:
    """OpenSSH's terminal shows the same, be the password right or wrong."""
    answers = [{"right": account.password, "wrong": "wrong", "empty": ""}[password]] * 3
    sshds = [host.sshd, plain_sshd]
    ours, before = at_once(
        lambda sshd: openssh.login(sshd, account.name, answers, method=method, attempts=3), sshds
    )
    assert ours.ok is before.ok is (password == "right")
    assert screen(ours, host.sshd) == screen(before, plain_sshd)
    assert ours.prompts == before.prompts


@pytest.mark.parametrize("method", METHODS)
def test_every_client_sees_the_same_refusal(
    host: Host, plain_sshd: Sshd, account: Account, client: Client, method: Method
) -> None:
    """A wrong password is refused by the same prompts, after the same kind of wait."""
    sshds = [host.sshd, plain_sshd]
    ours, before = at_once(
        lambda sshd: client.login(sshd, account.name, ["wrong"], method=method), sshds
    )
    assert not ours.ok
    assert ours.prompts == before.prompts
    assert ours.seconds > 0.9


def requests(sshd: Sshd, name: str, answers: Sequence[str]) -> list[object]:
    """Log in and give sshd's questions as they came, with titles, instructions and echo."""
    with Visitor(sshd, name) as visitor:
        lets_in = visitor.say(*answers)
        return [*visitor.requests, lets_in]


def test_questions_are_the_same_on_the_wire(host: Host, plain_sshd: Sshd, account: Account) -> None:
    """Also what a terminal does not show: titles, instructions, whether to echo."""
    for answer in (account.password, "wrong"):
        ours, before = at_once(
            lambda sshd, answer=answer: requests(sshd, account.name, [answer]),
            [host.sshd, plain_sshd],
        )
        assert ours == before


def test_first_question_does_not_tell_who_has_mfa(
    host: Host, dark_host: Host, accounts: Accounts
) -> None:
    """With MFA, without, with a token, barred, unknown or helper down: one and the same prompt."""
    with_mfa, without, with_token, barred = (accounts.make() for _ in range(4))
    host.installation.enroll(with_mfa.name)
    host.installation.issue_token(with_token.name)
    host.installation.run("sftp-mfa-admin", "bar-user", barred.name)
    names = [who.name for who in (with_mfa, without, with_token, barred)]
    names += ["root", f"nobody-{secrets.token_hex(4)}"]
    cases = [(host.sshd, name) for name in names] + [(dark_host.sshd, with_mfa.name)]
    asked = at_once(lambda case: requests(*case, ["wrong"]), cases)
    assert asked == [[("", "", [("Password: ", False)]), False]] * len(cases)


@pytest.mark.parametrize("method", METHODS)
def test_unknown_name_is_refused_like_a_wrong_password(
    host: Host, plain_sshd: Sshd, paramiko_client: Paramiko, method: Method
) -> None:
    """Nobody's name gets the same prompts and about the same wait."""
    name = f"nobody-{secrets.token_hex(4)}"
    ours, before = at_once(
        lambda sshd: paramiko_client.login(sshd, name, ["guess"], method=method),
        [host.sshd, plain_sshd],
    )
    assert not ours.ok
    assert ours.prompts == before.prompts
    assert ours.seconds > 0.9
