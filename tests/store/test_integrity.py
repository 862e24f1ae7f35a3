"""Who can write to the database, and has not the key file, gets nothing by it, and is seen."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from harness.audit import events, told
from harness.stores import (
    ROOT,
    Clock,
    OpenStore,
    Phone,
    attempt,
    enroll,
    try_code,
)
from sqlalchemy import text

from store.access_tokens import Scope
from store.audit import Actor, Event
from store.decisions import (
    ChallengeKind,
    ChallengeRequired,
    Denied,
    Granted,
    Protocol,
    Reason,
)
from store.errors import NotFoundError, StoreError, TamperedError
from store.opening import Store
from store.sessions import Stage

ALICE = "(SELECT id FROM accounts WHERE name = 'alice')"
ACTOR = Actor("carol", Protocol.API, "198.51.100.9")
MAKE_OVER = "UPDATE {} SET account_id = ALICE WHERE id = :id"
TOKENS, SESSIONS = "UPDATE access_tokens SET", "UPDATE sessions SET"
AUTHENTICATORS = "UPDATE totp_factors SET"
COPY = "CREATE TABLE kept AS SELECT * FROM {}"


@pytest.fixture
def own_tables(store: Store) -> Iterator[Store]:
    """Let a test keep copies of rows, as somebody who reads the database may."""
    yield store
    write(store, "DROP TABLE IF EXISTS kept")


def write(store: Store, *statements: str, **values: str) -> int:
    """Change the database as somebody who has its password, and tell how many rows."""
    with store.units.database.write() as connection:
        return sum(
            connection.execute(text(statement.replace("ALICE", ALICE)), values).rowcount
            for statement in statements
        )


def problems(store: Store) -> list[str]:
    """Give what `verify-audit-log` says of alice."""
    return [found.problem for found in store.audit_log.verify() if found.account == "alice"]


def test_untouched_store_has_no_findings(store: Store, clock: Clock) -> None:
    """After everything that changes what an account holds."""
    phone = enroll(store, clock)
    spare = enroll(store, clock, name="spare")
    secret, token = store.access_tokens.issue("alice", "job", ROOT)
    store.access_tokens.issue("alice", "other", ROOT)
    web, session = store.sessions.begin(attempt(protocol=Protocol.WEB), Stage.CODE, "Lynx")
    assert not list(store.audit_log.verify())
    codes = store.recovery_codes.renew("alice", ROOT)
    assert isinstance(try_code(store, codes[0].text()), Granted)
    assert isinstance(try_code(store, phone.code()), Granted)
    store.sessions.rise(session, ROOT)
    clock.move(seconds=70)
    store.sessions.find(web)
    assert isinstance(store.authentication.check_token(attempt(), secret), Granted)
    assert not list(store.audit_log.verify())
    store.access_tokens.revoke("alice", token.id, ROOT)
    store.totp_factors.delete("alice", spare.id, ROOT)
    assert not list(store.audit_log.verify())
    store.access_tokens.revoke_all("alice", ROOT)
    store.totp_factors.delete_all("alice", ROOT)
    store.accounts.bar("alice", ROOT)
    assert not list(store.audit_log.verify())
    assert Event.TAMPERING_FOUND not in told(store)


# What is put in


def test_token_that_was_put_in_opens_nothing(store: Store, clock: Clock) -> None:
    """A copy of a token of one's own, made over to somebody else."""
    enroll(store, clock)
    secret, token = store.access_tokens.issue("mallory", "job", ROOT, scopes=tuple(Scope))
    assert write(store, MAKE_OVER.format("access_tokens"), id=token.id)
    denied = Denied(Reason.TOKEN_UNKNOWN)
    assert store.authentication.check_token(attempt(), secret) == denied
    request = store.authentication.check_request(secret, Protocol.API, "192.0.2.7", "alice")
    assert request == denied
    assert f"the access token {token.id} was added or changed" in problems(store)
    assert "factors or recovery codes were added, removed or put back" in problems(store)


