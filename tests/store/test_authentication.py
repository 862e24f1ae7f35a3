"""What the store decides about passwords and codes, and that a code is good once."""

import random

import pytest
from harness.stores import ROOT, Clock, OpenStore, Phone, attempt, enroll, seeded, try_code

from store.decisions import (
    ChallengeKind,
    ChallengeRequired,
    Decision,
    Denied,
    Granted,
    Protocol,
    Reason,
)
from store.opening import Store

WRONG = Denied(Reason.CODE_WRONG)
CODE_NEEDED = ChallengeRequired(ChallengeKind.CODE)
PASSWORD_IS_ENOUGH = Granted(Reason.MFA_NOT_ADOPTED)


def accepted(phone: Phone) -> Decision:
    """Expect a code to let in."""
    return Granted(Reason.CODE_ACCEPTED, phone.id)


def replayed(phone: Phone) -> Decision:
    """Expect a code to be known and used up."""
    return Denied(Reason.CODE_REPLAYED, phone.id)


# Who is asked for a code


def test_account_never_met_needs_a_password_only(store: Store) -> None:
    """Nothing changes for somebody of whom the store knows nothing."""
    held = store.authentication.factors_of("alice")
    assert not held.totp
    assert not held.tokens
    assert not held.needs_code
    assert store.authentication.accept_password(attempt()) == PASSWORD_IS_ENOUGH


def test_pending_enrollment_changes_nothing(store: Store) -> None:
    """Who began to enroll and went away is not asked for a code."""
    store.totp_factors.begin("alice", "phone", ROOT)
    held = store.authentication.factors_of("alice")
    assert not held.totp
    assert not held.needs_code
    assert store.authentication.accept_password(attempt()) == PASSWORD_IS_ENOUGH


def test_completed_enrollment_makes_a_password_not_enough(store: Store, clock: Clock) -> None:
    """From the first right code on, a code is asked for; of this account only."""
    enroll(store, clock)
    held = store.authentication.factors_of("alice")
    assert held.totp
    assert held.needs_code
    assert store.authentication.accept_password(attempt()) == CODE_NEEDED
    assert store.authentication.accept_password(attempt("bob")) == PASSWORD_IS_ENOUGH


@pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.WEB, Protocol.API])
def test_every_door_asks_for_the_code(store: Store, clock: Clock, protocol: Protocol) -> None:
    """No protocol lets in by a password alone once MFA is adopted."""
    enroll(store, clock)
    decision = store.authentication.accept_password(attempt(protocol=protocol))
    assert decision == CODE_NEEDED


def test_account_without_its_last_authenticator_is_as_before(store: Store, clock: Clock) -> None:
    """A code is asked for as long as one authenticator is left."""
    first, second = enroll(store, clock), enroll(store, clock, name="spare")
    store.totp_factors.delete("alice", first.id, ROOT)
    assert store.authentication.accept_password(attempt()) == CODE_NEEDED
    store.totp_factors.delete("alice", second.id, ROOT)
    assert store.authentication.accept_password(attempt()) == PASSWORD_IS_ENOUGH


def test_password_of_who_needs_a_code_waits_for_no_writer(
    open_store: OpenStore, clock: Clock
) -> None:
    """The first half of such a login only reads: a change in the middle of it holds up nobody."""
    store, other = open_store(), open_store()
    enroll(store, clock)
    with other.units.begin() as work:
        assert work.account("alice")
        assert store.authentication.accept_password(attempt()) == CODE_NEEDED


# One code, one login


def test_right_code_lets_in_once(store: Store, clock: Clock) -> None:
    """The second use of a code is a replay, in its own step and in the next one."""
    phone = enroll(store, clock)
    code = phone.code()
    assert try_code(store, code) == accepted(phone)
    assert try_code(store, code) == replayed(phone)
    clock.move(steps=1)
    assert try_code(store, code) == replayed(phone)


def test_code_that_completed_the_enrollment_is_used_up(store: Store, clock: Clock) -> None:
    """Who looked over the shoulder at the enrollment cannot log in with what was seen."""
    phone = enroll(store, clock)
    assert try_code(store, phone.code(-1)) == replayed(phone)


def test_steps_in_order_each_let_in(store: Store, clock: Clock) -> None:
    """The step before, the present and the next one are three codes for three logins."""
    phone = enroll(store, clock)
    clock.move(steps=5)
    decisions = [try_code(store, phone.code(steps)) for steps in (-1, 0, 1)]
    assert decisions == [accepted(phone)] * 3


def test_older_step_after_a_newer_one_is_a_replay(store: Store, clock: Clock) -> None:
    """Once a code was used, those before it are worth nothing, though nobody used them."""
    phone = enroll(store, clock)
    clock.move(steps=5)
    assert try_code(store, phone.code(1)) == accepted(phone)
    assert [try_code(store, phone.code(steps)) for steps in (0, -1)] == [replayed(phone)] * 2


