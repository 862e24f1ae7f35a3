"""Gates beside the code check: guessing of passwords on web and API, and what is forgotten."""

import pytest
from harness.audit import SYSTEM, events
from harness.stores import ROOT, Clock, OpenStore, attempt, enroll

from store.decisions import Protocol
from store.lockout import OPEN, LockState, after_wrong, remaining, undone
from store.opening import Store
from store.password_throttle import account_subject, address_subject
from store.settings import GuessSettings, Settings

MINUTE, HOUR = 60, 3600
ADDRESS, OTHER_ADDRESS = "192.0.2.7", "198.51.100.9"


def guess(store: Store, name: str = "alice", address: str = ADDRESS, times: int = 1) -> list[int]:
    """Guess wrong; give how long each guess would have to wait."""
    return [store.password_throttle.enter(name, address) for _ in range(times)]


def sign_in(store: Store, name: str = "alice", address: str = ADDRESS) -> int:
    """Give a right password, if one may be given; give how long one would have to wait."""
    wait = store.password_throttle.enter(name, address)
    if not wait:
        store.password_throttle.succeed(name, address)
    return wait


# By account


def test_tenth_wrong_password_closes_the_account_for_a_minute(store: Store, clock: Clock) -> None:
    """From wherever they come; then a guess has to wait, and is told how long."""
    addresses = [f"192.0.2.{number}" for number in range(10)]
    assert [guess(store, address=address) for address in addresses] == [[0]] * 10
    assert guess(store, address=OTHER_ADDRESS) == [MINUTE]
    clock.move(MINUTE - 0.5)
    assert guess(store, address=OTHER_ADDRESS) == [1], "never told to wait for no time"
    clock.move(0.5)
    assert guess(store, address=OTHER_ADDRESS) == [0]


def test_end_of_guessing_goes_on_record(store: Store) -> None:
    """In the system's chain, whether there is such an account or not; the store meets none."""
    for name in ("alice", "nobody\udc80\0" + "x" * 300):
        for number in range(12):
            store.password_throttle.enter(name, f"192.0.2.{number}", Protocol.API)
    found = [row for row in events(store, SYSTEM) if row.event == "password_guesses_stopped"]
    assert [(row.protocol, row.address) for row in found] == [("api", "192.0.2.9")] * 2
    assert found[0].subject == found[0].actor == "alice"
    assert found[1].subject.startswith("nobody\\udc80\\0xxx")
    assert len(found[1].subject) == 256
    assert store.accounts.list() == []
    assert list(store.audit_log.verify()) == []


def test_end_of_guessing_from_an_address_goes_on_record(store: Store) -> None:
    """With the address, or an IPv6 one's network."""
    for number in range(51):
        store.password_throttle.enter(f"user{number}", f"2001:db8::{number:x}")
    (row,) = [row for row in events(store, SYSTEM) if row.event == "password_guesses_stopped"]
    assert (row.subject, row.actor, row.address) == ("2001:db8::/64", "user49", "2001:db8::31")


def test_what_stands_for_an_address_goes_on_record_cut_short(store: Store) -> None:
    """A proxy may hand over anything; the audit keeps 64 characters of it."""
    for number in range(50):
        store.password_throttle.enter(f"user{number}", "x" * 100)
    (row,) = [row for row in events(store, SYSTEM) if row.event == "password_guesses_stopped"]
    assert row.subject == row.address == "x" * 64


def test_waits_double_up_to_an_hour(store: Store, clock: Clock) -> None:
    """Who goes on guessing gets slower and slower."""
    waits = []
    for number in range(8):
        assert guess(store, address=f"198.51.100.{number}", times=10) == [0] * 10
        (wait,) = guess(store)
        waits.append(wait / MINUTE)
        clock.move(wait)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_guess_that_must_wait_is_not_counted(store: Store, clock: Clock) -> None:
    """A program that does not wait makes nothing worse for the person."""
    guess(store, times=10)
    guess(store, times=100)
    clock.move(MINUTE)
    assert sign_in(store) == 0


def test_right_password_forgets_the_accounts_wrong_ones(store: Store) -> None:
    """The person who signs in has all tries again."""
    for _ in range(3):
        guess(store, times=9)
        assert sign_in(store) == 0


def test_closed_gate_of_one_account_leaves_others_alone(store: Store) -> None:
    """Nor does it close SFTP: see the design. One that others closed stays closed as well."""
    guess(store, "bob")
    guess(store, times=10)
    assert guess(store, "bob", times=10) == [0] * 9 + [MINUTE]
    assert sign_in(store, "carol") == 0
    assert guess(store, "bob") == guess(store) == [MINUTE]
    assert store.authentication.accept_password(attempt("alice"))


def test_administrator_opens_it(store: Store, clock: Clock) -> None:
    """Unlocking an account is about all that was locked."""
    enroll(store, clock)
    guess(store, times=10)
    assert guess(store) == [MINUTE]
    store.accounts.unlock("alice", ROOT)
    assert guess(store) == [0]


@pytest.mark.parametrize("name", ["no-such-account", "", "x" * 100_000, "\udcff", "a\0b", "\u00e9"])
def test_any_name_is_throttled_alike(store: Store, name: str) -> None:
    """The answer does not tell which accounts there are, nor does a name break the store."""
    assert guess(store, name, times=11) == [0] * 10 + [MINUTE]
    assert store.accounts.list() == []