@pytest.mark.parametrize(
    "change",
    [
        "scopes = 'api sftp'",
        "networks = ''",
        "expires_at = NULL",
        "expires_at = expires_at + 1",
        "revoked_at = NULL",
        "name = 'other'",
        "created_at = created_at + 1",
    ],
)
def test_token_opens_no_more_than_what_it_was_made_for(store: Store, change: str) -> None:
    """Neither another door nor another network, nor longer, nor after it was revoked."""
    secret, token = store.access_tokens.issue(
        "alice",
        "job",
        ROOT,
        networks=("192.0.2.0/24",),
        expires_at=store.access_tokens.issue("alice", "x", ROOT)[1].created_at.replace(year=2030),
    )
    if change.startswith("revoked"):
        store.access_tokens.revoke("alice", token.id, ROOT)
    assert write(store, f"{TOKENS} {change} WHERE id = :id", id=token.id)
    decision = store.authentication.check_token(attempt(), secret)
    assert decision == Denied(Reason.TOKEN_UNKNOWN)
    assert f"the access token {token.id} was added or changed" in problems(store)


def test_session_that_was_put_in_opens_nothing(store: Store, clock: Clock) -> None:
    """Else a session on the web would make the token."""
    enroll(store, clock)
    secret, session = store.sessions.begin(attempt("mallory", Protocol.WEB), Stage.FULL, "Firefox")
    assert write(store, MAKE_OVER.format("sessions"), id=session.id)
    assert store.sessions.find(secret) is None
    with pytest.raises(TamperedError):
        store.sessions.rise(session, ROOT)
    assert problems(store) == [f"the session {session.id} was added or changed"]
    assert {found.account for found in store.audit_log.verify()} == {"alice"}


@pytest.mark.parametrize(
    "change",
    [
        "stage = 'full'",
        "confirmed_at = seen_at",
        "protocol = 'api'",
        "created_at = created_at + 1",
        "seen_at = seen_at + 1",
    ],
)
def test_session_is_worth_what_it_was(store: Store, clock: Clock, change: str) -> None:
    """Who knows the password does not get by without the code, nor stay for ever."""
    enroll(store, clock)
    secret, session = store.sessions.begin(attempt(protocol=Protocol.WEB), Stage.CODE, "Firefox")
    assert write(store, f"{SESSIONS} {change}")
    assert store.sessions.find(secret) is None
    assert f"the session {session.id} was added or changed" in problems(store)


def test_grace_that_was_put_in_saves_no_code(open_store: OpenStore, clock: Clock) -> None:
    """Where grace is on, it is for an address from which a code was accepted."""
    store = open_store(grace={"seconds": 60})
    phone = enroll(store, clock)
    assert isinstance(try_code(store, phone.code()), Granted)
    assert store.authentication.accept_password(attempt()) == Granted(Reason.GRACE)
    assert write(store, "UPDATE graces SET address = '198.51.100.9'")
    asked = store.authentication.accept_password(attempt(address="198.51.100.9"))
    assert asked == ChallengeRequired(ChallengeKind.CODE)


# What is taken away or changed