def test_used_code_stays_used_when_the_clock_is_set_back(store: Store, clock: Clock) -> None:
    """A clock that is corrected does not bring used codes back."""
    phone = enroll(store, clock)
    clock.move(steps=10)
    code = phone.code()
    assert try_code(store, code) == accepted(phone)
    clock.move(steps=-1)
    assert try_code(store, code) == replayed(phone)


@pytest.mark.parametrize("window", [0, 1, 2])
def test_codes_beyond_the_window_are_wrong(
    open_store: OpenStore, clock: Clock, window: int
) -> None:
    """The configured window is what a login grants, on both sides."""
    store = open_store(totp={"window": window}, lockout={"failures": 20})
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    for steps in range(-3, 4):
        clock.move(steps=20)
        expected = accepted(phone) if abs(steps) <= window else WRONG
        assert try_code(store, phone.code(steps)) == expected


def test_code_used_on_one_host_is_used_on_all(open_store: OpenStore, clock: Clock) -> None:
    """Two programs over one store share what was used."""
    one, other = open_store(), open_store()
    phone = enroll(one, clock)
    code = phone.code()
    assert try_code(one, code, protocol=Protocol.SSH) == accepted(phone)
    assert try_code(other, code, protocol=Protocol.WEB) == replayed(phone)


def test_code_of_another_account_is_wrong(store: Store, clock: Clock) -> None:
    """A code opens the account whose authenticator shows it, and is not used up elsewhere."""
    enroll(store, clock)
    phone = enroll(store, clock, "bob")
    assert try_code(store, phone.code(), "alice") == WRONG
    assert try_code(store, phone.code(), "bob") == accepted(phone)


def test_account_without_authenticator_has_no_right_code(store: Store) -> None:
    """A code is refused, and not counted, where there is nothing to compare it with."""
    assert try_code(store, "123456") == Denied(Reason.NO_FACTOR)
    assert store.accounts.show("alice").wrong_codes == 0


def test_any_long_run_of_codes_lets_in_as_the_rules_say(
    open_store: OpenStore, clock: Clock
) -> None:
    """Whatever is tried in whichever order, a step lets in once and none before it does again."""
    store = open_store(lockout={"failures": 20})
    phone = enroll(store, clock)
    chance = random.Random(6238)  # noqa: S311 - a failure must be seen again
    now, used = 0, -1
    for _ in range(120):
        now += (moved := chance.choice([0, 0, 0, 1, 1, 2, 5, -1]))
        clock.move(steps=moved)
        steps = chance.randint(-2, 2)
        decision = try_code(store, phone.code(steps))
        if abs(steps) > 1:
            assert decision in (WRONG, Denied(Reason.CODE_WRONG_AGAIN))
        elif now + steps <= used:
            assert decision == replayed(phone)
        else:
            assert decision == accepted(phone)
            used = now + steps


# Several authenticators


def test_each_authenticator_lets_in_by_its_own_steps(store: Store, clock: Clock) -> None:
    """A code of the phone does not use up the spare's, and each tells which one it was."""
    phone, spare = enroll(store, clock), enroll(store, clock, name="spare")
    assert try_code(store, phone.code()) == accepted(phone)
    assert try_code(store, spare.code()) == accepted(spare)
    assert try_code(store, phone.code()) == replayed(phone)
    assert try_code(store, spare.code()) == replayed(spare)


def test_deleted_authenticator_lets_nobody_in(store: Store, clock: Clock) -> None:
    """The codes of a lost phone are wrong once it is deleted; the spare's go on."""
    phone, spare = enroll(store, clock), enroll(store, clock, name="spare")
    store.totp_factors.delete("alice", phone.id, ROOT)
    assert try_code(store, phone.code()) == WRONG
    assert try_code(store, spare.code()) == accepted(spare)


def test_code_that_two_authenticators_show_lets_in_once(
    open_store: OpenStore, clock: Clock
) -> None:
    """By chance two of an account's authenticators may show one code; it is still one code."""
    chance = seeded(7)
    store = open_store(randomness=lambda size: b"x" * 20 if size == 20 else chance(size))
    phone, twin = enroll(store, clock), enroll(store, clock, name="twin")
    code = phone.code()
    assert twin.code() == code
    first, second = try_code(store, code), try_code(store, code)
    assert isinstance(first, Granted)
    assert isinstance(second, Denied)
    assert second.reason is Reason.CODE_REPLAYED


# What is counted


def test_wrong_code_is_counted(store: Store, clock: Clock) -> None:
    """Each different wrong code counts."""
    phone = enroll(store, clock)
    for count, code in enumerate(phone.wrong(3), start=1):
        assert try_code(store, code) == WRONG
        assert store.accounts.show("alice").wrong_codes == count


def test_wrong_codes_are_counted_together_for_all_doors(
    open_store: OpenStore, clock: Clock
) -> None:
    """Somebody who goes from door to door and from host to host has not one try more."""
    stores = open_store(), open_store()
    phone = enroll(stores[0], clock)
    doors = [Protocol.SSH, Protocol.WEB, Protocol.API]
    for number, code in enumerate(phone.wrong(4)):
        where = {"protocol": doors[number % 3], "address": f"192.0.2.{number}"}
        assert try_code(stores[number % 2], code, **where) == WRONG
    assert stores[0].accounts.show("alice").wrong_codes == 4