# By address


def test_fiftieth_wrong_password_closes_the_address(store: Store) -> None:
    """For whichever accounts: one who tries a password on many names is slowed too."""
    names = [f"user{number}" for number in range(50)]
    assert [guess(store, name) for name in names] == [[0]] * 50
    assert guess(store, "alice") == [MINUTE]
    assert guess(store, "alice", OTHER_ADDRESS) == [0]


def test_own_account_does_not_open_the_address_for_more_guesses(store: Store) -> None:
    """Signing in now and then with an account of one's own takes back that guess only."""
    names = [f"user{number}" for number in range(50)]
    for name in names:
        assert sign_in(store, "mallory") == 0
        assert guess(store, name) == [0]
    assert guess(store, "alice") == [MINUTE]


def test_right_password_at_the_last_try_leaves_the_address_open(store: Store) -> None:
    """What closed the gate ahead was no wrong guess."""
    for number in range(49):
        guess(store, f"user{number}")
    for _ in range(5):
        assert sign_in(store) == 0
    assert guess(store, "bob") == [0]
    assert sign_in(store) == MINUTE


def test_right_password_counts_though_the_clock_jumped_while_it_was_checked(
    store: Store, clock: Clock
) -> None:
    """Setting a clock right keeps nobody out."""
    for number in range(49):
        guess(store, f"user{number}")
    assert guess(store) == [0]
    clock.move(25 * HOUR)
    store.password_throttle.succeed("alice", ADDRESS)
    assert guess(store, "alice", times=2) == [0, 0]


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("no address", "no address"),
        ("x" * 100, "x" * 64),
    ],
)
def test_address_is_what_one_customer_has_to_himself(address: str, subject: str) -> None:
    """Of IPv6 a /64, within which anybody has as many addresses as he likes."""
    assert address_subject(address) == subject


def test_name_is_kept_short() -> None:
    """What was typed may be of any length; what is kept is not."""
    assert len(account_subject("x" * 10**6)) == len(account_subject("")) == 64
    assert account_subject("alice") != account_subject("Alice")


# Taking back


def test_what_was_counted_ahead_is_taken_back_whole() -> None:
    """Whatever was counted, taking it back gives what was before, but for a lock's time."""
    policy = Settings().password_throttle.account
    state = OPEN
    for now in range(25):
        counted = after_wrong(state, None, now, policy)
        taken_back = undone(counted, policy)
        assert (taken_back.failures, taken_back.locks) == (state.failures, state.locks)
        assert remaining(taken_back, now, policy) == 0 or counted.locks == state.locks
        state = counted
    assert undone(OPEN, policy) == OPEN
    assert undone(LockState(1, 0, None), policy) == OPEN


# Forgetting


def test_wrong_passwords_are_forgotten_after_a_day(store: Store, clock: Clock) -> None:
    """Slips of last week do not add up, nor do earlier locks lengthen the next one."""
    guess(store, times=9)
    clock.move(24 * HOUR + 0.001)
    assert guess(store, times=9) == [0] * 9
    clock.move(24 * HOUR)
    assert guess(store, times=2) == [0, MINUTE]
    clock.move(24 * HOUR + 0.001)
    assert guess(store, times=11) == [0] * 10 + [MINUTE]


def test_day_is_counted_from_the_last_wrong_password(store: Store, clock: Clock) -> None:
    """Who guesses a few times a day is stopped like who guesses at once."""
    guess(store, times=5)
    clock.move(20 * HOUR)
    guess(store, times=4)
    clock.move(20 * HOUR)
    assert guess(store, times=2) == [0, MINUTE]


LONG = {"minutes": 1440, "max_hours": 168}


def test_lock_that_is_longer_than_a_day_is_not_forgotten_before_its_end(
    open_store: OpenStore, clock: Clock
) -> None:
    """Where locks of up to a week are configured, they last as long as they say."""
    account = GuessSettings(failures=1, **LONG)
    store = open_store(password_throttle={"account": account})
    assert guess(store) == [0]
    clock.move(24 * HOUR)
    assert guess(store) == [0]
    clock.move(25 * HOUR)
    assert guess(store) == [23 * HOUR]
    store.housekeeping.run()
    assert guess(store) == [23 * HOUR]
    clock.move(23 * HOUR)
    assert guess(store) == [0]


def test_lock_of_one_string_answers_lasts_as_long_as_it_says(
    open_store: OpenStore, clock: Clock
) -> None:
    """The second lock is of two days, and nothing opens it after one."""
    store = open_store(lockout={"failures": 1, **LONG})
    phone = enroll(store, clock)
    matches = store.authentication.matches_code_before_password
    for _ in range(2):
        assert not matches(attempt(), *phone.wrong(1))
        clock.move(24 * HOUR)
    clock.move(1)
    assert not matches(attempt(), phone.code())
    clock.move(24 * HOUR - 1)
    assert matches(attempt(), phone.code())


def test_guess_taken_back_leaves_everything_else_as_it_was() -> None:
    """Also when the gate last closed: a clock that is set back must find it closed."""
    policy = Settings().password_throttle.account
    state = LockState(3, 2, 1_000)
    assert undone(after_wrong(state, None, 2_000, policy), policy) == state
