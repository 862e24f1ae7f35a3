"""Password and code as one string, for clients that know one prompt only."""

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Lftp, Method
from hosts import Host, at_once
from visitor import gets_in

MOST_WRONG = 5
METHODS: list[Method] = ["keyboard-interactive", "password"]


def test_wrong_code_in_it_is_refused_as_a_wrong_password(host: Host, account: Account) -> None:
    """No second prompt, and nothing counted at the code check."""
    device = host.installation.enroll(account.name)
    assert not gets_in(host.sshd, account, account.password + device.wrong_codes(1)[0])
    assert host.installation.reasons(account.name) == ["password_refused"]
    assert host.installation.wrong_codes(account.name) == 0


def test_wrong_codes_in_it_close_this_way_only(still_host: Host, account: Account) -> None:
    """After five the right string is refused; two prompts go on working, and open it again."""
    host = still_host
    device = host.installation.enroll(account.name)
    wrong = [account.password + code for code in device.wrong_codes(MOST_WRONG)]
    assert not any(at_once(lambda answer: gets_in(host.sshd, account, answer), wrong))
    assert not gets_in(host.sshd, account, account.password + device.code())
    assert gets_in(host.sshd, account, account.password, device.code())
    assert gets_in(host.sshd, account, account.password + device.code(1))


def test_closed_way_opens_by_itself(still_host: Host, account: Account) -> None:
    """After a while the string counts again, without anybody's doing."""
    host = still_host
    assert host.installation.clock is not None
    device = host.installation.enroll(account.name)
    wrong = [f"strange {code}" for code in device.wrong_codes(MOST_WRONG)]
    assert not any(at_once(lambda answer: gets_in(host.sshd, account, answer), wrong))
    assert not gets_in(host.sshd, account, account.password + device.code())
    host.installation.clock.forward(minutes=15.1)
    assert gets_in(host.sshd, account, account.password + device.code())


def test_code_in_it_counts_once(host: Host, account: Account) -> None:
    """The same string again is refused, and so is its code at a prompt of its own."""
    code = host.installation.enroll(account.name).code()
    assert gets_in(host.sshd, account, account.password + code)
    assert not gets_in(host.sshd, account, account.password + code)
    assert not gets_in(host.sshd, account, account.password, code)
    assert host.installation.wrong_codes(account.name) == 0


@pytest.mark.parametrize("method", METHODS)
def test_password_that_ends_in_six_digits(
    host: Host, accounts: Accounts, lftp: Lftp, method: Method
) -> None:
    """It is taken for what it is, alone at its prompt or with a code behind it."""
    account = accounts.make(password="born-on-311299")
    device = host.installation.enroll(account.name)
    assert gets_in(host.sshd, account, account.password, device.code())
    both = account.password + device.code(1)
    outcome = lftp.login(host.sshd, account.name, [both], method=method)
    assert outcome.ok, outcome.output
    assert not gets_in(host.sshd, account, account.password)


def test_password_that_ends_in_six_digits_does_not_lock_its_owner_out(
    host: Host, accounts: Accounts
) -> None:
    """Each login looks like a wrong code in one string; the account goes on logging in."""
    account = accounts.make(password="born-on-311299")
    devices = [host.installation.enroll(account.name, f"device {n}") for n in range(MOST_WRONG + 2)]
    for device in devices:
        assert gets_in(host.sshd, account, account.password, device.code())


def test_user_without_mfa_may_have_any_password(host: Host, accounts: Accounts) -> None:
    """Digits at its end mean nothing where there is no code."""
    account = accounts.make(password="000000123456")
    for _ in range(MOST_WRONG + 1):
        assert gets_in(host.sshd, account, account.password)
