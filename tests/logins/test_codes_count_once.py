"""A code lets in once: whoever else has it, on whichever host, and in whichever order."""

from collections import Counter
from itertools import cycle, islice

import pytest
from harness.accounts import Account, Accounts
from harness.clients import Paramiko
from hosts import Host, Hosts, at_once
from visitor import Visitor, at_the_code_prompt

CROWD = 50


def test_of_many_logins_at_once_with_one_code_one_gets_in(
    shared_store: list[Host], account: Account
) -> None:
    """Fifty connections that send the same right code at the same time are let in once."""
    code = shared_store[0].installation.enroll(account.name).code()
    sshds = islice(cycle(host.sshd for host in shared_store), CROWD)
    visitors = at_once(lambda sshd: at_the_code_prompt(sshd, account), sshds)
    for visitor in visitors:
        visitor.answer(code)
    assert sum(at_once(Visitor.leave, visitors)) == 1
    reasons = [
        reason for host in shared_store for reason in host.installation.reasons(account.name)
    ]
    assert Counter(reasons) == {"code_accepted": 1, "code_replayed": CROWD - 1}
    assert shared_store[0].installation.wrong_codes(account.name) == 0


def test_code_used_on_one_host_is_used_up_on_the_other(
    postgres: str, hosts: Hosts, account: Account, paramiko_client: Paramiko
) -> None:
    """The next step's code, sent first, also spoils that of now, whichever host is asked."""
    one = hosts.make(url=postgres)
    other = hosts.make(url=postgres, keys_of=one.installation)
    device = one.installation.enroll(account.name)
    logins = [
        (one, device.code(), True),
        (other, device.code(), False),
        (other, device.code(1), True),
        (one, device.code(1), False),
    ]
    for host, code, lets_in in logins:
        outcome = paramiko_client.login(host.sshd, account.name, [account.password, code])
        assert outcome.ok is lets_in, outcome.output


STEPS = {
    "each step once, in order": [(-1, "used"), (0, "in"), (0, "used"), (1, "in"), (1, "used")],
    "no older one after a newer one": [(1, "in"), (0, "used"), (-1, "used")],
    "nothing beyond the window": [(-2, "wrong"), (2, "wrong"), (0, "in")],
}
REASON = {"in": "code_accepted", "used": "code_replayed", "wrong": "code_wrong"}


def test_codes_of_the_steps_around_now_count(
    still_host: Host, accounts_of_steps: dict[str, Account], paramiko_client: Paramiko
) -> None:
    """The step before and the one after count; each once, and none that is older than the last.

    The enrollment itself used the code of the step before.
    """

    def log_in_by_steps(name: str) -> None:
        account = accounts_of_steps[name]
        device = still_host.installation.enroll(account.name)
        for step, expected in STEPS[name]:
            answers = [account.password, device.code(step)]
            outcome = paramiko_client.login(still_host.sshd, account.name, answers)
            assert outcome.ok is (expected == "in"), (name, step)
        expected_reasons = [REASON[expected] for _, expected in STEPS[name]]
        assert still_host.installation.reasons(account.name) == expected_reasons, name

    at_once(log_in_by_steps, STEPS)


@pytest.fixture
def accounts_of_steps(accounts: Accounts) -> dict[str, Account]:
    """Make an account for each sequence of steps."""
    return {name: accounts.make() for name in STEPS}


def test_code_before_now_counts_unless_it_was_used(
    still_host: Host, account: Account, paramiko_client: Paramiko
) -> None:
    """Who types slowly, or whose clock is behind, gets in with the code that was shown before."""
    device = still_host.installation.enroll(account.name)
    code = device.code()
    assert still_host.installation.clock is not None
    still_host.installation.clock.forward(seconds=30)
    assert device.code(-1) == code
    assert paramiko_client.login(still_host.sshd, account.name, [account.password, code]).ok


def test_two_devices_of_one_account_count_each_by_itself(
    host: Host, account: Account, paramiko_client: Paramiko
) -> None:
    """The phone and the spare have codes of their own, and one does not spoil the other's."""
    codes = [host.installation.enroll(account.name, name).code() for name in ("phone", "spare")]
    logins = [(codes[1], True), (codes[0], True), (codes[1], False), (codes[0], False)]
    for code, lets_in in logins:
        outcome = paramiko_client.login(host.sshd, account.name, [account.password, code])
        assert outcome.ok is lets_in


def test_deleted_device_counts_no_longer(
    host: Host, account: Account, paramiko_client: Paramiko
) -> None:
    """A lost phone is taken out by the administrator; the spare goes on working."""
    phone = host.installation.enroll(account.name, "phone")
    spare = host.installation.enroll(account.name, "spare")
    host.installation.run(
        "sftp-mfa-admin", "delete-auth-factor-totp", account.name, phone.factor_id
    )
    for device, lets_in in [(phone, False), (spare, True)]:
        answers = [account.password, device.code()]
        assert paramiko_client.login(host.sshd, account.name, answers).ok is lets_in