@pytest.mark.parametrize(
    "changes",
    [
        ["DELETE FROM totp_factors", "UPDATE accounts SET adopted_at = NULL WHERE id = ALICE"],
        ["UPDATE accounts SET barred_at = NULL WHERE id = ALICE"],
        ["UPDATE accounts SET failures = 1 WHERE id = ALICE"],
        ["UPDATE accounts SET locks = 2 WHERE id = ALICE"],
        ["UPDATE accounts SET locked_at = 1 WHERE id = ALICE"],
        ["UPDATE accounts SET generation = generation + 1 WHERE id = ALICE"],
        ["UPDATE accounts SET created_at = 5 WHERE id = ALICE"],
        ["UPDATE accounts SET holdings = mac WHERE id = ALICE"],
        ["UPDATE accounts SET last_wrong = mac WHERE id = ALICE"],
    ],
)
def test_account_that_was_changed_is_refused_everywhere(
    store: Store, clock: Clock, changes: list[str]
) -> None:
    """Leaving MFA, opening a lock or a bar is for the store; all else of the account waits too."""
    phone = enroll(store, clock)
    token, _ = store.access_tokens.issue("alice", "job", ROOT, scopes=tuple(Scope))
    web, _ = store.sessions.begin(attempt(protocol=Protocol.WEB), Stage.FULL, "Firefox")
    assert store.authentication.check_request(token, Protocol.API, "192.0.2.7")
    if "barred" in changes[0]:
        store.accounts.bar("alice", ROOT)
    assert write(store, *changes)
    authentication = store.authentication
    for operation in (
        lambda: authentication.factors_of("alice"),
        lambda: authentication.accept_password(attempt()),
        lambda: try_code(store, phone.code()),
        lambda: authentication.check_token(attempt(), token),
        lambda: authentication.check_account(attempt()),
        lambda: authentication.matches_code_before_password(attempt(), phone.code()),
        lambda: authentication.check_request(token, Protocol.API, "192.0.2.7"),
        lambda: authentication.refuse_password(attempt()),
        lambda: store.sessions.generation("alice"),
    ):
        with pytest.raises(TamperedError, match=r"'alice' was changed .* verify-audit-log"):
            operation()
    if "barred" not in changes[0]:
        with pytest.raises(TamperedError):
            store.sessions.find(web)
    assert "the account's row was changed" in problems(store)
    assert isinstance(try_code(store, enroll(store, clock, "bob").code(), "bob"), Granted)


@pytest.mark.parametrize(
    "change",
    ["last_used_step = -1", "name = 'mine'", "completed_at = 1", "created_at = created_at + 1"],
)
def test_authenticator_that_was_changed_lets_nobody_in(
    store: Store, clock: Clock, change: str
) -> None:
    """A code that was used is not made fresh again."""
    phone = enroll(store, clock)
    code = phone.code()
    assert isinstance(try_code(store, code), Granted)
    assert write(store, f"{AUTHENTICATORS} {change}")
    with pytest.raises(TamperedError, match=phone.id):
        try_code(store, code)
    assert problems(store) == [f"the authenticator {phone.id} was added or changed"]


def test_pending_authenticator_is_completed_by_a_code_only(store: Store, clock: Clock) -> None:
    """Neither made active, nor kept beyond its time, by a change of its row."""
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    assert write(store, "UPDATE totp_factors SET created_at = created_at + 1")
    with pytest.raises(TamperedError):
        store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)


def test_deleted_authenticator_shows_and_lets_nobody_in(store: Store, clock: Clock) -> None:
    """The account goes on to need a code, which nobody has."""
    phone = enroll(store, clock)
    assert write(store, "DELETE FROM totp_factors")
    password = store.authentication.accept_password(attempt())
    assert password == ChallengeRequired(ChallengeKind.CODE)
    assert try_code(store, phone.code()) == Denied(Reason.NO_FACTOR)
    assert problems(store) == ["factors or recovery codes were added, removed or put back"]


@pytest.mark.parametrize("groups", [(), ("staff",)], ids=["free", "enforced"])
def test_deleted_authenticator_lets_nobody_in_where_grace_is_on(
    open_store: OpenStore, clock: Clock, groups: tuple[str, ...]
) -> None:
    """Neither the password alone does, nor a new authenticator that it would open the way to."""
    store = open_store(grace={"seconds": 60}, enforcement={"groups": groups})
    enroll(store, clock)
    assert write(store, "DELETE FROM totp_factors")
    password = store.authentication.accept_password(attempt())
    assert password == ChallengeRequired(ChallengeKind.CODE)


def test_account_that_was_put_back_without_mfa_needs_a_code_while_it_has_factors(
    own_tables: Store, clock: Clock
) -> None:
    """Its row is one that the store wrote, from the time before: the factors say more than it."""
    store = own_tables
    store.authentication.refuse_password(attempt())
    write(store, "CREATE TABLE kept AS SELECT * FROM accounts WHERE id = ALICE")
    enroll(store, clock)
    back = (
        "UPDATE accounts SET adopted_at = kept.adopted_at, generation = kept.generation, "
        "holdings = kept.holdings, audit_sequence = kept.audit_sequence, "
        "audit_digest = kept.audit_digest, mac = kept.mac FROM kept WHERE accounts.id = kept.id"
    )
    assert write(store, back)
    assert not store.authentication.factors_of("alice").totp
    password = store.authentication.accept_password(attempt())
    assert password == ChallengeRequired(ChallengeKind.CODE)


