"""Grace: the same account from the same address, without a second code, for a moment."""

import pytest
from harness.stores import ADDRESS, ROOT, Clock, OpenStore, Phone, attempt, enroll, try_code

from store import grace
from store.decisions import ChallengeKind, ChallengeRequired, Denied, Granted, Protocol, Reason
from store.opening import Store
from store.settings import GraceSettings

CODE_NEEDED, GRACE = ChallengeRequired(ChallengeKind.CODE), Granted(Reason.GRACE)
SECONDS = 60


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """Open the store with grace on."""
    return open_store(grace={"seconds": SECONDS})


@pytest.fixture
def phone(store: Store, clock: Clock) -> Phone:
    """Let alice adopt MFA and log in with a code."""
    phone = enroll(store, clock)
    assert isinstance(try_code(store, phone.code()), Granted)
    return phone


def password_is_worth(
    store: Store, account: str = "alice", address: str | None = ADDRESS
) -> object:
    """Give a right password."""
    return store.authentication.accept_password(attempt(account, address=address))


def test_it_is_off_by_default(open_store: OpenStore, clock: Clock) -> None:
    """Every login needs a code of its own."""
    store = open_store()
    phone = enroll(store, clock)
    try_code(store, phone.code())
    assert password_is_worth(store) == CODE_NEEDED


@pytest.mark.usefixtures("phone")
def test_it_lasts_to_the_millisecond_and_is_not_prolonged_by_use(
    store: Store, clock: Clock
) -> None:
    """It counts from the code, however often it is used."""
    for seconds in (20, 20, 19.999):
        assert password_is_worth(store) == GRACE
        clock.move(seconds)
    assert password_is_worth(store) == GRACE
    clock.move(0.001)
    assert password_is_worth(store) == CODE_NEEDED


def test_code_renews_it(store: Store, clock: Clock, phone: Phone) -> None:
    """The next code counts anew."""
    clock.move(SECONDS)
    assert password_is_worth(store) == CODE_NEEDED
    try_code(store, phone.code())
    clock.move(SECONDS - 1)
    assert password_is_worth(store) == GRACE


@pytest.mark.parametrize("address", ["192.0.2.8", "::ffff:192.0.2.7", "", None])
@pytest.mark.usefixtures("phone")
def test_it_is_for_that_address(store: Store, address: str | None) -> None:
    """Nor is it for whom no address is known."""
    assert password_is_worth(store, address=address) == CODE_NEEDED


@pytest.mark.usefixtures("phone")
def test_it_is_for_that_account(store: Store, clock: Clock) -> None:
    """Others at the same address have their own codes to give."""
    enroll(store, clock, "bob")
    assert password_is_worth(store, "bob") == CODE_NEEDED


@pytest.mark.usefixtures("phone")
def test_several_behind_one_address_have_each_their_own(store: Store, clock: Clock) -> None:
    """What one of them was given neither hides nor ends what another one was."""
    bob = enroll(store, clock, "bob")
    try_code(store, bob.code(), "bob")
    assert [password_is_worth(store, name) for name in ("alice", "bob")] == [GRACE] * 2
    store.sessions.end_others("alice", ROOT)
    assert password_is_worth(store) == CODE_NEEDED
    assert password_is_worth(store, "bob") == GRACE


def test_login_without_an_address_gives_none(store: Store, clock: Clock) -> None:
    """Two who have no address would share it."""
    phone = enroll(store, clock)
    try_code(store, phone.code(), address=None)
    assert password_is_worth(store, address=None) == CODE_NEEDED


def test_completing_an_enrollment_gives_none(store: Store, clock: Clock) -> None:
    """Nor does a wrong or replayed code."""
    phone = enroll(store, clock)
    try_code(store, *phone.wrong(1))
    try_code(store, phone.code(-1))
    assert password_is_worth(store) == CODE_NEEDED


