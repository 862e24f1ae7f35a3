"""Many at once: threads of one program, and programs that share nothing but the store."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from harness.audit import SYSTEM, broken_chains, told
from harness.sandbox import exclusively
from harness.stores import (
    ROOT,
    Clock,
    OpenStore,
    Phone,
    attempt,
    enroll,
    try_code,
    waited_too_long,
    with_changes,
)

from store.decisions import Decision, Denied, Granted, Reason
from store.errors import EnrollmentError, StoreUnavailableError
from store.opening import Store
from store.settings import GuessSettings, Settings

pytestmark = pytest.mark.timeout(600)  # they wait for one another

Outcome = TypeVar("Outcome")
RACERS = Path(__file__).with_name("racers.py")
PATIENT = {"wait_seconds": 4}
FEW = {"account": GuessSettings(failures=5)}


def race(settings: Settings, clock: Clock, calls: Sequence[Sequence[str]]) -> Counter[str]:
    """Make each call in a process of its own, all at once, and count what came of them.

    Some may be turned away because they waited too long for the others, on a busy machine. They
    are not counted, and must not be most of them.
    """
    settings = with_changes(settings, store=PATIENT)
    order = {"settings": msgspec.to_builtins(settings), "now": clock(), "calls": calls}
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with exclusively("races"):  # not all at once, on machines of a few cores
        ended = subprocess.run(
            [sys.executable, RACERS],
            input=json.dumps(order),
            text=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            check=True,
        )
    outcomes = Counter(json.loads(ended.stdout))
    assert outcomes.pop("turned away", 0) < len(calls) * 3 // 4
    return outcomes


def together(calls: Sequence[Callable[[], Outcome]]) -> list[Outcome | None]:
    """Make each call in a thread of its own, all at once, and give what came of them.

    None for who was turned away because it waited too long for the others: see `race`.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Outcome]) -> Outcome | None:
        barrier.wait()
        try:
            return call()
        except StoreUnavailableError as error:
            if waited_too_long(error):
                return None
            raise

    with ThreadPoolExecutor(len(calls)) as pool:
        outcomes = list(pool.map(run, calls))
    assert outcomes.count(None) < len(calls) * 3 // 4
    return outcomes


def reasons(decisions: Sequence[Decision | None]) -> Counter[Reason]:
    """Count the decisions by their reason."""
    return Counter(decision.reason for decision in decisions if decision is not None)


@pytest.fixture
def hosts(open_store: OpenStore) -> list[Store]:
    """Open the store twice, as two programs do that share nothing else."""
    return [open_store(store=PATIENT), open_store(store=PATIENT)]


# One code, many tries


def test_fifty_threads_with_one_code_get_in_once(open_store: OpenStore, clock: Clock) -> None:
    """One program with many workers lets one of them in."""
    store = open_store(store=PATIENT)
    phone = enroll(store, clock)
    decisions = together([partial(try_code, store, phone.code())] * 50)
    found = reasons(decisions)
    assert found == {Reason.CODE_ACCEPTED: 1, Reason.CODE_REPLAYED: found.total() - 1}


