"""Sessions of web and API: how far they reach, and what ends them."""

import hashlib
import re

import pytest
from harness.audit import told
from harness.stores import ROOT, Clock, OpenStore, Phone, attempt, enroll, try_code
from sqlalchemy import select

from store.audit import Actor
from store.clock import from_milliseconds
from store.decisions import Attempt, Protocol
from store.errors import NotFoundError, OvertakenError
from store.opening import Store
from store.schema import sessions
from store.secret import Secret
from store.sessions import Session, Stage

WEB = attempt(protocol=Protocol.WEB)
MINUTE = 60


def begin(
    store: Store, stage: Stage = Stage.FULL, who: Attempt = WEB, agent: str = "Lynx"
) -> tuple[Secret, Session]:
    """Sign in."""
    return store.sessions.begin(who, stage, agent)


def actor_in(session: Session) -> Actor:
    """Do something in a session."""
    return Actor(session.account, session.protocol, session.address, session.id)


def test_secret_has_256_bits_and_only_its_digest_is_kept(store: Store) -> None:
    """Who reads the database cannot go on with somebody's session."""
    (secret, session), (other, _) = begin(store), begin(store)
    assert re.fullmatch("[0-9A-Za-z]{43}", secret.text())
    assert secret != other
    with store.units.database.read() as connection:
        rows = connection.execute(select(sessions)).all()
    assert hashlib.sha256(secret.value).digest() in {row.digest for row in rows}
    assert secret.text() not in repr([rows, session, secret])


def test_session_is_found_by_its_secret_only(store: Store, clock: Clock) -> None:
    """It tells whose it is, since when, from where, by what."""
    secret, session = begin(store, agent="Lynx/2\x1b[31m.8\n" + "x" * 300)
    assert store.sessions.find(secret) == session
    for wrong in ("", f"{session.id}0", secret.text()[:-1], secret.text().swapcase(), "\udcff"):
        assert store.sessions.find(Secret.of(wrong)) is None
    assert (session.account, session.protocol, session.address) == ("alice", "web", "192.0.2.7")
    assert session.created_at == session.seen_at == from_milliseconds(clock())
    assert session.agent == ("Lynx/2[31m.8" + "x" * 300)[:200]


@pytest.mark.parametrize(
    ("stage", "confirmed"), [(Stage.CODE, False), (Stage.ENROLLMENT, False), (Stage.FULL, True)]
)
def test_only_who_came_in_has_confirmed(store: Store, stage: Stage, confirmed: bool) -> None:  # noqa: FBT001
    """A password alone confirms nothing."""
    _, session = begin(store, stage)
    assert (session.stage, session.confirmed) == (stage, confirmed)


def test_confirmation_gets_old(store: Store, clock: Clock) -> None:
    """After ten minutes another code is needed for what is worth it; the session goes on."""
    secret, _ = begin(store)
    clock.move(10 * MINUTE - 0.001)
    found = store.sessions.find(secret)
    assert found is not None
    assert found.confirmed
    clock.move(0.001)
    found = store.sessions.find(secret)
    assert found is not None
    assert not found.confirmed


@pytest.mark.parametrize(("stage", "minutes"), [(Stage.CODE, 5), (Stage.FULL, 30)])
def test_session_that_is_not_used_ends(
    store: Store, clock: Clock, stage: Stage, minutes: int
) -> None:
    """Half an hour; before the code, five minutes from the password on, used or not."""
    secret, _ = begin(store, stage)
    clock.move(minutes * MINUTE - 0.001)
    assert store.sessions.find(secret)
    if stage is Stage.FULL:
        clock.move(minutes * MINUTE - 0.001)
        assert store.sessions.find(secret), "the use before counts"
        clock.move(minutes * MINUTE)
    clock.move(0.001)
    assert store.sessions.find(secret) is None
    assert store.sessions.list("alice") == []


def test_session_ends_after_half_a_day_however_it_is_used(store: Store, clock: Clock) -> None:
    """Nobody stays signed in by keeping a page open."""
    secret, _ = begin(store)
    for _ in range(12 * 6 - 1):
        clock.move(10 * MINUTE)
        assert store.sessions.find(secret)
    clock.move(10 * MINUTE)
    assert store.sessions.find(secret) is None


@pytest.mark.parametrize("hours", [-24, 24])
def test_clock_that_jumps_ends_a_session(store: Store, clock: Clock, hours: int) -> None:
    """In doubt one signs in again."""
    secret, _ = begin(store)
    clock.move(hours=hours)
    assert store.sessions.find(secret) is None


def test_rising_gives_a_new_secret_and_ends_the_old_one(store: Store, clock: Clock) -> None:
    """Who had seen the secret from before the code is not in with it."""
    begin(store, who=attempt("bob", Protocol.WEB))
    before, session = begin(store, Stage.CODE)
    clock.move(MINUTE)
    after, risen = store.sessions.rise(session, actor_in(session))
    assert store.sessions.find(before) is None
    assert store.sessions.find(after) == risen
    assert (risen.id, risen.stage, risen.confirmed) == (session.id, Stage.FULL, True)
    clock.move(20 * MINUTE)
    assert store.sessions.find(after), "it is no longer bounded by the minutes before the code"


