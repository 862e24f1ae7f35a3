"""When wrong codes lock an account's code check: the rule by itself, and in the store."""

from typing import Any

import msgspec
import pytest
from harness.stores import ROOT, Clock, OpenStore, Phone, attempt, enroll, try_code
from hypothesis import given
from hypothesis import strategies as st

from store import lockout
from store.clock import from_milliseconds
from store.decisions import Denied, Granted, Protocol, Reason
from store.errors import NotFoundError
from store.lockout import OPEN, LockState
from store.opening import Store
from store.settings import Settings

POLICY = Settings().lockout
MINUTE = 60_000
HOUR = 60 * MINUTE
LOCKED = Denied(Reason.CODES_LOCKED)
WRONG = Denied(Reason.CODE_WRONG)


def policy(failures: int, minutes: int, max_hours: int) -> Any:
    """Give a policy."""
    return msgspec.structs.replace(POLICY, failures=failures, minutes=minutes, max_hours=max_hours)


policies = st.builds(policy, st.integers(1, 20), st.integers(1, 1440), st.integers(1, 168))
times = st.integers(0, 10**14)
closed = st.builds(LockState, st.integers(0, 4), st.integers(1, 10**6), times)


# The rule by itself


def test_defaults_are_those_of_the_design() -> None:
    """Five wrong codes, then 15 minutes, and a day at most."""
    assert (POLICY.failures, POLICY.minutes, POLICY.max_hours) == (5, 15, 24)


def test_locks_double_up_to_a_day() -> None:
    """15 minutes, half an hour, an hour … 16 hours, then a day for ever."""
    lengths = [lockout.lock_length(locks, POLICY) / HOUR for locks in range(1, 10)]
    assert lengths == [0.25, 0.5, 1, 2, 4, 8, 16, 24, 24]


@given(st.integers(1, 10**9), policies)
def test_length_neither_shrinks_nor_passes_the_longest(locks: int, policy: Any) -> None:
    """However often somebody was locked out, the length is bounded, and not less than before."""
    length = lockout.lock_length(locks, policy)
    longest = policy.max_hours * HOUR
    assert min(policy.minutes * MINUTE, longest) <= length <= longest
    assert length <= lockout.lock_length(locks + 1, policy)


@given(policies, times, st.integers(0, 10**6))
def test_as_many_wrong_answers_as_configured_close_the_gate(
    policy: Any, now: int, locks: int
) -> None:
    """It is open until the last one allowed, and then closed for the whole length."""
    state = LockState(0, locks, None)
    for _ in range(policy.failures):
        assert lockout.remaining(state, now, policy) == 0
        state = lockout.after_wrong(state, b"digest", now, policy)
    assert state == LockState(0, locks + 1, now, b"digest")
    length = lockout.lock_length(locks + 1, policy)
    for later, left in [
        (0, length),
        (1, length - 1),
        (length - 1, 1),
        (length, 0),
        (2 * length, 0),
    ]:
        assert lockout.remaining(state, now + later, policy) == left


@given(policies, closed, times)
def test_remaining_is_never_negative_nor_without_bound(
    policy: Any, state: LockState, now: int
) -> None:
    """Whatever the clock says, nobody is told to wait for more than twice the longest lock."""
    assert 0 <= lockout.remaining(state, now, policy) <= 2 * policy.max_hours * HOUR


@given(policies, closed, times)
def test_who_waits_long_enough_gets_in(policy: Any, state: LockState, now: int) -> None:
    """After the time that was told, the gate is open, and stays so."""
    then = now + lockout.remaining(state, now, policy)
    if now >= (state.locked_at or 0):
        for later in (0, 1, MINUTE, 365 * 24 * HOUR):
            assert lockout.remaining(state, then + later, policy) == 0
    else:
        assert lockout.remaining(state, then, policy) == 0


@given(policies, closed, st.integers(1, 10**13))
def test_lock_made_under_a_clock_far_ahead_is_over(
    policy: Any, state: LockState, ahead: int
) -> None:
    """A clock that ran ahead for a while leaves nobody locked out until that time comes."""
    assert state.locked_at is not None
    length = lockout.lock_length(state.locks, policy)
    assert lockout.remaining(state, state.locked_at - length - ahead, policy) == 0
    assert lockout.remaining(state, state.locked_at - length, policy) == 2 * length


def test_open_gate_has_nothing_remembered() -> None:
    """What success leaves behind is what an account begins with."""
    assert LockState(0, 0, None, None) == OPEN
    assert lockout.remaining(OPEN, 0, POLICY) == 0


# In the store


def guess(store: Store, phone: Phone, count: int = 5) -> None:
    """Give that many different wrong codes, each of which must be examined."""
    for code in phone.wrong(count):
        assert try_code(store, code) == WRONG


def test_fifth_wrong_code_locks_the_code_check(store: Store, clock: Clock) -> None:
    """Four leave it open; after the fifth even the right code is refused, and not used up."""
    phone = enroll(store, clock)
    guess(store, phone)
    assert try_code(store, phone.code()) == LOCKED
    until = store.accounts.show("alice").locked_until
    assert until == from_milliseconds(clock() + 15 * MINUTE)
    store.accounts.unlock("alice", ROOT)
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_four_wrong_codes_lock_nothing(store: Store, clock: Clock) -> None:
    """The person who finds the right code at the fifth try is in."""
    phone = enroll(store, clock)
    guess(store, phone, 4)
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_lock_ends_by_itself_to_the_millisecond(store: Store, clock: Clock) -> None:
    """A millisecond before the end it holds, at the end it does not."""
    phone = enroll(store, clock)
    guess(store, phone)
    clock.move(15 * 60 - 0.001)
    assert try_code(store, phone.code()) == LOCKED
    clock.move(0.001)
    assert store.accounts.show("alice").locked_until is None
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_each_lock_is_twice_as_long_up_to_a_day(store: Store, clock: Clock) -> None:
    """Who goes on guessing gets five tries a lock, and the locks grow."""
    phone = enroll(store, clock)
    lengths = []
    for _ in range(9):
        guess(store, phone)
        until = store.accounts.show("alice").locked_until
        assert until is not None
        length = until - from_milliseconds(clock())
        lengths.append(length.total_seconds() / 3600)
        clock.move(length.total_seconds())
    assert lengths == [0.25, 0.5, 1, 2, 4, 8, 16, 24, 24]


