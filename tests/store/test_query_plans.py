"""No login reads a whole table, however many accounts and tokens there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.stores import ROOT, Clock, attempt, enroll, opened, try_code, with_changes
from listening import listening
from sqlalchemy import event

from store.access_tokens import Scope
from store.decisions import Protocol
from store.opening import Store
from store.secret import Secret
from store.sessions import Stage
from store.settings import Settings

Statements = dict[str, Any]
"""Each statement, with values it was given."""


@contextmanager
def statements_of(store: Store) -> Iterator[Statements]:
    """Collect what is executed; not what makes and ends transactions."""
    seen: Statements = {}

    def note(_cursor: Any, text: str, values: Any) -> None:
        if not text.startswith("EXPLAIN"):
            seen[text] = values

    with listening(store, note):
        yield seen


def log_in_by_every_way(store: Store, clock: Clock) -> None:
    """Let each kind of login happen, granted and denied, of accounts that are known and not."""
    phone = enroll(store, clock)
    paper, *_ = store.recovery_codes.renew("alice", ROOT)
    scopes = Scope.SFTP, Scope.API
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT, scopes=scopes)
    one = store.authentication
    for name in ("alice", "bob"):
        one.factors_of(name)
        one.check_account(attempt(name))
        one.accept_password(attempt(name))
        for refuse in (one.refuse_password, one.refuse_without_code, one.refuse_without_mfa):
            refuse(attempt(name))
        one.check_token(attempt(name), token)
        one.check_request(token, Protocol.API, "192.0.2.7", name)
        for code in (phone.code(), *phone.wrong(1), paper.text(), "no code"):
            if code.isdigit():
                one.matches_code_before_password(attempt(name), code)
            try_code(store, code, name)
    for code in phone.wrong(6)[1:]:
        try_code(store, code)


def sign_in_on_the_web(store: Store) -> None:
    """Go through what a browser's requests need."""
    throttle = store.password_throttle
    assert throttle.enter("alice", "192.0.2.7") == 0
    throttle.succeed("alice", "192.0.2.7")
    secret, session = store.sessions.begin(attempt(protocol=Protocol.WEB), Stage.CODE, "Lynx")
    assert store.sessions.find(secret)
    secret, session = store.sessions.rise(session, ROOT)
    assert store.sessions.find(Secret.of("none")) is None
    assert store.forms.use("form")
    assert store.sessions.list("alice")
    store.access_tokens.list("alice")
    store.totp_factors.list("alice")
    store.recovery_codes.left("alice")
    store.accounts.show("alice")
    store.sessions.end("alice", session.id, ROOT)


def whole_tables_read(store: Store, statements: Statements) -> list[str]:
    """Name the statements that look at each row of a table or of an index."""
    found = []
    with store.units.database.read() as connection:
        for text, values in statements.items():
            values_of_one = values[0] if isinstance(values, list) else values
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values_of_one).all()
            found += [text for row in plan if row.detail.startswith("SCAN")]
    return found


def test_no_statement_of_a_login_reads_a_whole_table(sqlite: Settings, clock: Clock) -> None:
    """Each finds its rows by an index. The store's two own keys are read whole, once."""
    grace = with_changes(sqlite, grace={"seconds": 60})
    with opened(grace, clock) as store, statements_of(store) as statements:
        log_in_by_every_way(store, clock)
        sign_in_on_the_web(store)
        assert len(statements) > 20
        scans = whole_tables_read(store, statements)
    assert [text for text in scans if "FROM sealed_keys" not in text] == []


def test_check_itself_finds_a_statement_that_reads_a_whole_table(
    sqlite: Settings, clock: Clock
) -> None:
    """Else the test above would prove nothing."""
    with opened(sqlite, clock) as store, statements_of(store) as statements:
        with store.units.database.read() as connection:
            text = "SELECT * FROM access_tokens WHERE name = ?"
            connection.exec_driver_sql(text, ("nightly",)).all()
        assert whole_tables_read(store, statements) == [text]


MOST_STATEMENTS = {"code": 8, "token": 6, "password": 2}


def test_logins_need_few_statements(sqlite: Settings, clock: Clock) -> None:
    """What makes a login slow is statements: one more is noticed here."""
    with opened(sqlite, clock) as store:
        phone = enroll(store, clock)
        token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
        store.authentication.check_token(attempt(), token)
        counts = {}
        with statements_of(store) as statements:
            try_code(store, phone.code())
            counts["code"] = len(statements)
        with statements_of(store) as statements:
            store.authentication.check_token(attempt(), token)
            counts["token"] = len(statements)
        with statements_of(store) as statements:
            store.authentication.accept_password(attempt())
            counts["password"] = len(statements)
    assert not [way for way, count in counts.items() if count > MOST_STATEMENTS[way]], counts


def test_each_step_of_a_login_is_one_commit_at_most(sqlite: Settings, clock: Clock) -> None:
    """A commit waits for the disk: what is noted of a token's use costs none of its own."""
    with opened(sqlite, clock) as store:
        phone = enroll(store, clock)
        token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
        commits: list[object] = []
        event.listen(store.units.database.engine, "commit", commits.append)
        counts = []
        for step in (
            lambda: store.authentication.accept_password(attempt()),
            lambda: try_code(store, phone.code()),
            lambda: store.authentication.check_token(attempt(), token),
        ):
            step()
            counts.append(len(commits))
    assert counts == [0, 1, 2]