def test_revoked_token_that_is_put_back_shows(own_tables: Store) -> None:
    """With the row as it was: who has a copy of the database may have it."""
    store = own_tables
    _, token = store.access_tokens.issue("alice", "job", ROOT)
    write(store, COPY.format("access_tokens"))
    store.access_tokens.revoke("alice", token.id, ROOT)
    assert problems(store) == []
    write(store, "DELETE FROM access_tokens", "INSERT INTO access_tokens SELECT * FROM kept")
    assert problems(store) == ["factors or recovery codes were added, removed or put back"]
    store.access_tokens.issue("alice", "another", ROOT)
    assert Event.TAMPERING_FOUND in told(store)


def test_used_recovery_code_is_not_made_fresh(store: Store, clock: Clock) -> None:
    """Whoever saw it used gets nothing by it, and the other ones go, as any may have been used."""
    enroll(store, clock)
    used, fresh, *_ = (code.text() for code in store.recovery_codes.renew("alice", ROOT))
    assert isinstance(try_code(store, used), Granted)
    assert write(store, "UPDATE recovery_codes SET used_at = NULL")
    assert "factors or recovery codes were added, removed or put back" in problems(store)
    assert try_code(store, used) == Denied(Reason.CODE_WRONG)
    assert Event.TAMPERING_FOUND in told(store)
    assert try_code(store, fresh) == Denied(Reason.CODE_WRONG)
    assert problems(store) == []


def test_recovery_code_that_was_taken_away_shows(store: Store, clock: Clock) -> None:
    """On paper its owner still has it, and would find it worthless in need."""
    enroll(store, clock)
    assert problems(store) == []
    one = "(SELECT digest FROM recovery_codes LIMIT 1)"
    assert write(store, f"DELETE FROM recovery_codes WHERE digest = {one}") == 1  # noqa: S608
    assert problems(store) == ["factors or recovery codes were added, removed or put back"]


def test_token_of_somebody_can_be_revoked_beside_one_that_was_put_in(store: Store) -> None:
    """Nobody keeps an owner from ending a token; that another was put in goes on record."""
    _, mine = store.access_tokens.issue("alice", "job", ROOT)
    _, theirs = store.access_tokens.issue("mallory", "job", ROOT)
    write(store, MAKE_OVER.format("access_tokens"), id=theirs.id)
    store.access_tokens.revoke("alice", mine.id, ROOT)
    assert told(store)[-2:] == [Event.TAMPERING_FOUND, "token_revoked"]
    store.access_tokens.revoke("alice", theirs.id, ROOT)
    assert problems(store) == []


def test_account_that_was_deleted_shows_though_it_is_made_anew(store: Store, clock: Clock) -> None:
    """A name without a row is one that the store never met; the system's chain knows better."""
    phone = enroll(store, clock)
    write(
        store,
        "DELETE FROM audit_events WHERE account_id = ALICE",
        "DELETE FROM totp_factors WHERE account_id = ALICE",
        "DELETE FROM recovery_codes WHERE account_id = ALICE",
        "DELETE FROM accounts WHERE name = 'alice'",
    )
    assert "the account and its whole chain are missing" in problems(store)
    with suppress(StoreError):
        store.authentication.accept_password(attempt())
    assert problems(store) == ["the account was made a second time"]
    assert try_code(store, phone.code()) == Denied(Reason.NO_FACTOR)