def test_success_makes_the_next_lock_short_again(store: Store, clock: Clock) -> None:
    """A right code forgets wrong codes and former locks."""
    phone = enroll(store, clock)
    guess(store, phone)
    clock.move(15 * 60)
    guess(store, phone, 4)
    assert isinstance(try_code(store, phone.code()), Granted)
    assert store.accounts.show("alice").wrong_codes == 0
    guess(store, phone)
    until = store.accounts.show("alice").locked_until
    assert until == from_milliseconds(clock() + 15 * MINUTE)


def test_wrong_codes_of_long_ago_still_count(store: Store, clock: Clock) -> None:
    """Waiting does not bring tries back: only a right code or an administrator does."""
    phone = enroll(store, clock)
    guess(store, phone, 4)
    clock.move(hours=24 * 365)
    guess(store, phone, 1)
    assert try_code(store, phone.code()) == LOCKED


def test_locked_check_examines_and_counts_nothing(store: Store, clock: Clock) -> None:
    """What is tried while it is locked does not make the lock longer, nor tells a right code."""
    phone = enroll(store, clock)
    guess(store, phone)
    before = store.accounts.show("alice")
    codes = [*phone.wrong(20), phone.code(), phone.code(-1), "", "no code"]
    assert {try_code(store, code) for code in codes} == {LOCKED}
    assert store.accounts.show("alice") == before


def test_administrator_unlocks(store: Store, clock: Clock) -> None:
    """Unlocking forgets wrong codes and former locks."""
    phone = enroll(store, clock)
    for _ in range(3):
        guess(store, phone)
        store.accounts.unlock("alice", ROOT)
        state = store.accounts.show("alice")
        assert (state.wrong_codes, state.locked_until) == (0, None)
    guess(store, phone)
    until = store.accounts.show("alice").locked_until
    assert until == from_milliseconds(clock() + 15 * MINUTE)


def test_account_never_met_cannot_be_unlocked(store: Store) -> None:
    """A name that is misspelt is an error, not a silent success."""
    with pytest.raises(NotFoundError, match="alcie"):
        store.accounts.unlock("alcie", ROOT)


def test_lock_is_of_one_account(store: Store, clock: Clock) -> None:
    """Others are not touched."""
    phone, other = enroll(store, clock), enroll(store, clock, "bob")
    guess(store, phone)
    assert isinstance(try_code(store, other.code(), "bob"), Granted)


def test_lock_holds_on_every_door_and_host(open_store: OpenStore, clock: Clock) -> None:
    """There is no door through which guessing goes on."""
    one, other = open_store(), open_store()
    phone = enroll(one, clock)
    guess(one, phone)
    for protocol in (Protocol.SSH, Protocol.WEB, Protocol.API):
        decision = try_code(other, phone.code(), protocol=protocol, address="2001:db8::1")
        assert decision == LOCKED


def test_tokens_go_on_working_while_codes_are_locked(store: Store, clock: Clock) -> None:
    """Somebody else's guessing does not stop the nightly job."""
    phone = enroll(store, clock)
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
    guess(store, phone)
    assert isinstance(store.authentication.check_token(attempt(), token), Granted)
    assert try_code(store, phone.code()) == LOCKED


def test_token_does_not_reset_wrong_codes(store: Store, clock: Clock) -> None:
    """A job's logins at night give a guesser no new tries."""
    phone = enroll(store, clock)
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
    guess(store, phone, 4)
    assert isinstance(store.authentication.check_token(attempt(), token), Granted)
    guess(store, phone, 1)
    assert try_code(store, phone.code()) == LOCKED


@pytest.mark.parametrize("hours", [-24 * 365, -24, 24, 24 * 365])
def test_clock_that_jumps_keeps_nobody_locked(store: Store, clock: Clock, hours: int) -> None:
    """A clock that was wrong when the lock was made, or is now, ends it, not stretches it."""
    phone = enroll(store, clock)
    clock.move(hours=24 * 365 * 2)
    guess(store, phone)
    clock.move(hours=hours)
    state = store.accounts.show("alice")
    assert state.locked_until is None
    codes = phone.wrong(1)
    assert try_code(store, *codes) == WRONG


def test_clock_set_back_a_little_lengthens_a_lock_by_that_much(store: Store, clock: Clock) -> None:
    """Within a lock's own length the end stays where it was."""
    phone = enroll(store, clock)
    clock.move(hours=1)
    guess(store, phone)
    until = store.accounts.show("alice").locked_until
    clock.move(-10 * 60)
    assert store.accounts.show("alice").locked_until == until
    assert try_code(store, phone.code()) == LOCKED


def test_configured_failures_and_minutes_are_obeyed(open_store: OpenStore, clock: Clock) -> None:
    """Another configuration gives another lock."""
    store = open_store(lockout={"failures": 2, "minutes": 60, "max_hours": 1})
    phone = enroll(store, clock)
    for _ in range(3):
        guess(store, phone, 2)
        assert try_code(store, phone.code()) == LOCKED
        clock.move(hours=1)