def test_same_wrong_code_counts_once_within_its_step(store: Store, clock: Clock) -> None:
    """A client that repeats its answer by itself until sshd hangs up makes one mistake."""
    phone = enroll(store, clock)
    (code,) = phone.wrong(1)
    again = Denied(Reason.CODE_WRONG_AGAIN)
    assert [try_code(store, code) for _ in range(6)] == [WRONG, *[again] * 5]
    assert store.accounts.show("alice").wrong_codes == 1


def test_same_wrong_code_counts_again_in_the_next_step(store: Store, clock: Clock) -> None:
    """In another step it is another guess, since another code would be right."""
    phone = enroll(store, clock)
    (code,) = phone.wrong(1)
    try_code(store, code)
    clock.move(steps=1)
    assert try_code(store, code) == WRONG
    assert store.accounts.show("alice").wrong_codes == 2


def test_wrong_codes_in_turn_are_each_counted(store: Store, clock: Clock) -> None:
    """Only the last wrong code is remembered: nobody gets a guess for nothing by alternating."""
    phone = enroll(store, clock)
    one, other = phone.wrong(2)
    assert [try_code(store, code) for code in (one, other, one)] == [WRONG] * 3
    assert store.accounts.show("alice").wrong_codes == 3


def test_same_wrong_code_on_another_account_is_counted_there(store: Store, clock: Clock) -> None:
    """What was tried on one account says nothing about another one."""
    enroll(store, clock)
    phone = enroll(store, clock, "bob")
    (code,) = phone.wrong(1)
    assert [try_code(store, code, name) for name in ("alice", "bob")] == [WRONG] * 2


@pytest.mark.parametrize("typed", ["", "12345", "correct horse", "\uff11" * 6, "1" * 100_000])
def test_what_is_no_code_is_not_counted(store: Store, clock: Clock, typed: str) -> None:
    """What could never have been right is no guess."""
    enroll(store, clock)
    assert try_code(store, typed) == Denied(Reason.CODE_MALFORMED)
    assert store.accounts.show("alice").wrong_codes == 0


def test_replay_is_not_counted(store: Store, clock: Clock) -> None:
    """Who sends a used code has, or had, the right authenticator."""
    phone = enroll(store, clock)
    try_code(store, phone.code())
    for _ in range(10):
        assert try_code(store, phone.code()) == replayed(phone)
    assert store.accounts.show("alice").wrong_codes == 0


def test_refused_password_neither_counts_nor_uses_up_a_code(store: Store, clock: Clock) -> None:
    """A stranger without the password cannot lock anybody out, nor burn a code."""
    phone = enroll(store, clock)
    for _ in range(10):
        decision = store.authentication.refuse_password(attempt())
        assert decision == Denied(Reason.PASSWORD_REFUSED)
    assert store.accounts.show("alice").wrong_codes == 0
    assert try_code(store, phone.code()) == accepted(phone)


def test_missing_code_is_not_counted(store: Store, clock: Clock) -> None:
    """A client that knows one prompt only does not lock its user out."""
    phone = enroll(store, clock)
    for _ in range(10):
        decision = store.authentication.refuse_without_code(attempt())
        assert decision == Denied(Reason.CODE_MISSING)
    assert store.accounts.show("alice").wrong_codes == 0
    assert try_code(store, phone.code()) == accepted(phone)


# Accounts that are barred


def test_barred_account_is_refused_and_its_code_is_not_used_up(store: Store, clock: Clock) -> None:
    """A right code does not help, nor is a wrong one counted; unbarred, all is as before."""
    phone = enroll(store, clock)
    store.accounts.bar("alice", ROOT)
    barred = Denied(Reason.ACCOUNT_BARRED)
    assert try_code(store, phone.code()) == barred
    assert try_code(store, *phone.wrong(1)) == barred
    assert store.accounts.show("alice").wrong_codes == 0
    store.accounts.unbar("alice", ROOT)
    assert try_code(store, phone.code()) == accepted(phone)


def test_barred_account_is_refused_without_mfa_too(store: Store) -> None:
    """Barring does not need a factor, nor that the store has met the account."""
    store.accounts.bar("alice", ROOT)
    assert store.authentication.accept_password(attempt()) == Denied(Reason.ACCOUNT_BARRED)


def test_account_phase_refuses_who_is_barred_and_nobody_else(store: Store) -> None:
    """Public keys come this way: unknown and open accounts pass, barred ones do not."""
    store.accounts.bar("mallory", ROOT)
    store.accounts.bar("bob", ROOT)
    store.accounts.unbar("bob", ROOT)
    decisions = [
        store.authentication.check_account(attempt(name)) for name in ("alice", "bob", "mallory")
    ]
    assert decisions == [
        Granted(Reason.ACCOUNT_OPEN),
        Granted(Reason.ACCOUNT_OPEN),
        Denied(Reason.ACCOUNT_BARRED),
    ]
