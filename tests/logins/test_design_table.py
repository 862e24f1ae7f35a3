"""Every row of the design's table, with each client: a file goes up and comes back the same."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from harness.accounts import Account
from harness.clients import CLIENTS, Client, Method
from harness.installation import Device
from harness.sshd import Sshd
from hosts import Host, at_once

METHODS: list[Method] = ["keyboard-interactive", "password"]
each_method = pytest.mark.parametrize("method", METHODS)
each_prompting_client = pytest.mark.parametrize(
    "client", [name for name, kind in CLIENTS.items() if not kind.answers_once], indirect=True
)


def words(prompts: Sequence[str]) -> list[str]:
    """Give the prompts without what a client puts before them."""
    return [prompt.rpartition(") ")[2].removeprefix("| ") for prompt in prompts]


@each_prompting_client
def test_password_and_code_let_in(host: Host, account: Account, client: Client) -> None:
    """The password and then the code are asked, one after the other."""
    device = host.installation.enroll(account.name)
    outcome = client.login(host.sshd, account.name, [account.password, device.code])
    assert outcome.ok, outcome.output
    assert words(outcome.prompts) == ["Password: ", "Verification code: "]
    assert host.installation.reasons(account.name) == ["code_accepted"]


REFUSED_CODES: dict[str, tuple[Callable[[Device], str], str, int]] = {
    "wrong": (lambda device: device.wrong_codes(1)[0], "code_wrong", 1),
    "late": (lambda device: device.code(-2), "code_wrong", 1),
    "early": (lambda device: device.code(3), "code_wrong", 1),
    "malformed": (lambda _: "let me in", "code_malformed", 0),
    "empty": (lambda _: "", "code_malformed", 0),
}


@pytest.mark.parametrize("kind", REFUSED_CODES)
@each_prompting_client
def test_wrong_code_is_refused(host: Host, account: Account, client: Client, kind: str) -> None:
    """After the right password a wrong code is refused; it counts if it is a guess at all."""
    make_code, reason, counted = REFUSED_CODES[kind]
    device = host.installation.enroll(account.name)
    answers = [account.password, partial(make_code, device)]
    outcome = client.login(host.sshd, account.name, answers)
    assert not outcome.ok
    assert words(outcome.prompts)[:2] == ["Password: ", "Verification code: "]
    assert host.installation.reasons(account.name) == [reason]
    assert host.installation.wrong_codes(account.name) == counted


@each_prompting_client
def test_replayed_code_is_refused_and_not_counted(
    host: Host, account: Account, client: Client
) -> None:
    """A code that has let in once does not do so again, which is no guess either."""
    code = host.installation.enroll(account.name).code()
    assert client.login(host.sshd, account.name, [account.password, code]).ok
    assert not client.login(host.sshd, account.name, [account.password, code]).ok
    assert host.installation.reasons(account.name) == ["code_accepted", "code_replayed"]
    assert host.installation.wrong_codes(account.name) == 0


@each_method
def test_wrong_password_is_refused_without_asking_for_a_code(
    host: Host, account: Account, client: Client, method: Method
) -> None:
    """Who does not have the password meets no second prompt and uses no code up."""
    code = host.installation.enroll(account.name).code()
    outcome = client.login(host.sshd, account.name, ["wrong"], method=method)
    assert not outcome.ok
    assert "code" not in " ".join(outcome.prompts)
    assert host.installation.reasons(account.name) == ["password_refused"]
    again = client.login(host.sshd, account.name, [account.password + code])
    assert again.ok, again.output


@each_method
def test_token_lets_in(host: Host, account: Account, client: Client, method: Method) -> None:
    """A token in place of the password is enough."""
    host.installation.enroll(account.name)
    token = host.installation.issue_token(account.name).text()
    outcome = client.login(host.sshd, account.name, [token], method=method)
    assert outcome.ok, outcome.output
    assert host.installation.reasons(account.name) == ["token_accepted"]


def test_password_alone_is_refused_and_not_counted(
    host: Host, account: Account, client: Client
) -> None:
    """The `password` method answers every prompt with the password, which is no guess at a code."""
    host.installation.enroll(account.name)
    outcome = client.login(host.sshd, account.name, [account.password], method="password")
    assert not outcome.ok
    assert host.installation.reasons(account.name) == ["code_missing"]
    assert host.installation.wrong_codes(account.name) == 0


@each_method
def test_password_and_code_in_one_string_let_in(
    host: Host, account: Account, client: Client, method: Method
) -> None:
    """A client with one prompt takes both as one answer."""
    device = host.installation.enroll(account.name)
    both = account.password + device.code()
    outcome = client.login(host.sshd, account.name, [both], method=method)
    assert outcome.ok, outcome.output
    assert host.installation.reasons(account.name) == ["code_accepted"]


@each_method
def test_user_without_mfa_sees_what_was_there_before(
    host: Host, account: Account, client: Client, plain_sshd: Sshd, method: Method
) -> None:
    """The right password lets in, by the very prompts of the machine's own stack."""
    sshds = [host.sshd, plain_sshd]
    ours, before = at_once(
        lambda sshd: client.login(sshd, account.name, [account.password], method=method), sshds
    )
    assert ours.ok, ours.output
    assert before.ok, before.output
    assert ours.prompts == before.prompts
    assert host.installation.reasons(account.name) == ["mfa_not_adopted"]


@each_method
def test_helper_down_refuses(
    dark_host: Host, account: Account, client: Client, method: Method
) -> None:
    """Without a helper nobody gets in, who has adopted MFA or who has not; one is asked as ever."""
    outcome = client.login(dark_host.sshd, account.name, [account.password], method=method)
    assert not outcome.ok
    assert outcome.seconds < 10
    if method == "keyboard-interactive":
        assert words(outcome.prompts)[:1] == ["Password: "]
