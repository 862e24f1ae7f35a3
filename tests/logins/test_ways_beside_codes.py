"""What may stand for a code, and who may not do without: recovery codes, grace, enforcement."""

import secrets

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Client, OpenSsh
from harness.installation import ROOT
from hosts import Host, Hosts, at_once
from visitor import Visitor, gets_in


def recovery_codes(host: Host, account: Account) -> list[str]:
    """Make recovery codes."""
    made = host.installation.store.recovery_codes.renew(account.name, ROOT)
    return [code.text() for code in made]


def test_recovery_code_counts_once_at_the_code_prompt(host: Host, account: Account) -> None:
    """Who has lost the phone gets in with each code once, also with twenty tries at once."""
    host.installation.enroll(account.name)
    code, other, *_ = recovery_codes(host, account)
    results = at_once(lambda _: gets_in(host.sshd, account, account.password, code), range(20))
    assert results.count(True) == 1
    assert gets_in(host.sshd, account, account.password, other.lower())
    assert not gets_in(host.sshd, account, account.password, other)


def test_recovery_code_is_no_password(host: Host, account: Account) -> None:
    """Alone, or with a wrong password, it lets nobody in and is not used up."""
    host.installation.enroll(account.name)
    code = recovery_codes(host, account)[0]
    assert not gets_in(host.sshd, account, code)
    assert not gets_in(host.sshd, account, "wrong", code)
    assert not gets_in(host.sshd, account, "wrong" + code)
    assert gets_in(host.sshd, account, account.password, code)


def test_grace_spares_the_code_for_a_while(hosts: Hosts, account: Account) -> None:
    """Where it is on, an accepted code covers further logins from there, with the password."""
    host = hosts.make(more="[grace]\nseconds = 60\n", clock_stands=True)
    clock = host.installation.clock
    assert clock is not None
    device = host.installation.enroll(account.name)
    assert not gets_in(host.sshd, account, account.password)
    assert gets_in(host.sshd, account, account.password, device.code())
    assert gets_in(host.sshd, account, account.password)
    assert not gets_in(host.sshd, account, "wrong")
    clock.forward(seconds=61)
    assert not gets_in(host.sshd, account, account.password)


@pytest.fixture
def group() -> str:
    """Name a group of the test's own."""
    return f"g{secrets.token_hex(4)}"


@pytest.fixture
def strict(hosts: Hosts, group: str) -> Host:
    """Run a host on which the members of that group must adopt MFA."""
    address = "https://sftp.example.net/enroll"
    settings = f'[enforcement]\ngroups = ["{group}"]\nenrollment_address = "{address}"\n'
    return hosts.make(more=settings)


def test_who_must_adopt_mfa_is_told_where(
    strict: Host, accounts: Accounts, group: str, openssh: OpenSsh
) -> None:
    """The right password is refused with the page's address; a wrong one is not told of it."""
    member, other = accounts.make(groups=[group]), accounts.make()
    told = openssh.login(strict.sshd, member.name, [member.password])
    assert not told.ok
    assert "https://sftp.example.net/enroll" in told.output
    wrong = openssh.login(strict.sshd, member.name, ["wrong"])
    assert not wrong.ok
    assert "example.net" not in wrong.output
    assert gets_in(strict.sshd, other, other.password)


def test_who_must_adopt_mfa_gets_in_once_that_is_done(
    strict: Host, accounts: Accounts, group: str, client: Client
) -> None:
    """Every client survives the text, and the same password lets in after the enrollment."""
    member = accounts.make(groups=[group])
    refused = client.login(strict.sshd, member.name, [member.password])
    assert not refused.ok
    device = strict.installation.enroll(member.name)
    outcome = client.login(strict.sshd, member.name, [member.password + device.code()])
    assert outcome.ok, outcome.output


def test_enforcement_holds_on_the_password_method_too(
    strict: Host, accounts: Accounts, group: str, client: Client
) -> None:
    """No method is a way around it, and a token is one factor that is enough."""
    member = accounts.make(groups=[group])
    outcome = client.login(strict.sshd, member.name, [member.password], method="password")
    assert not outcome.ok
    token = strict.installation.issue_token(member.name).text()
    with Visitor(strict.sshd, member.name) as visitor:
        assert visitor.say(token)
