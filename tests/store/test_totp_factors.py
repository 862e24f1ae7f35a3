"""Authenticators: how one is enrolled, listed and removed."""

from base64 import b32decode
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from harness.audit import events
from harness.stores import (
    ADDRESS,
    ROOT,
    Clock,
    OpenStore,
    Phone,
    attempt,
    enroll,
    try_code,
)
from sqlalchemy import select, text

from store.audit import Actor
from store.clock import from_milliseconds
from store.decisions import Denied, Granted, Protocol, Reason
from store.errors import EnrollmentError, LimitError, NotFoundError, RequestError
from store.opening import Store
from store.schema import totp_factors
from store.sessions import Stage

MINUTE = 60


def begin(store: Store, clock: Clock, account: str = "alice", name: str = "phone") -> Phone:
    """Start an enrollment and type its secret into an app."""
    enrollment = store.totp_factors.begin(account, name, ROOT)
    return Phone(enrollment.factor.id, enrollment.secret.text(), clock)


def is_asked_for_a_code(store: Store, account: str = "alice") -> bool:
    """Tell whether a password alone is not enough."""
    return not isinstance(store.authentication.accept_password(attempt(account)), Granted)


def test_secret_has_160_bits_and_is_the_same_in_the_uri(open_store: OpenStore) -> None:
    """What is typed by hand and what is scanned make the same codes, under names that tell."""
    store = open_store(totp={"issuer": "My Files"})
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    secret, uri = enrollment.secret.text(), urlsplit(enrollment.uri.text())
    assert len(secret) == 32
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/My%20Files:alice")
    assert parse_qs(uri.query) == {"secret": [secret], "issuer": ["My Files"]}


def test_each_enrollment_has_a_secret_of_its_own(store: Store, clock: Clock) -> None:
    """Nothing is shared between accounts, nor between one try and the next."""
    secrets = [begin(store, clock, name).secret for name in ("alice", "bob", "alice")]
    assert len(set(secrets)) == 3


def test_secret_is_nowhere_after_its_creation(store: Store) -> None:
    """The database holds it sealed, no list shows it, no repr tells it."""
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    secret = enrollment.secret.text()
    with store.units.database.read() as connection:
        sealed = connection.execute(select(totp_factors.c.sealed_secret)).scalar_one()
        stored = [
            repr(connection.execute(text(f'SELECT * FROM "{name}"')).all())  # noqa: S608
            for name in totp_factors.metadata.tables
        ]
    shown = repr([enrollment, store.totp_factors.list("alice"), *stored])
    assert secret not in shown
    assert b32decode(secret) not in sealed


def test_pending_factor_lets_nobody_in(store: Store, clock: Clock) -> None:
    """Its codes are worth nothing before the enrollment is completed."""
    phone = begin(store, clock)
    assert try_code(store, phone.code()) == Denied(Reason.NO_FACTOR)
    enroll(store, clock, name="other")
    pending = begin(store, clock, name="third")
    assert try_code(store, pending.code()) == Denied(Reason.CODE_WRONG)


def test_right_code_completes(store: Store, clock: Clock) -> None:
    """What is given back, and listed, is the factor as it is from now on."""
    phone = begin(store, clock, name="  my   phone ")
    begun = from_milliseconds(clock())
    clock.move(20)
    factor = store.totp_factors.complete("alice", phone.id, phone.code(), ROOT).factor
    assert (factor.id, factor.name) == (phone.id, "my phone")
    assert (factor.created_at, factor.completed_at) == (begun, begun + timedelta(seconds=20))
    assert store.totp_factors.list("alice") == [factor]


def test_wrong_code_leaves_it_pending(store: Store, clock: Clock) -> None:
    """One may try again, and is told what could be the matter."""
    phone = begin(store, clock)
    for code in (*phone.wrong(1), phone.code(-2), phone.code(2), "", "no code", "\uff11" * 6):
        with pytest.raises(EnrollmentError, match=r"wrong.*clock"):
            store.totp_factors.complete("alice", phone.id, code, ROOT)
    assert not is_asked_for_a_code(store)
    store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    assert is_asked_for_a_code(store)