@pytest.mark.parametrize("end", ["time", "end", "bar"])
def test_session_that_ended_does_not_rise(store: Store, clock: Clock, end: str) -> None:
    """By its time, by signing out, by an administrator who barred the account."""
    begin(store, who=attempt("bob", Protocol.WEB))
    _, session = begin(store, Stage.CODE)
    if end == "time":
        clock.move(5 * MINUTE)
    elif end == "end":
        store.sessions.end("alice", session.id, ROOT)
    else:
        store.accounts.bar("alice", ROOT)
    with pytest.raises(NotFoundError):
        store.sessions.rise(session, actor_in(session))
    assert store.sessions.list("alice") == []


def test_only_the_owner_ends_a_session(store: Store) -> None:
    """A misspelt id is an error; so is a second time."""
    secret, session = begin(store)
    begin(store, who=attempt("bob", Protocol.WEB))
    for account, session_id in [("bob", session.id), ("alice", "0" * 12), ("nobody", session.id)]:
        with pytest.raises(NotFoundError, match=f"{account} has no session {session_id}"):
            store.sessions.end(account, session_id, ROOT)
    assert store.sessions.find(secret)
    store.sessions.end("alice", session.id, ROOT)
    assert store.sessions.find(secret) is None
    with pytest.raises(NotFoundError):
        store.sessions.end("alice", session.id, ROOT)


def test_list_has_ones_own_living_sessions_the_last_used_first(store: Store, clock: Clock) -> None:
    """To look for a session that one has not begun."""
    first_secret, first = begin(store)
    clock.move(MINUTE)
    _, second = begin(store)
    begin(store, who=attempt("bob", Protocol.WEB))
    clock.move(MINUTE)
    assert store.sessions.find(first_secret)
    assert [session.id for session in store.sessions.list("alice")] == [first.id, second.id]


WAYS = ["others ended", "password changed", "factor removed", "mfa adopted", "locked", "barred"]


@pytest.mark.parametrize("way", WAYS)
def test_what_changes_an_account_ends_its_other_sessions(
    store: Store, clock: Clock, way: str
) -> None:
    """A thief who is in is out; the session in which it was done goes on, if it was done in one."""
    phone = enroll(store, clock) if way in {"factor removed", "locked"} else None
    (own_secret, own), (secret, _) = begin(store), begin(store)
    others, _ = begin(store, who=attempt("bob", Protocol.WEB))
    actor = actor_in(own)
    if way == "others ended":
        store.sessions.end_others("alice", actor)
    elif way == "password changed":
        store.accounts.note_password_changed("alice", actor)
    elif way == "mfa adopted":
        begun = store.totp_factors.begin("alice", "phone", actor)
        code = Phone(begun.factor.id, begun.secret.text(), clock).code()
        store.totp_factors.complete("alice", begun.factor.id, code, actor)
    elif way == "barred":
        store.accounts.bar("alice", actor)
    elif phone is not None and way == "factor removed":
        store.totp_factors.delete("alice", phone.id, actor)
    elif phone is not None:
        for code in phone.wrong(5):
            try_code(store, code)
    assert store.sessions.find(secret) is None
    assert bool(store.sessions.find(own_secret)) == (way not in {"locked", "barred"})
    assert store.sessions.find(others)


def test_sessions_are_not_back_when_an_account_is_unbarred(store: Store) -> None:
    """One signs in again."""
    secret, _ = begin(store)
    store.accounts.bar("alice", ROOT)
    store.accounts.unbar("alice", ROOT)
    assert store.sessions.find(secret) is None


def test_sessions_are_shared_by_all_hosts(open_store: OpenStore) -> None:
    """Whichever host a browser comes to."""
    one, other = open_store(), open_store()
    secret, session = begin(one)
    assert other.sessions.find(secret) == session
    other.sessions.end("alice", session.id, ROOT)
    assert one.sessions.find(secret) is None


def test_each_change_of_a_session_is_recorded(store: Store) -> None:
    """Begun, confirmed and ended; looking at it is not."""
    secret, session = begin(store, Stage.CODE)
    store.sessions.find(secret)
    store.sessions.rise(session, actor_in(session))
    store.sessions.end("alice", session.id, ROOT)
    assert told(store) == ["session_begun", "session_confirmed", "sessions_ended"]


def test_sign_in_that_a_change_overtook_begins_no_session(store: Store, clock: Clock) -> None:
    """Whoever's password was checked before it was changed, or before MFA, stays out."""
    changes = [
        lambda: store.accounts.note_password_changed("alice", ROOT),
        lambda: enroll(store, clock),
        lambda: store.totp_factors.delete_all("alice", ROOT),
        lambda: store.accounts.bar("alice", ROOT),
        lambda: store.sessions.end_others("alice", ROOT),
    ]
    begin(store)
    for change in changes:
        generation = store.sessions.generation("alice")
        change()
        with pytest.raises(OvertakenError):
            store.sessions.begin(WEB, Stage.FULL, "Lynx", generation)
        store.accounts.unbar("alice", ROOT)
        now = store.sessions.generation("alice")
        _, session = store.sessions.begin(WEB, Stage.FULL, "Lynx", now)
        assert session in store.sessions.list("alice")
