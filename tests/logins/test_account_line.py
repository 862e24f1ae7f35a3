"""The account line, which every method passes: barred accounts, public keys, expired passwords."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.accounts import Account, Accounts
from harness.clients import OpenSsh, Outcome
from harness.sshd import Sshd
from hosts import Host, Hosts, at_once, give_key
from visitor import gets_in

BREAK_GLASS = "sftp-mfa-breakglass"
KEY_AND_CODE = ["AuthenticationMethods publickey,keyboard-interactive:pam"]

LogIn = Callable[[Sshd, Account], Outcome]


@pytest.fixture
def by_key(openssh: OpenSsh, tmp_path: Path) -> LogIn:
    """Log in with a public key."""

    def log_in(sshd: Sshd, account: Account) -> Outcome:
        key = give_key(account, tmp_path)
        return openssh.login(sshd, account.name, [], method="publickey", options=key)

    return log_in


def test_barred_account_stays_out_by_every_method(
    host: Host, account: Account, by_key: LogIn
) -> None:
    """Neither password and code, nor a token, nor a public key lets in; unbarred, all three do."""
    device = host.installation.enroll(account.name)
    token = host.installation.issue_token(account.name).text()
    ways = [
        lambda: gets_in(host.sshd, account, account.password, device.code()),
        lambda: gets_in(host.sshd, account, token),
        lambda: by_key(host.sshd, account).ok,
    ]
    host.installation.run("sftp-mfa-admin", "bar-user", account.name)
    assert at_once(lambda way: way(), ways) == [False, False, False]
    assert set(host.installation.reasons(account.name)) == {"account_barred"}
    host.installation.run("sftp-mfa-admin", "unbar-user", account.name)
    assert at_once(lambda way: way(), ways) == [True, True, True]


def test_barred_account_without_mfa_stays_out(host: Host, account: Account) -> None:
    """Barring needs no MFA, and works on an account that the store has never met."""
    host.installation.run("sftp-mfa-admin", "bar-user", account.name)
    assert not gets_in(host.sshd, account, account.password)
    host.installation.run("sftp-mfa-admin", "unbar-user", account.name)
    assert gets_in(host.sshd, account, account.password)


def test_public_key_lets_in_without_a_code(host: Host, account: Account, by_key: LogIn) -> None:
    """A key stands by itself unless sshd is told to ask for more."""
    host.installation.enroll(account.name)
    outcome = by_key(host.sshd, account)
    assert outcome.ok, outcome.output
    assert outcome.prompts == ()


def test_only_break_glass_members_get_in_by_key_without_a_helper(
    dark_host: Host, accounts: Accounts, by_key: LogIn
) -> None:
    """Operators of that group can mend a host whose helper is down; nobody else gets in."""
    operator, other = accounts.make(groups=[BREAK_GLASS]), accounts.make()
    ours, others = at_once(lambda account: by_key(dark_host.sshd, account), [operator, other])
    assert ours.ok, ours.output
    assert not others.ok


def test_break_glass_is_no_way_around_the_code(
    host: Host, dark_host: Host, accounts: Accounts
) -> None:
    """With a password they are asked for a code like everybody, and need a helper."""
    operator = accounts.make(groups=[BREAK_GLASS])
    device = host.installation.enroll(operator.name)
    assert not gets_in(dark_host.sshd, operator, operator.password)
    assert not gets_in(host.sshd, operator, operator.password, operator.password)
    assert gets_in(host.sshd, operator, operator.password, device.code())


@pytest.fixture
def strict_host(hosts: Hosts) -> Host:
    """Run a host that wants a public key and then what PAM asks."""
    return hosts.make(sshd={"config": KEY_AND_CODE})


def test_key_and_code_may_both_be_required(
    strict_host: Host, account: Account, openssh: OpenSsh, tmp_path: Path
) -> None:
    """The key alone is not enough, neither is the rest without the key; together they let in."""
    device = strict_host.installation.enroll(account.name)
    token = strict_host.installation.issue_token(account.name).text()
    key = give_key(account, tmp_path)
    both = "publickey,keyboard-interactive"

    def log_in(method: str, *answers: str) -> bool:
        options = key if "publickey" in method else []
        sshd = strict_host.sshd
        return openssh.login(sshd, account.name, answers, method=method, options=options).ok

    assert not log_in("publickey")
    assert not log_in("keyboard-interactive", account.password, device.code())
    assert not log_in("password", token)
    assert not log_in(both, account.password, "")
    assert log_in(both, account.password, device.code())
    assert log_in(both, token)


def expire(account: Account) -> None:
    """Demand a new password at the next login."""
    subprocess.run(["chage", "-d", "0", account.name], check=True)


def test_expired_password_is_changed_as_with_the_machines_own_stack(
    host: Host, plain_sshd: Sshd, accounts: Accounts, openssh: OpenSsh
) -> None:
    """After password and code the same questions come as without us; the new password counts."""
    with_mfa, without, before = accounts.make(), accounts.make(), accounts.make()
    device = host.installation.enroll(with_mfa.name)
    new = "a-Long-enough-new-one-47"

    def log_in(case: tuple[Sshd, Account, list[str]]) -> Outcome:
        sshd, account, code = case
        expire(account)
        answers = [account.password, *code, account.password, new, new]
        return openssh.login(sshd, account.name, answers)

    cases = [
        (host.sshd, with_mfa, [device.code()]),
        (host.sshd, without, []),
        (plain_sshd, before, []),
    ]
    ours, plain_ours, plain = at_once(log_in, cases)
    assert plain.ok, plain.output
    assert ours.ok, ours.output
    assert plain_ours.ok, plain_ours.output
    asked = [words(outcome) for outcome in (ours, plain_ours, plain)]
    assert asked[1] == asked[2]
    assert asked[0] == [asked[2][0], "Verification code: ", *asked[2][1:]]
    assert not gets_in(host.sshd, with_mfa, with_mfa.password, device.code(1))


def words(outcome: Outcome) -> list[str]:
    """Give the prompts without the account's name before them."""
    return [prompt.rpartition(") ")[2] for prompt in outcome.prompts]


def test_expired_account_stays_out(host: Host, account: Account, by_key: LogIn) -> None:
    """What the machine's own account lines refuse stays refused."""
    device = host.installation.enroll(account.name)
    subprocess.run(["chage", "-E", "1", account.name], check=True)
    assert not gets_in(host.sshd, account, account.password, device.code())
    assert not by_key(host.sshd, account).ok