def test_recovery_code_gives_it(store: Store, clock: Clock) -> None:
    """It is an accepted code like another."""
    enroll(store, clock)
    try_code(store, store.recovery_codes.renew("alice", ROOT)[0].text())
    assert password_is_worth(store) == GRACE


@pytest.mark.usefixtures("phone")
@pytest.mark.parametrize("hours", [-1, 24])
def test_clock_that_jumps_ends_it(store: Store, clock: Clock, hours: int) -> None:
    """In doubt a code is asked for."""
    clock.move(hours=hours)
    assert password_is_worth(store) == CODE_NEEDED


def test_lock_ends_it(store: Store, phone: Phone) -> None:
    """Five wrong codes from the address that had grace, and it is over: also after the lock."""
    for code in phone.wrong(5):
        try_code(store, code)
    assert password_is_worth(store) == CODE_NEEDED
    store.accounts.unlock("alice", ROOT)
    assert password_is_worth(store) == CODE_NEEDED


def test_lost_phone_ends_it(store: Store, phone: Phone, clock: Clock) -> None:
    """Whoever removes an authenticator ends what it gave."""
    enroll(store, clock, name="spare")
    store.totp_factors.delete("alice", phone.id, ROOT)
    assert password_is_worth(store) == CODE_NEEDED


ENDING = {
    "bar and unbar": lambda store: (
        store.accounts.bar("alice", ROOT),
        store.accounts.unbar("alice", ROOT),
    ),
    "password change": lambda store: store.accounts.note_password_changed("alice", ROOT),
    "sign-out everywhere": lambda store: store.sessions.end_others("alice", ROOT),
}


@pytest.mark.usefixtures("phone")
@pytest.mark.parametrize("kind", ENDING)
def test_what_ends_sessions_ends_it(store: Store, kind: str) -> None:
    """A thief who was let in a moment ago is not let in again after it."""
    assert password_is_worth(store) == GRACE
    ENDING[kind](store)
    assert password_is_worth(store) == CODE_NEEDED


def test_grace_of_a_barred_account_does_not_wait_for_its_return(
    store: Store, phone: Phone, clock: Clock
) -> None:
    """What was left from a host that had not heard of the bar ends with it."""
    store.accounts.bar("alice", ROOT)
    with store.units.begin() as work:
        account = work.account("alice")
        assert account is not None
        grace.remember(work, account, attempt(), GraceSettings(SECONDS))
    store.accounts.unbar("alice", ROOT)
    assert password_is_worth(store) == CODE_NEEDED
    clock.move(steps=1)
    assert isinstance(try_code(store, phone.code()), Granted)


@pytest.mark.usefixtures("phone")
def test_new_authenticator_ends_it(store: Store, clock: Clock) -> None:
    """Every change of factors does."""
    enroll(store, clock, name="spare")
    assert password_is_worth(store) == CODE_NEEDED


@pytest.mark.usefixtures("phone")
def test_barred_account_has_none(store: Store) -> None:
    """Barring comes before everything."""
    store.accounts.bar("alice", ROOT)
    assert password_is_worth(store) == Denied(Reason.ACCOUNT_BARRED)


@pytest.mark.usefixtures("phone")
def test_turned_off_it_is_over_at_once(open_store: OpenStore) -> None:
    """What an earlier configuration gave is worth nothing."""
    assert password_is_worth(open_store()) == CODE_NEEDED
    assert password_is_worth(open_store(grace={"seconds": 1})) == GRACE


@pytest.mark.usefixtures("phone")
@pytest.mark.parametrize("door", [Protocol.WEB, Protocol.API])
def test_it_opens_no_session_of_the_web(store: Store, door: Protocol) -> None:
    """A session reaches further than a login: the thief of a password could enroll a device."""
    at_the_door = attempt("alice", protocol=door, address=ADDRESS)
    assert store.authentication.accept_password(at_the_door) == CODE_NEEDED
    assert password_is_worth(store) == GRACE