def test_wrong_code_at_an_enrollment_is_no_guess_at_a_login(store: Store, clock: Clock) -> None:
    """Slips while enrolling a spare phone do not lock the account."""
    phone = enroll(store, clock)
    spare = begin(store, clock, name="spare")
    for code in spare.wrong(10):
        with pytest.raises(EnrollmentError):
            store.totp_factors.complete("alice", spare.id, code, ROOT)
    assert store.accounts.show("alice").wrong_codes == 0
    assert isinstance(try_code(store, phone.code()), Granted)


def test_window_of_a_login_holds_for_the_enrollment(open_store: OpenStore, clock: Clock) -> None:
    """A device whose clock is too wrong to log in with cannot be enrolled."""
    store = open_store(totp={"window": 0})
    phone = begin(store, clock)
    for steps in (-1, 1):
        with pytest.raises(EnrollmentError):
            store.totp_factors.complete("alice", phone.id, phone.code(steps), ROOT)
    store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)


def test_enrollment_cannot_be_completed_twice(store: Store, clock: Clock) -> None:
    """A second completion would forget which step was used."""
    phone = begin(store, clock)
    store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    assert isinstance(try_code(store, phone.code(1)), Granted)
    with pytest.raises(EnrollmentError, match="already"):
        store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    assert isinstance(try_code(store, phone.code()), Denied)


@pytest.mark.parametrize("minutes", [1, 15])
def test_enrollment_can_be_completed_for_so_long(
    open_store: OpenStore, clock: Clock, minutes: int
) -> None:
    """A secret left lying about is worth nothing after a while, whichever way the clock goes."""
    store = open_store(totp={"enrollment_minutes": minutes})
    phone = begin(store, clock)
    clock.move(minutes * MINUTE + 0.001)
    with pytest.raises(EnrollmentError, match="start again"):
        store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    clock.move(2 * (-minutes * MINUTE - 0.001))
    with pytest.raises(EnrollmentError, match="start again"):
        store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
    clock.move(2 * minutes * MINUTE + 0.001)
    store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)


def test_new_enrollment_replaces_a_pending_one(store: Store, clock: Clock) -> None:
    """Whoever begins again scans a new secret; the one shown before is worth nothing."""
    first, second = begin(store, clock), begin(store, clock)
    with pytest.raises(NotFoundError):
        store.totp_factors.complete("alice", first.id, first.code(), ROOT)
    assert [factor.id for factor in store.totp_factors.list("alice")] == [second.id]


def test_new_enrollment_leaves_active_factors_and_other_accounts_alone(
    store: Store, clock: Clock
) -> None:
    """Beginning to enroll takes nothing away from anybody."""
    phone = enroll(store, clock)
    others = begin(store, clock, "bob")
    begin(store, clock)
    assert isinstance(try_code(store, phone.code()), Granted)
    store.totp_factors.complete("bob", others.id, others.code(), ROOT)


def test_only_the_owner_completes_an_enrollment(store: Store, clock: Clock) -> None:
    """Another account's factor is as good as none."""
    phone = begin(store, clock)
    begin(store, clock, "bob")
    for account, factor_id in [("bob", phone.id), ("nobody", phone.id), ("alice", "0" * 12)]:
        with pytest.raises(NotFoundError, match=f"{account} has no authenticator {factor_id}"):
            store.totp_factors.complete(account, factor_id, phone.code(), ROOT)


def test_as_many_authenticators_as_configured(open_store: OpenStore, clock: Clock) -> None:
    """One more cannot be begun, and the number is told; one that is removed makes room."""
    store = open_store(totp={"max_per_account": 2})
    phone, _ = enroll(store, clock), enroll(store, clock, name="spare")
    with pytest.raises(LimitError, match=r"^alice has 2 authenticators, the most that are"):
        begin(store, clock, name="third")
    begin(store, clock, "bob")
    store.totp_factors.delete("alice", phone.id, ROOT)
    begin(store, clock, name="third")


def test_what_is_begun_is_what_is_listed(store: Store) -> None:
    """Whoever sees the secret sees the name beside it that the list will show."""
    begun = store.totp_factors.begin("alice", " my  phone ", ROOT).factor
    assert store.totp_factors.list("alice") == [begun]
    assert begun.name == "my phone"