def test_fifty_processes_with_one_code_get_in_once(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """So do fifty programs on as many hosts, and the audit tells of each of them."""
    phone = enroll(store, clock)
    before = len(told(store))
    outcomes = race(settings, clock, [("check_code", "alice", phone.code())] * 50)
    replayed = outcomes.total() - 1
    assert outcomes == {"code_accepted": 1, "code_replayed": replayed}
    assert Counter(told(store)[before:]) == {
        "login_granted code_accepted": 1,
        "login_denied code_replayed": replayed,
    }
    assert broken_chains(store, settings) == []


def test_codes_of_neighbouring_steps_at_once_let_in_in_order_only(
    hosts: list[Store], clock: Clock
) -> None:
    """Three codes are valid at once; each lets in once at most, and none after a newer one."""
    phone = enroll(hosts[0], clock)
    clock.move(steps=3)
    codes = [phone.code(steps) for steps in (1, 0, -1)]
    decisions = together([partial(try_code, host, code) for code in codes * 3 for host in hosts])
    found = reasons(decisions)
    assert 1 <= found[Reason.CODE_ACCEPTED] <= 3
    assert set(found) <= {Reason.CODE_ACCEPTED, Reason.CODE_REPLAYED}


# Wrong codes


def test_twenty_processes_examine_five_wrong_codes(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """Whoever sends all guesses at once has not one more than who sends them in turn."""
    phone = enroll(store, clock)
    before = len(told(store))
    calls = [("check_code", "alice", code) for code in phone.wrong(20)]
    outcomes = race(settings, clock, calls)
    assert outcomes == {"code_wrong": 5, "codes_locked": outcomes.total() - 5}
    assert told(store)[before:].count("codes_locked") == 1
    assert try_code(store, phone.code()) == Denied(Reason.CODES_LOCKED)


def test_twenty_threads_examine_five_wrong_codes(hosts: list[Store], clock: Clock) -> None:
    """The same within two programs with ten workers each."""
    phone = enroll(hosts[0], clock)
    calls = [partial(try_code, hosts[n % 2], code) for n, code in enumerate(phone.wrong(20))]
    assert reasons(together(calls)) == {Reason.CODE_WRONG: 5, Reason.CODES_LOCKED: 15}


def test_right_code_among_wrong_ones_is_found_only_before_the_lock(
    hosts: list[Store], clock: Clock
) -> None:
    """The right code is accepted, or refused because of the lock; the lock never has holes."""
    phone = enroll(hosts[0], clock)
    codes = [*phone.wrong(10), phone.code(), *phone.wrong(19)[10:]]
    found = reasons(together([partial(try_code, hosts[n % 2], c) for n, c in enumerate(codes)]))
    if found[Reason.CODE_ACCEPTED]:
        # It forgot what was counted before it, so that up to four more were examined.
        assert 5 <= found[Reason.CODE_WRONG] <= 9
    else:
        assert found == {Reason.CODE_WRONG: 5, Reason.CODES_LOCKED: 15}


def test_same_wrong_code_from_many_at_once_counts_once(hosts: list[Store], clock: Clock) -> None:
    """A client that repeats itself on many connections makes one mistake."""
    phone = enroll(hosts[0], clock)
    (code,) = phone.wrong(1)
    decisions = together([partial(try_code, host, code) for host in hosts * 5])
    assert reasons(decisions) == {Reason.CODE_WRONG: 1, Reason.CODE_WRONG_AGAIN: 9}


def test_twenty_one_string_answers_from_as_many_processes_examine_five(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """Before the password is known to be right, five guesses are examined and no more."""
    phone = enroll(store, clock)
    calls = [("one_string", "alice", code) for code in phone.wrong(20)]
    assert set(race(settings, clock, calls)) == {"no match"}
    closed = store.authentication.matches_code_before_password(attempt(), phone.code())
    assert not closed


def test_fifty_one_string_answers_in_threads_examine_five(hosts: list[Store], clock: Clock) -> None:
    """Whoever is told of a match came before the fifth miss: after it nobody is."""
    phone = enroll(hosts[0], clock)
    codes = [*phone.wrong(25), *[phone.code()] * 25]
    random_order = sorted(range(50), key=lambda number: number * 37 % 50)

    def examine(number: int) -> bool:
        host = hosts[number % 2]
        return host.authentication.matches_code_before_password(attempt(), codes[number])

    matches = together([partial(examine, number) for number in random_order])
    told_so = {number for number, match in zip(random_order, matches, strict=True) if match}
    assert told_so <= set(range(25, 50))
    assert not hosts[0].authentication.matches_code_before_password(attempt(), phone.code())


# Something is taken away meanwhile


def nothing_follows(store: Store, end: str, use: str) -> None:
    """Expect that in the audit no such use stands behind the end."""
    events = told(store)
    assert end in events
    assert use not in events[events.index(end) :]


def test_revoked_token_is_used_by_nobody_after_its_revocation(
    hosts: list[Store],
) -> None:
    """A use and the revocation have an order, and what is told is what the audit says."""
    one, other = hosts
    token, shown = one.access_tokens.issue("alice", "nightly", ROOT)
    revoked = threading.Event()

    def revoke() -> list[Decision | None]:
        one.access_tokens.revoke("alice", shown.id, ROOT)
        revoked.set()
        return []

    def use() -> list[Decision | None]:
        decisions = []
        while True:
            last = revoked.is_set()
            decisions.append(other.authentication.check_token(attempt(), token))
            if last:
                assert decisions[-1] == Denied(Reason.TOKEN_REVOKED, shown.id)
                return decisions

    calls: list[Callable[[], list[Decision | None]]] = [use, use, revoke, use]
    found = reasons([decision for decisions in together(calls) for decision in decisions or []])
    assert set(found) <= {Reason.TOKEN_ACCEPTED, Reason.TOKEN_REVOKED}
    assert told(one).count("login_granted token_accepted") == found[Reason.TOKEN_ACCEPTED]
    nothing_follows(one, "token_revoked", "login_granted token_accepted")


def test_processes_use_no_token_after_its_revocation(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """Twenty programs on as many hosts, one of which revokes."""
    token, shown = store.access_tokens.issue("alice", "nightly", ROOT)
    use = ("check_token", "alice", token.text())
    outcomes = race(settings, clock, [*[use] * 10, ("revoke", "alice", shown.id), *[use] * 9])
    accepted = outcomes["token_accepted"]
    assert set(outcomes) <= {"token_accepted", "token_revoked", "revoked"}
    assert told(store).count("login_granted token_accepted") == accepted
    if outcomes["revoked"]:  # else it was turned away
        nothing_follows(store, "token_revoked", "login_granted token_accepted")
    assert broken_chains(store, settings) == []


def test_processes_use_no_authenticator_after_its_deletion(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """Twenty programs on as many hosts, one of which deletes."""
    phone = enroll(store, clock)
    give = ("check_code", "alice", phone.code())
    outcomes = race(settings, clock, [*[give] * 10, ("delete", "alice", phone.id), *[give] * 9])
    assert outcomes["code_accepted"] <= 1
    assert set(outcomes) <= {"code_accepted", "code_replayed", "no_factor", "deleted"}
    if outcomes["deleted"]:
        nothing_follows(store, "totp_deleted", "login_granted code_accepted")
        nothing_follows(store, "totp_deleted", "login_denied code_replayed")
    assert broken_chains(store, settings) == []


def test_deleted_authenticator_lets_nobody_in_after_its_deletion(
    hosts: list[Store], clock: Clock
) -> None:
    """Whoever reports a phone as lost is safe from the moment that he is told so."""
    phone = enroll(hosts[0], clock)
    uses = [partial(try_code, host, phone.code()) for host in hosts * 4]

    def delete() -> Decision:
        hosts[0].totp_factors.delete("alice", phone.id, ROOT)
        return try_code(hosts[1], phone.code(1))

    calls: list[Callable[[], Decision]] = [*uses[:4], delete, *uses[4:]]
    decisions = together(calls)
    assert decisions[4] == Denied(Reason.NO_FACTOR)
    assert reasons(decisions)[Reason.CODE_ACCEPTED] <= 1
    nothing_follows(hosts[0], "totp_deleted", "login_granted code_accepted")


def test_barred_account_is_used_by_nobody_afterwards(hosts: list[Store], clock: Clock) -> None:
    """Nor is there a moment in which barring holds for some and not for others."""
    one, other = hosts
    token, _ = one.access_tokens.issue("alice", "nightly", ROOT)
    phone = enroll(one, clock)
    uses: list[Callable[[], Decision | None]] = [
        partial(other.authentication.check_token, attempt(), token),
        partial(one.authentication.check_token, attempt(), token),
        partial(try_code, other, phone.code()),
        partial(other.authentication.check_account, attempt()),
    ]

    def bar() -> Decision:
        one.accounts.bar("alice", ROOT)
        return one.authentication.check_account(attempt())

    calls: list[Callable[[], Decision | None]] = [*uses, bar, *uses]
    together(calls)
    events = told(one)
    after = events[events.index("account_barred") :]
    assert not [event for event in after if event.startswith("login_granted")]


def test_one_of_many_completions_wins(hosts: list[Store], clock: Clock) -> None:
    """The others are told that it is active already, and recovery codes are made once."""
    enrollment = hosts[0].totp_factors.begin("alice", "phone", ROOT)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)

    def complete(host: Store, code: str) -> int | str:
        try:
            completion = host.totp_factors.complete("alice", phone.id, code, ROOT)
        except EnrollmentError as error:
            return str(error)
        return len(completion.recovery_codes)

    codes = [phone.code(steps) for steps in (-1, 0, 1)]
    outcomes = together([partial(complete, host, code) for code in codes for host in hosts])
    assert Counter(outcomes) == {10: 1, "this authenticator is active already": 5}
    assert told(hosts[0]).count("totp_completed") == 1
    assert hosts[0].recovery_codes.left("alice") == 10


def test_recovery_code_lets_one_of_many_in(hosts: list[Store], clock: Clock) -> None:
    """A code on paper is single use, however many hold the paper at once."""
    enroll(hosts[0], clock)
    code, *_ = hosts[0].recovery_codes.renew("alice", ROOT)
    decisions = together([partial(try_code, host, code.text()) for host in hosts * 4])
    assert sum(isinstance(decision, Granted) for decision in decisions) == 1
    assert hosts[0].recovery_codes.left("alice") == 9


def test_fifty_processes_with_one_recovery_code_get_in_once(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """So do fifty programs; for the others it is a wrong one, counted once."""
    enroll(store, clock)
    code, *_ = store.recovery_codes.renew("alice", ROOT)
    outcomes = race(settings, clock, [("check_code", "alice", code.text())] * 50)
    again = outcomes.total() - 2
    assert outcomes == {"recovery_code_accepted": 1, "code_wrong": 1, "code_wrong_again": again}
    assert store.recovery_codes.left("alice") == 9


def test_one_of_twenty_processes_completes_an_enrollment(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """The recovery codes are made once."""
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    outcomes = race(settings, clock, [("complete", "alice", phone.id, phone.code())] * 20)
    active = outcomes.total() - 1
    assert outcomes == {
        "completed, with 10 recovery codes": 1,
        "this authenticator is active already": active,
    }
    assert store.recovery_codes.left("alice") == 10
    assert list(store.audit_log.verify()) == []


def test_account_met_by_many_at_once_is_made_once(hosts: list[Store], settings: Settings) -> None:
    """Ten first logins of one person make one account, and one event says so."""
    logins = [partial(host.authentication.accept_password, attempt()) for host in hosts * 5]
    granted = together(logins).count(Granted(Reason.MFA_NOT_ADOPTED))
    assert granted > 0
    assert told(hosts[0]) == ["login_granted mfa_not_adopted"] * granted
    assert told(hosts[0], SYSTEM).count("account_created") == 1
    assert broken_chains(hosts[0], settings) == []


def test_many_accounts_at_once_do_not_stand_in_each_others_way(
    hosts: list[Store], settings: Settings, clock: Clock
) -> None:
    """Twelve people get in at once, and every chain is whole."""
    names = [f"user{number}" for number in range(12)]
    phones = [enroll(hosts[0], clock, name) for name in names]
    calls = [
        partial(try_code, hosts[number % 2], phone.code(), names[number])
        for number, phone in enumerate(phones)
    ]
    assert reasons(together(calls)) == {Reason.CODE_ACCEPTED: 12}
    assert broken_chains(hosts[0], settings) == []


def test_guesses_at_a_password_that_come_at_once_are_all_counted(
    open_store: OpenStore,
) -> None:
    """The throttle of web and API lets its number through, not a number for each worker."""
    stores = [open_store(store=PATIENT, password_throttle=FEW) for _ in range(2)]
    waits = together(
        [partial(stores[n % 2].password_throttle.enter, "alice", "192.0.2.7") for n in range(20)]
    )
    assert sum(wait == 0 for wait in waits) == 5


def test_right_and_wrong_passwords_at_once_break_nothing(open_store: OpenStore) -> None:
    """One who signs in forgets what others count at the same moment; nobody gets an error."""
    stores = [open_store(store=PATIENT) for _ in range(2)]

    def sign_in(store: Store) -> bool:
        for _ in range(15):
            if store.password_throttle.enter("alice", "192.0.2.7") == 0:
                store.password_throttle.succeed("alice", "192.0.2.7")
        return True

    together([partial(sign_in, store) for store in stores * 4])
    assert stores[0].password_throttle.enter("alice", "192.0.2.7") == 0