def test_account_that_vanishes_while_it_is_verified_is_missing(store: Store) -> None:
    """What seemed wrong with it is looked at a second time, and it is not there any more."""
    store.access_tokens.issue("alice", "job", ROOT)
    store.authentication.refuse_password(attempt("bob"))
    write(
        store,
        f"{TOKENS} name = 'other'",
        "DELETE FROM audit_events WHERE account_id = (SELECT id FROM accounts WHERE name = 'bob')",
    )
    verifying = store.audit_log.verify()
    assert next(verifying).account == "bob"
    write(
        store,
        "DELETE FROM access_tokens",
        "DELETE FROM audit_events WHERE account_id = ALICE",
        "DELETE FROM accounts WHERE name = 'alice'",
    )
    found = [found.problem for found in verifying if found.account == "alice"]
    assert found == ["the account and its whole chain are missing"]


CHANGES = {
    "issue": lambda store, _: store.access_tokens.issue("alice", "another", ACTOR),
    "revoke": lambda store, made: store.access_tokens.revoke("alice", made["token"], ACTOR),
    "revoke all": lambda store, _: store.access_tokens.revoke_all("alice", ACTOR),
    "renew codes": lambda store, _: store.recovery_codes.renew("alice", ACTOR),
    "delete codes": lambda store, _: store.recovery_codes.delete("alice", ACTOR),
    "complete": lambda store, made: store.totp_factors.complete("alice", *made["spare"], ACTOR),
    "delete": lambda store, made: store.totp_factors.delete("alice", made["phone"], ACTOR),
    "delete all": lambda store, _: store.totp_factors.delete_all("alice", ACTOR),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_first_change_after_tampering_puts_it_on_record(
    store: Store, clock: Clock, kind: str
) -> None:
    """Whichever it is, with who made it; else it would make what was put in look right."""
    phone = enroll(store, clock)
    _, token = store.access_tokens.issue("alice", "job", ROOT)
    _, theirs = store.access_tokens.issue("mallory", "job", ROOT)
    enrollment = store.totp_factors.begin("alice", "spare", ROOT)
    spare = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    write(store, MAKE_OVER.format("access_tokens"), id=theirs.id)
    made = {"token": token.id, "phone": phone.id, "spare": (spare.id, spare.code())}
    CHANGES[kind](store, made)
    found = [row for row in events(store, "alice") if row.event == Event.TAMPERING_FOUND]
    assert [(row.actor, row.address) for row in found] == [("carol", "198.51.100.9")]
    assert store.recovery_codes.left("alice") == (10 if kind == "renew codes" else 0)
    CHANGES[kind if kind in {"issue", "renew codes"} else "issue"](store, made)
    assert told(store).count(Event.TAMPERING_FOUND) == 1


# The way back


def test_account_that_was_changed_can_be_used_again_once_it_is_forgotten(
    store: Store, clock: Clock
) -> None:
    """Without anything that it held; and that it was changed stands in its audit."""
    phone = enroll(store, clock)
    write(store, "UPDATE accounts SET failures = 1 WHERE id = ALICE")
    store.accounts.forget("alice", ROOT)
    assert problems(store) == []
    assert Event.TAMPERING_FOUND in told(store)
    assert try_code(store, phone.code()) == Denied(Reason.NO_FACTOR)
    assert isinstance(try_code(store, enroll(store, clock).code()), Granted)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM totp_factors",
        "UPDATE accounts SET adopted_at = NULL WHERE id = ALICE",
        "UPDATE accounts SET adopted_at = 5 WHERE name = 'bob'",
        "UPDATE accounts SET audit_sequence = 1 WHERE id = ALICE",
    ],
)
def test_forgotten_account_starts_anew_whatever_was_changed(
    store: Store, clock: Clock, change: str
) -> None:
    """Its factors were deleted, or it was made to have some, or its chain to end elsewhere."""
    enroll(store, clock)
    store.authentication.refuse_password(attempt("bob"))
    assert write(store, change)
    name = "bob" if "bob" in change else "alice"
    store.accounts.forget(name, ROOT)
    granted = Granted(Reason.MFA_NOT_ADOPTED)
    assert store.authentication.accept_password(attempt(name)) == granted
    assert isinstance(try_code(store, enroll(store, clock, name).code(), name), Granted)
    found = [row for row in events(store, name) if row.event == Event.TAMPERING_FOUND]
    assert len(found) == 1