@pytest.mark.parametrize("name", ["", " \t ", "x" * 65, "a\nb\0", "a\x1b[31m"])
def test_name_that_could_deceive_is_refused(store: Store, name: str) -> None:
    """A name is short and printable; a refused enrollment leaves nothing behind."""
    with pytest.raises(RequestError, match="64 printable"):
        store.totp_factors.begin("alice", name, ROOT)
    assert store.totp_factors.list("alice") == []


def test_factors_are_listed_oldest_first(store: Store, clock: Clock) -> None:
    """Pending ones too, and nobody else's."""
    phones = []
    for number in range(4):
        phones.append(enroll(store, clock, name=f"phone {number}"))
        clock.move(1)
    phones.append(begin(store, clock, name="pending"))
    enroll(store, clock, "bob")
    listed = store.totp_factors.list("alice")
    assert [factor.id for factor in listed] == [phone.id for phone in phones]
    assert [factor.completed_at is None for factor in listed] == [False] * 4 + [True]


def test_use_is_noted(store: Store, clock: Clock) -> None:
    """A list tells which authenticator was used last, and when."""
    phone = enroll(store, clock)
    clock.move(steps=10)
    try_code(store, phone.code())
    (factor,) = store.totp_factors.list("alice")
    assert factor.last_used_at == from_milliseconds(clock())


def test_only_the_owners_factor_can_be_deleted(store: Store, clock: Clock) -> None:
    """A misspelt id or account is an error, and a second time too."""
    phone = enroll(store, clock)
    enroll(store, clock, "bob")
    for account, factor_id in [("bob", phone.id), ("nobody", phone.id), ("alice", "0" * 12)]:
        with pytest.raises(NotFoundError, match=f"{account} has no authenticator {factor_id}"):
            store.totp_factors.delete(account, factor_id, ROOT)
    assert is_asked_for_a_code(store)
    store.totp_factors.delete("alice", phone.id, ROOT)
    with pytest.raises(NotFoundError):
        store.totp_factors.delete("alice", phone.id, ROOT)


def test_pending_enrollment_can_be_given_up(store: Store, clock: Clock) -> None:
    """Who deletes it cannot complete it."""
    phone = begin(store, clock)
    store.totp_factors.delete("alice", phone.id, ROOT)
    with pytest.raises(NotFoundError):
        store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)


def test_all_authenticators_are_removed_at_once(store: Store, clock: Clock) -> None:
    """And told how many; nobody else's go, and of the sessions the actor's own one stays."""
    enroll(store, clock), enroll(store, clock, name="spare"), enroll(store, clock, "bob")
    at_the_web = attempt(protocol=Protocol.WEB)
    mine, session = store.sessions.begin(at_the_web, Stage.FULL, "Firefox")
    other, _ = store.sessions.begin(at_the_web, Stage.FULL, "Lynx")
    me = Actor("alice", Protocol.WEB, ADDRESS, session.id)
    assert store.totp_factors.delete_all("alice", me) == 2
    assert not is_asked_for_a_code(store)
    assert is_asked_for_a_code(store, "bob")
    assert store.sessions.find(mine) is not None
    assert store.sessions.find(other) is None
    assert store.totp_factors.delete_all("alice", me) == 0
    assert store.totp_factors.delete_all("nobody", me) == 0


def test_audit_names_the_authenticator_at_each_step(store: Store, clock: Clock) -> None:
    """Begun, completed late, completed, removed alone or with the rest: each says which one."""
    first, second = enroll(store, clock), enroll(store, clock, name="spare")
    given_up = begin(store, clock, name="third")
    with pytest.raises(EnrollmentError):
        store.totp_factors.complete("alice", given_up.id, *given_up.wrong(1), ROOT)
    store.totp_factors.delete("alice", first.id, ROOT)
    store.totp_factors.delete_all("alice", ROOT)
    found = [(row.event, row.factor_id) for row in events(store, "alice")]
    steps = [step for step in found if step[0].startswith("totp_")]
    assert steps[:7] == [
        ("totp_started", first.id),
        ("totp_completed", first.id),
        ("totp_started", second.id),
        ("totp_completed", second.id),
        ("totp_started", given_up.id),
        ("totp_completion_failed", given_up.id),
        ("totp_deleted", first.id),
    ]
    assert sorted(steps[7:]) == sorted(("totp_deleted", phone.id) for phone in (second, given_up))
