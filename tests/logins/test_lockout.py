"""Wrong codes lock the code check of one account, for a while, and nothing else."""

import asyncio
from collections import Counter
from itertools import cycle
from pathlib import Path

import asyncssh
import pytest
from harness.accounts import Account, Accounts
from harness.clients import OpenSsh
from harness.installation import Device
from harness.sshd import Sshd
from hosts import Host, Hosts, at_once, give_key
from screens import screen
from visitor import at_the_code_prompt, gets_in

MOST_WRONG = 5


@pytest.fixture
def locked(still_host: Host, account: Account) -> Device:
    """Lock the account by five wrong codes and return its device."""
    device = still_host.installation.enroll(account.name)
    lock(still_host, account, device)
    return device


def guess(host: Host, account: Account, codes: list[str]) -> None:
    """Send wrong codes, each on a connection of its own."""
    visitors = at_once(lambda _: at_the_code_prompt(host.sshd, account), codes)
    for visitor, code in zip(visitors, codes, strict=True):
        visitor.answer(code)
    assert not any(at_once(lambda visitor: visitor.leave(), visitors))


def lock(host: Host, account: Account, device: Device) -> None:
    """Send five wrong codes."""
    guess(host, account, device.wrong_codes(MOST_WRONG))


def test_right_code_is_refused_while_codes_are_locked(
    still_host: Host, account: Account, locked: Device
) -> None:
    """Five wrong codes lock; then the right one is refused and not used up by that."""
    code = locked.code()
    assert not gets_in(still_host.sshd, account, account.password, code)
    assert not gets_in(still_host.sshd, account, account.password + code)
    reasons = still_host.installation.reasons(account.name)
    assert reasons[: MOST_WRONG + 1] == ["code_wrong"] * MOST_WRONG + ["codes_locked"]
    still_host.installation.run("sftp-mfa-admin", "unlock-user", account.name)
    assert gets_in(still_host.sshd, account, account.password, code)


def test_locked_account_sees_the_same_prompts(
    still_host: Host, account: Account, locked: Device, openssh: OpenSsh
) -> None:
    """A lock is not told to who tries: the same two prompts, the same refusal."""
    refused = openssh.login(
        still_host.sshd, account.name, [account.password, locked.code()], attempts=1
    )
    still_host.installation.run("sftp-mfa-admin", "unlock-user", account.name)
    wrong = openssh.login(
        still_host.sshd, account.name, [account.password, locked.wrong_codes(9)[-1]], attempts=1
    )
    assert not refused.ok
    assert screen(refused, still_host.sshd) == screen(wrong, still_host.sshd)


def test_lock_ends_by_itself_and_the_next_is_twice_as_long(
    still_host: Host, account: Account, locked: Device
) -> None:
    """The first lock takes 15 minutes, one more without a success between takes 30."""
    clock = still_host.installation.clock
    assert clock is not None
    clock.forward(minutes=14.9)
    assert not gets_in(still_host.sshd, account, account.password, locked.code())
    clock.forward(minutes=0.2)
    lock(still_host, account, locked)
    clock.forward(minutes=29.9)
    assert not gets_in(still_host.sshd, account, account.password, locked.code())
    clock.forward(minutes=0.2)
    assert gets_in(still_host.sshd, account, account.password, locked.code())


def test_success_forgets_wrong_codes(still_host: Host, account: Account) -> None:
    """Four wrong codes, a right one and four wrong codes again do not lock."""
    device = still_host.installation.enroll(account.name)
    for step in range(2):
        guess(still_host, account, device.wrong_codes(MOST_WRONG - 1))
        assert still_host.installation.wrong_codes(account.name) == MOST_WRONG - 1
        assert gets_in(still_host.sshd, account, account.password, device.code(step))
        assert still_host.installation.wrong_codes(account.name) == 0


