"""What is written about each thing that happens, and that nobody rewrites it unnoticed."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.audit import SYSTEM, events, told
from harness.stores import (
    ADDRESS,
    ROOT,
    START,
    Clock,
    Phone,
    attempt,
    enroll,
    try_code,
)
from hypothesis import given
from hypothesis import strategies as st

from store.audit import Actor, Event, quoted
from store.decisions import Denied, Granted, Protocol, Reason
from store.errors import EnrollmentError, NotFoundError, StoreError
from store.opening import Store

FIELD = r'"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\x[0-9a-f]{2}){0,256}"'
LINE = re.compile(
    rf"event=[a-z_]+ account={FIELD} actor={FIELD} protocol=[a-z]+ address=(?:-|{FIELD}) "
    rf"reason=(?:-|[a-z_]+) factor=(?:-|[0-9A-Za-z]+) subject=(?:-|{FIELD}) "
    r"sequence=(?:-|[1-9][0-9]*)"
)
ADMINISTRATOR = Actor("root", Protocol.HOST, None)
ODD_NAMES = [
    'a" reason=token_accepted "',
    'alice\nevent=login_granted account="root"',
    "a\r\nb",
    "%s %d %(name)s",
    "{0} {}",
    "\x1b[2J",
    "\u202eecila",
    "a\\",
    'a\\"',
    "\u2028",
    "\u00e9" * 200,
    "\x7f",
    "a" + "\\" * 100,
]


# Every operation has its event


def test_each_login_is_recorded_with_its_reason(store: Store, clock: Clock) -> None:
    """Granted or denied, it says why and by which factor."""
    phone = enroll(store, clock)
    (wrong,) = phone.wrong(1)
    code = phone.code()
    for typed in (wrong, wrong, "no code", code, code):
        try_code(store, typed)
    store.authentication.refuse_password(attempt())
    store.authentication.refuse_without_code(attempt())
    logins = [row for row in events(store, "alice") if row.event.startswith("login")]
    assert [(row.event, row.reason, row.factor_id) for row in logins] == [
        ("login_denied", "code_wrong", None),
        ("login_denied", "code_wrong_again", None),
        ("login_denied", "code_malformed", None),
        ("login_granted", "code_accepted", phone.id),
        ("login_denied", "code_replayed", phone.id),
        ("login_denied", "password_refused", None),
        ("login_denied", "code_missing", None),
    ]
    assert {(row.actor, row.protocol, row.address) for row in logins} == {("alice", "ssh", ADDRESS)}
    assert {row.at for row in logins} == {START}


def test_login_without_mfa_is_recorded(store: Store) -> None:
    """Who has not adopted MFA is in the audit too."""
    store.authentication.accept_password(attempt())
    assert told(store) == ["login_granted mfa_not_adopted"]


def test_step_that_decides_nothing_is_not_recorded(store: Store, clock: Clock) -> None:
    """A login that goes on to the code has one line, at its end."""
    phone = enroll(store, clock)
    before = told(store)
    store.authentication.factors_of("alice")
    store.authentication.accept_password(attempt())
    store.authentication.matches_code_before_password(attempt(), phone.code())
    store.authentication.check_account(attempt())
    store.accounts.show("alice")
    assert told(store) == before


def test_each_use_of_a_token_is_recorded(store: Store) -> None:
    """Granted or denied, with the token's id where it is the account's own."""
    token, shown = store.access_tokens.issue("alice", "nightly", ROOT)
    revoked, shown_revoked = store.access_tokens.issue("alice", "old", ROOT)
    strange, _ = store.access_tokens.issue("bob", "nightly", ROOT)
    store.access_tokens.revoke("alice", shown_revoked.id, ADMINISTRATOR)
    for given_token in (token, revoked, strange):
        store.authentication.check_token(attempt(), given_token)
    assert [(row.event, row.reason, row.factor_id) for row in events(store, "alice")] == [
        ("token_issued", None, shown.id),
        ("token_issued", None, shown_revoked.id),
        ("token_revoked", None, shown_revoked.id),
        ("login_granted", "token_accepted", shown.id),
        ("login_denied", "token_revoked", shown_revoked.id),
        ("login_denied", "token_unknown", None),
    ]
    assert told(store, "bob") == ["token_issued"]


def test_each_change_of_factors_is_recorded(store: Store, clock: Clock) -> None:
    """Enrolling, failing to, and removing, with the actor and the factor."""
    user = Actor("alice", Protocol.WEB, ADDRESS)
    enrollment = store.totp_factors.begin("alice", "phone", user)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    with pytest.raises(EnrollmentError):
        store.totp_factors.complete("alice", phone.id, "000000", user)
    clock.move(5)
    store.totp_factors.complete("alice", phone.id, phone.code(), user)
    store.totp_factors.delete("alice", phone.id, ADMINISTRATOR)
    assert [
        (row.at, row.event, row.actor, row.protocol, row.address, row.factor_id)
        for row in events(store, "alice")
        if row.event.startswith("totp")
    ] == [
        (START, "totp_started", "alice", "web", ADDRESS, phone.id),
        (START, "totp_completion_failed", "alice", "web", ADDRESS, phone.id),
        (START + 5000, "totp_completed", "alice", "web", ADDRESS, phone.id),
        (START + 5000, "totp_deleted", "root", "host", None, phone.id),
    ]


def test_what_an_administrator_does_is_recorded_once(store: Store) -> None:
    """To bar who is barred already changes nothing, and says nothing."""
    for _ in range(2):
        store.accounts.bar("alice", ADMINISTRATOR)
    store.authentication.check_account(attempt())
    store.accounts.unlock("alice", ADMINISTRATOR)
    for _ in range(2):
        store.accounts.unbar("alice", ADMINISTRATOR)
    assert told(store) == [
        "account_barred",
        "login_denied account_barred",
        "account_unlocked",
        "account_unbarred",
    ]


def test_lock_is_recorded_once_behind_the_code_that_caused_it(store: Store, clock: Clock) -> None:
    """Later attempts are refused by the lock, and do not make it again."""
    phone = enroll(store, clock)
    before = len(told(store))
    for code in phone.wrong(5):
        try_code(store, code)
    try_code(store, phone.code())
    store.accounts.bar("alice", ROOT)
    assert told(store)[before:] == [
        *["login_denied code_wrong"] * 5,
        "codes_locked",
        "login_denied codes_locked",
        "account_barred",
    ]


def test_request_that_fails_is_not_recorded(store: Store, clock: Clock) -> None:
    """What was not done did not happen."""
    enroll(store, clock)
    before = told(store)
    for operation in (
        lambda: store.totp_factors.delete("alice", "0" * 12, ROOT),
        lambda: store.totp_factors.complete("alice", "0" * 12, "000000", ROOT),
        lambda: store.access_tokens.revoke("alice", "nothere1", ROOT),
        lambda: store.accounts.unlock("bob", ROOT),
    ):
        with pytest.raises(NotFoundError):
            operation()
    assert told(store) == before
    assert told(store, "bob") == []


def test_each_account_is_recorded_in_the_systems_chain(store: Store) -> None:
    """Else a whole account, with its events, could vanish unnoticed."""
    store.authentication.accept_password(attempt("alice"))
    store.accounts.bar("bob", ADMINISTRATOR)
    store.authentication.accept_password(attempt("alice"))
    rows = [row for row in events(store, SYSTEM) if row.event == Event.ACCOUNT_CREATED]
    assert [(row.subject, row.actor, row.protocol) for row in rows] == [
        ("alice", "alice", "ssh"),
        ("bob", "root", "host"),
    ]


# In the same transaction


FORBID = {
    "sqlite": """
        CREATE TRIGGER forbidden BEFORE {what} ON {table}
        BEGIN SELECT RAISE(ABORT, 'forbidden'); END
    """,
    "postgresql": """
        CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE EXCEPTION ''forbidden''; END';
        CREATE TRIGGER forbidden BEFORE {what} ON {table} EXECUTE FUNCTION forbid()
    """,
}
ALLOW = {
    "sqlite": "DROP TRIGGER forbidden",
    "postgresql": "DROP TRIGGER forbidden ON {table}; DROP FUNCTION forbid",
}


@contextmanager
def forbidden(store: Store, what: str, table: str) -> Iterator[None]:
    """Let the database refuse one kind of change, as it does when it is damaged or full."""
    _run(store, FORBID, what, table)
    try:
        yield
    finally:
        _run(store, ALLOW, what, table)


def _run(store: Store, statements: dict[str, str], what: str, table: str) -> None:
    with store.units.database.write() as connection:
        statement = statements[connection.dialect.name]
        connection.exec_driver_sql(statement.format(what=what, table=table))


@pytest.mark.parametrize(
    ("what", "table"),
    [("INSERT", "audit_events"), ("UPDATE", "accounts"), ("UPDATE", "totp_factors")],
)
def test_login_that_cannot_be_recorded_does_not_happen(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, what: str, table: str
) -> None:
    """Code, counter, event and log line are one: all or none."""
    phone = enroll(store, clock)
    before, state = told(store), store.accounts.show("alice")
    caplog.clear()
    with forbidden(store, what, table), pytest.raises(StoreError, match="forbidden"):
        try_code(store, phone.code())
    assert caplog.records == []
    assert told(store) == before
    assert store.accounts.show("alice") == state
    assert try_code(store, phone.code()) == Granted(Reason.CODE_ACCEPTED, phone.id)


@pytest.mark.parametrize(("what", "table"), [("INSERT", "audit_events"), ("UPDATE", "accounts")])
def test_wrong_code_that_cannot_be_counted_is_not_answered(
    store: Store, clock: Clock, what: str, table: str
) -> None:
    """Nobody learns that a code was wrong without its having been counted."""
    phone = enroll(store, clock)
    with forbidden(store, what, table), pytest.raises(StoreError):
        try_code(store, *phone.wrong(1))
    assert store.accounts.show("alice").wrong_codes == 0
    assert try_code(store, *phone.wrong(1)) == Denied(Reason.CODE_WRONG)


@pytest.mark.parametrize("table", ["audit_events", "accounts"])
def test_change_that_cannot_be_recorded_does_not_happen(
    store: Store, clock: Clock, table: str
) -> None:
    """Nor does a factor come, go or change without its event."""
    phone = enroll(store, clock)
    token, shown = store.access_tokens.issue("alice", "nightly", ROOT)
    pending = store.totp_factors.begin("alice", "spare", ROOT)
    spare = Phone(pending.factor.id, pending.secret.text(), clock)
    factors, tokens = store.totp_factors.list("alice"), store.access_tokens.list("alice")
    what = "INSERT" if table == "audit_events" else "UPDATE"
    with forbidden(store, what, table):
        for operation in (
            lambda: store.totp_factors.begin("alice", "third", ROOT),
            lambda: store.totp_factors.complete("alice", spare.id, spare.code(), ROOT),
            lambda: store.totp_factors.complete("alice", spare.id, "000000", ROOT),
            lambda: store.totp_factors.delete("alice", phone.id, ROOT),
            lambda: store.access_tokens.issue("alice", "third", ROOT),
            lambda: store.access_tokens.revoke("alice", shown.id, ROOT),
            lambda: store.authentication.check_token(attempt(), token),
            lambda: store.accounts.bar("alice", ROOT),
            lambda: store.accounts.unlock("alice", ROOT),
        ):
            with pytest.raises(StoreError, match="forbidden"):
                operation()
    assert store.totp_factors.list("alice") == factors
    assert store.access_tokens.list("alice") == tokens
    assert store.accounts.show("alice").barred_at is None


def test_who_waited_for_an_account_judges_by_the_time_after_the_wait(
    store: Store, clock: Clock
) -> None:
    """A code that got late in the queue is late, and events are not dated before earlier ones."""
    phone = enroll(store, clock)
    code, decisions = phone.code(), []
    with store.units.begin() as work:
        work.account("alice")
        waiting = threading.Thread(target=lambda: decisions.append(try_code(store, code)))
        waiting.start()
        waiting.join(0.3)
        assert not decisions
        clock.move(steps=2)
    waiting.join()
    assert decisions == [Denied(Reason.CODE_WRONG)]


# The log lines


def test_each_event_is_one_line_in_a_fixed_form(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Programs such as fail2ban match it; its fields are those of the event.

    With its place in the account's chain: beside a log server, a row that is missing shows.
    """
    phone = enroll(store, clock)
    caplog.clear()
    before = len(events(store, "alice"))
    code = phone.code()
    for typed in (code, code):
        try_code(store, typed)
    who = 'account="alice" actor="alice" protocol=ssh address="192.0.2.7"'
    rest = f"factor={phone.id} subject=- sequence="
    assert [record.getMessage() for record in caplog.records] == [
        f"event=login_granted {who} reason=code_accepted {rest}{before + 1}",
        f"event=login_denied {who} reason=code_replayed {rest}{before + 2}",
    ]
    assert {record.name for record in caplog.records} == {"sftp_mfa.audit"}
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_every_line_has_the_fixed_form(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens to whomever: one event, one line, each field in its place."""
    phone = enroll(store, clock)
    for code in (*phone.wrong(6), phone.code()):
        try_code(store, code)
    odd = "b\u00f6b \U0001f600"
    store.accounts.bar(odd, ROOT)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == sum(len(events(store, name)) for name in ("alice", odd, SYSTEM))
    assert [line for line in lines if not LINE.fullmatch(line)] == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_forged_name_stays_in_its_field(
    store: Store, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Who chooses a name, as account, actor or address, writes neither lines nor fields."""
    store.accounts.bar(name, Actor(name, Protocol.WEB, name[:64]))
    store.authentication.accept_password(attempt(name, address=name[:64]))
    assert caplog.records
    for record in caplog.records:
        assert LINE.fullmatch(record.getMessage()), record.getMessage()


@given(st.text(max_size=80), st.integers(0, 300))
def test_quoted_text_is_one_plain_field(name: str, before: int) -> None:
    """ASCII, no quote, no backslash but in a whole escape, and not too long."""
    assert re.fullmatch(FIELD, quoted("x" * before + name))


@given(st.text(max_size=20), st.text(max_size=20))
def test_different_names_are_quoted_differently(one: str, other: str) -> None:
    """Nobody can pass for another in the log."""
    assert (quoted(one) == quoted(other)) == (one == other)


def test_events_and_reasons_are_single_plain_words() -> None:
    """They need no quotes in a line, and fit their columns."""
    assert all(re.fullmatch("[a-z_]{3,48}", word) for word in (*Event, *Reason))
