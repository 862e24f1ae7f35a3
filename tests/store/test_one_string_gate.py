"""Password and code written as one answer, examined before anybody knows the password."""

import pytest
from harness.audit import events, told
from harness.stores import ROOT, Clock, OpenStore, attempt, enroll, try_code

from store.decisions import Denied, Granted, Reason
from store.opening import Store


def ends_in_code(store: Store, digits: str, account: str = "alice") -> bool:
    """Tell whether the digits at the end of an answer are taken for a code."""
    return store.authentication.matches_code_before_password(attempt(account), digits)


def miss(store: Store, codes: list[str]) -> None:
    """Give answers that end in digits which are no code."""
    assert [ends_in_code(store, code) for code in codes] == [False] * len(codes)


def test_code_of_now_is_recognised_and_not_used_up(store: Store, clock: Clock) -> None:
    """It says only where the password ends; the code is used by the check that follows."""
    phone = enroll(store, clock)
    for _ in range(10):
        assert ends_in_code(store, phone.code())
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_other_digits_are_part_of_the_password(store: Store, clock: Clock) -> None:
    """A password may end in six digits."""
    phone = enroll(store, clock)
    miss(store, [*phone.wrong(1), phone.code(-3)])


def test_account_without_authenticator_has_no_code_to_recognise(store: Store) -> None:
    """Nothing is taken from the answer of who has not adopted MFA, nor is the account made."""
    miss(store, ["123456"])
    assert store.accounts.show("alice").known_since is None


def test_fifth_miss_closes_this_way_of_writing_only(store: Store, clock: Clock) -> None:
    """Then no digits are taken for a code, but the code may still be given at its own prompt."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(4))
    assert ends_in_code(store, phone.code())
    miss(store, phone.wrong(1))
    assert not ends_in_code(store, phone.code())
    state = store.accounts.show("alice")
    assert (state.wrong_codes, state.locked_until) == (0, None)
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_closing_goes_on_record_once(store: Store, clock: Clock) -> None:
    """With the address of the miss that closed it; those after it are not even looked at."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(4))
    assert "one_string_closed" not in told(store)
    miss(store, phone.wrong(10))
    closed = [row for row in events(store, "alice") if row.event == "one_string_closed"]
    assert [(row.actor, row.protocol, row.address) for row in closed] == [
        ("alice", "ssh", "192.0.2.7")
    ]


def test_success_opens_this_way_again(store: Store, clock: Clock) -> None:
    """A right code, given in any way, forgets the misses."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(5))
    assert isinstance(try_code(store, phone.code()), Granted)
    assert ends_in_code(store, phone.code())


def test_administrator_opens_this_way_again(store: Store, clock: Clock) -> None:
    """Unlocking an account is about all that was locked."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(5))
    store.accounts.unlock("alice", ROOT)
    assert ends_in_code(store, phone.code())


def test_this_way_opens_by_itself_for_longer_and_longer_locks(store: Store, clock: Clock) -> None:
    """Who goes on guessing waits longer each time, as at the code's own prompt."""
    phone = enroll(store, clock)
    for minutes in (15, 30, 60):
        miss(store, phone.wrong(5))
        clock.move(minutes * 60 - 1)
        assert not ends_in_code(store, phone.code())
        clock.move(1)
        assert ends_in_code(store, phone.code())


def test_matching_guesses_do_not_open_the_gate(store: Store, clock: Clock) -> None:
    """A match before the password is known says nothing about who it is, and resets nothing."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(4))
    assert ends_in_code(store, phone.code())
    miss(store, phone.wrong(1))
    assert not ends_in_code(store, phone.code())


def test_locked_account_recognises_no_code(store: Store, clock: Clock) -> None:
    """While codes are locked, a right one must not show in what the password check says."""
    phone = enroll(store, clock)
    for code in phone.wrong(5):
        try_code(store, code)
    assert not ends_in_code(store, phone.code())


def test_misses_do_not_lock_the_code_check_of_who_knows_the_password(
    store: Store, clock: Clock
) -> None:
    """A stranger who writes names and digits cannot keep anybody out."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(50))
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


def test_gate_is_of_one_account(store: Store, clock: Clock) -> None:
    """Misses on one account leave the others alone."""
    phone, other = enroll(store, clock), enroll(store, clock, "bob")
    miss(store, phone.wrong(5))
    assert ends_in_code(store, other.code(), "bob")


def test_gate_is_shared_by_all_hosts(open_store: OpenStore, clock: Clock) -> None:
    """Five in all, not five for each host."""
    stores = open_store(), open_store()
    phone = enroll(stores[0], clock)
    for number, code in enumerate(phone.wrong(5)):
        assert not ends_in_code(stores[number % 2], code)
    assert [ends_in_code(store, phone.code()) for store in stores] == [False, False]


@pytest.mark.parametrize("hours", [-24 * 365, 24])
def test_clock_that_jumps_keeps_the_gate_closed_for_nobody(
    store: Store, clock: Clock, hours: int
) -> None:
    """As for the lock of the code check."""
    phone = enroll(store, clock)
    miss(store, phone.wrong(5))
    clock.move(hours=hours)
    assert ends_in_code(store, phone.code())


def test_used_code_is_recognised_and_then_refused_as_a_replay(store: Store, clock: Clock) -> None:
    """A replay in one string is told from a wrong password in the audit."""
    phone = enroll(store, clock)
    try_code(store, phone.code())
    assert ends_in_code(store, phone.code())
    assert try_code(store, phone.code()) == Denied(Reason.CODE_REPLAYED, phone.id)