def test_lock_concerns_codes_only(
    still_host: Host, account: Account, locked: Device, openssh: OpenSsh, tmp_path: Path
) -> None:
    """An access token and a public key let in while codes are locked, and open no lock."""
    token = still_host.installation.issue_token(account.name).text()
    assert gets_in(still_host.sshd, account, token)
    key = give_key(account, tmp_path)
    outcome = openssh.login(still_host.sshd, account.name, [], method="publickey", options=key)
    assert outcome.ok, outcome.output
    assert not gets_in(still_host.sshd, account, account.password, locked.code())


def test_lock_concerns_one_account_only(
    still_host: Host, accounts: Accounts, account: Account, locked: Device, openssh: OpenSsh
) -> None:
    """Others, with MFA and without, log in as before while one account is locked."""
    other, without = accounts.make(), accounts.make()
    code = still_host.installation.enroll(other.name).code()
    assert gets_in(still_host.sshd, other, other.password, code)
    outcome = openssh.login(still_host.sshd, without.name, [without.password])
    assert outcome.ok, outcome.output
    assert outcome.prompts == (f"({without.name}@127.0.0.1) Password: ",)
    assert still_host.installation.wrong_codes(without.name) == 0
    assert not gets_in(still_host.sshd, account, account.password, locked.code())


def test_wrong_password_never_counts(host: Host, account: Account) -> None:
    """A stranger who does not have the password cannot lock anybody out."""
    device = host.installation.enroll(account.name)
    tries = [["wrong"], ["", "123456"], ["wrong", "123456"], ["wrong 123456"], ["123456"]] * 2
    assert not any(at_once(lambda answers: gets_in(host.sshd, account, *answers), tries))
    assert host.installation.wrong_codes(account.name) == 0
    assert gets_in(host.sshd, account, account.password, device.code())


def test_wrong_codes_at_the_same_time_count_each_once(
    shared_store: list[Host], account: Account
) -> None:
    """Of twenty guesses at once, over one host or two, five are examined and no more."""
    device = shared_store[0].installation.enroll(account.name)
    codes = device.wrong_codes(20)
    pairs = zip(cycle(shared_store), codes, strict=False)
    visitors = at_once(lambda pair: at_the_code_prompt(pair[0].sshd, account), pairs)
    for visitor, code in zip(visitors, codes, strict=True):
        visitor.answer(code)
    assert not any(at_once(lambda visitor: visitor.leave(), visitors))
    reasons = [why for host in shared_store for why in host.installation.reasons(account.name)]
    assert Counter(reasons) == {"code_wrong": MOST_WRONG, "codes_locked": 20 - MOST_WRONG}


class Stubborn(asyncssh.SSHClient):
    """A job that answers every question in the same way until sshd hangs up."""

    def __init__(self, password: str, code: str) -> None:
        """Know both answers."""
        self._answers = {"Password: ": password, "Verification code: ": code}

    def kbdint_auth_requested(self) -> str:
        """Try again, whatever came of the last time."""
        return ""

    def kbdint_challenge_received(
        self, _name: str, _instructions: str, _lang: str, prompts: list[tuple[str, bool]]
    ) -> list[str]:
        """Answer."""
        return [self._answers[prompt] for prompt, _ in prompts]


async def insist(sshd: Sshd, account: Account, code: str) -> None:
    """Log in with asyncssh."""
    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError)):
        await asyncssh.connect(
            sshd.host,
            sshd.port,
            username=account.name,
            known_hosts=None,
            config=None,
            agent_path=None,
            client_keys=None,
            preferred_auth="keyboard-interactive",
            client_factory=lambda: Stubborn(account.password, code),
        )


def test_same_wrong_code_again_counts_once(hosts: Hosts, account: Account) -> None:
    """A client that answers by itself until sshd hangs up has mistyped once, not six times."""
    host = hosts.make(clock_stands=True)
    device = host.installation.enroll(account.name)
    asyncio.run(insist(host.sshd, account, device.wrong_codes(1)[0]))
    reasons = host.installation.reasons(account.name)
    assert reasons[0] == "code_wrong"
    assert set(reasons[1:]) == {"code_wrong_again"}
    assert len(reasons) == 6
    assert host.installation.wrong_codes(account.name) == 1
    assert gets_in(host.sshd, account, account.password, device.code())
