"""Access tokens at the door: in place of the password, and then no code is asked."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Method, Paramiko
from hosts import Host, at_once
from visitor import gets_in

from store.access_tokens import Scope
from store.clock import from_milliseconds

METHODS: list[Method] = ["keyboard-interactive", "password"]


def expired(host: Host, name: str) -> str:
    """Make a token whose time is over."""
    clock = host.installation.clock
    assert clock is not None
    end = from_milliseconds(clock()) + timedelta(minutes=1)
    token = host.installation.issue_token(name, expires_at=end)
    clock.forward(minutes=1)
    return token.text()


def revoked(host: Host, name: str) -> str:
    """Make a token and take it back."""
    token = host.installation.issue_token(name).text()
    (listed,) = host.installation.store.access_tokens.list(name)
    host.installation.run("sftp-mfa-admin", "delete-auth-factor-access-token", name, listed.id)
    return token


def misspelt(host: Host, name: str) -> str:
    """Exchange a character in the secret of a token."""
    token = host.installation.issue_token(name).text()
    return token[:20] + ("a" if token[20] != "a" else "b") + token[21:]


BAD_TOKENS: dict[str, Callable[[Host, str], str]] = {
    "expired": expired,
    "revoked": revoked,
    "misspelt": misspelt,
    "of another network": lambda host, name: host.installation.issue_token(
        name, networks=("192.0.2.0/24", "2001:db8::/32")
    ).text(),
    "for the API": lambda host, name: host.installation.issue_token(
        name, scopes=(Scope.API,)
    ).text(),
    "of another account": lambda host, _: host.installation.issue_token("root").text(),
    "cut short": lambda host, name: host.installation.issue_token(name).text()[:-1],
    "with more behind it": lambda host, name: host.installation.issue_token(name).text() + "0",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_token_is_refused(
    still_host: Host, accounts: Accounts, paramiko_client: Paramiko, kind: str
) -> None:
    """By both methods, with MFA and without; no code is asked, and no wrong code counted."""
    with_mfa, without = accounts.make(), accounts.make()
    device = still_host.installation.enroll(with_mfa.name)
    bad = {who.name: BAD_TOKENS[kind](still_host, who.name) for who in (with_mfa, without)}

    def log_in(case: tuple[Account, Method]) -> None:
        who, method = case
        outcome = paramiko_client.login(still_host.sshd, who.name, [bad[who.name]], method=method)
        assert not outcome.ok
        assert len(outcome.prompts) == (method == "keyboard-interactive")

    at_once(log_in, [(who, method) for who in (with_mfa, without) for method in METHODS])
    assert still_host.installation.wrong_codes(with_mfa.name) == 0
    assert gets_in(still_host.sshd, with_mfa, with_mfa.password, device.code())
    assert gets_in(still_host.sshd, without, without.password)


def test_token_counts_from_its_networks(host: Host, account: Account) -> None:
    """A token that is bound to a network works from there."""
    networks = ("192.0.2.0/24", "127.0.0.0/8")
    token = host.installation.issue_token(account.name, networks=networks).text()
    assert gets_in(host.sshd, account, token)
    (listed,) = host.installation.store.access_tokens.list(account.name)
    assert listed.last_used_address == "127.0.0.1"


def test_token_and_password_both_work_without_mfa(host: Host, account: Account) -> None:
    """A token forces nothing on its owner: the password goes on working, and is asked as before."""
    token = host.installation.issue_token(account.name).text()
    assert gets_in(host.sshd, account, token)
    assert gets_in(host.sshd, account, account.password)
    assert not gets_in(host.sshd, account, "wrong")
    assert host.installation.reasons(account.name) == [
        "token_accepted",
        "mfa_not_adopted",
        "password_refused",
    ]


def test_token_is_no_code(host: Host, account: Account) -> None:
    """At the second prompt only a code counts."""
    host.installation.enroll(account.name)
    token = host.installation.issue_token(account.name).text()
    assert not gets_in(host.sshd, account, account.password, token)
    assert host.installation.reasons(account.name) == ["code_malformed"]


def test_many_tokens_work_at_once(host: Host, account: Account) -> None:
    """Jobs with tokens of their own, and twenty connections with one token, all get in."""
    host.installation.enroll(account.name)
    tokens = [host.installation.issue_token(account.name).text() for _ in range(5)]
    tokens += [tokens[0]] * 20
    assert all(at_once(lambda token: gets_in(host.sshd, account, token), tokens))