def test_account_that_was_put_back_can_be_forgotten(own_tables: Store, clock: Clock) -> None:
    """Its row is one that the store wrote, but its chain has gone on; that stays to be seen."""
    store = own_tables
    enroll(store, clock)
    write(store, "CREATE TABLE kept AS SELECT * FROM accounts WHERE id = ALICE")
    store.authentication.refuse_password(attempt())
    back = (
        "UPDATE accounts SET audit_sequence = kept.audit_sequence, "
        "audit_digest = kept.audit_digest, mac = kept.mac FROM kept WHERE accounts.id = kept.id"
    )
    assert write(store, back)
    store.accounts.forget("alice", ROOT)
    assert Event.TAMPERING_FOUND in told(store)
    assert isinstance(try_code(store, enroll(store, clock).code()), Granted)
    assert problems(store)


def test_forgotten_account_has_nothing_of_what_it_had(store: Store, clock: Clock) -> None:
    """Who gets the name of a person who left gets no factor, token, session or lock with it."""
    phone = enroll(store, clock)
    paper = store.recovery_codes.renew("alice", ROOT)
    token, _ = store.access_tokens.issue("alice", "job", ROOT)
    revoked, record = store.access_tokens.issue("alice", "old job", ROOT)
    store.access_tokens.revoke("alice", record.id, ROOT)
    web, _ = store.sessions.begin(attempt(protocol=Protocol.WEB), Stage.FULL, "Firefox")
    for code in phone.wrong(5):
        try_code(store, code)
    for number in range(12):
        store.password_throttle.enter("alice", f"192.0.2.{number}")
    store.accounts.forget("alice", ROOT)
    state = store.accounts.show("alice")
    assert (state.adopted_at, state.locked_until, state.wrong_codes) == (None, None, 0)
    assert store.totp_factors.list("alice") == store.access_tokens.list("alice") == []
    assert store.recovery_codes.left("alice") == 0
    assert store.sessions.find(web) is None
    unknown = Denied(Reason.TOKEN_UNKNOWN)
    for secret in (token, revoked):
        assert store.authentication.check_token(attempt(), secret) == unknown
    for text_ in (phone.code(), paper[0].text()):
        assert try_code(store, text_) == Denied(Reason.NO_FACTOR)
    assert store.authentication.accept_password(attempt()) == Granted(Reason.MFA_NOT_ADOPTED)
    assert store.password_throttle.enter("alice", "198.51.100.1") == 0
    assert "account_forgotten" in told(store)
    assert problems(store) == []


def test_forgotten_account_takes_nothing_from_others(store: Store, clock: Clock) -> None:
    """What they hold, and what they are signed in to, stays."""
    enroll(store, clock)
    phone = enroll(store, clock, "bob")
    token, _ = store.access_tokens.issue("bob", "job", ROOT)
    web, _ = store.sessions.begin(attempt("bob", Protocol.WEB), Stage.FULL, "Firefox")
    for number in range(10):
        store.password_throttle.enter("bob", f"192.0.2.{number}")
    store.accounts.forget("alice", ROOT)
    assert isinstance(store.authentication.check_token(attempt("bob"), token), Granted)
    assert isinstance(try_code(store, phone.code(), "bob"), Granted)
    assert store.recovery_codes.left("bob") == 10
    assert store.sessions.find(web) is not None
    assert store.password_throttle.enter("bob", "198.51.100.1") == 60
    assert not list(store.audit_log.verify())


def test_forgotten_account_stays_barred(store: Store, clock: Clock) -> None:
    """Forgetting lets nobody in who was kept out."""
    enroll(store, clock)
    store.accounts.bar("alice", ROOT)
    store.accounts.forget("alice", ROOT)
    assert store.authentication.check_account(attempt()) == Denied(Reason.ACCOUNT_BARRED)


def test_account_that_was_never_met_cannot_be_forgotten(store: Store) -> None:
    """A name that was mistyped is told."""
    with pytest.raises(NotFoundError, match="never met the account alise"):
        store.accounts.forget("alise", ROOT)
