"""What has expired goes by itself, and nothing else; forms are sent once."""

import pytest
from harness.audit import broken_chains
from harness.stores import ROOT, Clock, OpenStore, Phone, attempt, enroll, try_code

from store.decisions import Granted, Protocol
from store.errors import NotFoundError
from store.opening import Store
from store.sessions import Stage
from store.settings import Settings

MINUTE, HOUR = 60, 3600
WEB = attempt(protocol=Protocol.WEB)


@pytest.fixture
def phone(store: Store, clock: Clock) -> Phone:
    """Let alice adopt MFA."""
    return enroll(store, clock)


def test_what_can_be_used_stays(open_store: OpenStore, settings: Settings, clock: Clock) -> None:
    """Up to the last moment in which it is good."""
    store = open_store(grace={"seconds": MINUTE})
    phone = enroll(store, clock)
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
    spare = store.totp_factors.begin("alice", "spare", ROOT)
    try_code(store, phone.code())
    secret, _ = store.sessions.begin(WEB, Stage.FULL, "Lynx")
    store.password_throttle.enter("alice", "192.0.2.7")
    store.forms.use("form")
    clock.move(MINUTE - 1)
    assert store.housekeeping.run() == 0
    assert isinstance(store.authentication.accept_password(attempt()), Granted)
    clock.move(14 * MINUTE)
    store.housekeeping.run()
    code = Phone(spare.factor.id, spare.secret.text(), clock).code()
    store.totp_factors.complete("alice", spare.factor.id, code, ROOT)
    assert store.sessions.find(secret)
    assert not store.forms.use("form")
    clock.move(hours=24 * 365)
    assert store.housekeeping.run() > 0
    assert store.authentication.factors_of("alice").totp
    assert store.recovery_codes.left("alice") == 10
    assert isinstance(store.authentication.check_token(attempt(), token), Granted)
    assert broken_chains(store, settings) == []
    assert store.housekeeping.run() == 0


def test_enrollment_that_was_not_completed_goes(store: Store, clock: Clock, phone: Phone) -> None:
    """Its secret does not lie about for ever; what is active stays."""
    pending = store.totp_factors.begin("alice", "spare", ROOT)
    clock.move(15 * MINUTE)
    assert store.housekeeping.run() == 0
    clock.move(0.001)
    assert store.housekeeping.run() == 1
    assert [factor.id for factor in store.totp_factors.list("alice")] == [phone.id]
    with pytest.raises(NotFoundError):
        store.totp_factors.complete("alice", pending.factor.id, "000000", ROOT)


@pytest.mark.usefixtures("phone")
def test_locks_and_used_codes_are_no_rubbish(store: Store, clock: Clock, phone: Phone) -> None:
    """A lock of the code check, and which step was used, outlive every cleaning."""
    for code in phone.wrong(4):
        try_code(store, code)
    clock.move(hours=24 * 30)
    store.housekeeping.run()
    assert store.accounts.show("alice").wrong_codes == 4


def test_form_is_sent_once_on_all_hosts(open_store: OpenStore) -> None:
    """Pressed twice, or on two hosts at once, it changes one thing."""
    one, other = open_store(), open_store()
    assert one.forms.use("form")
    assert not one.forms.use("form")
    assert not other.forms.use("form")
    assert other.forms.use("another")
    assert other.forms.use("\udcff")


def test_form_is_remembered_for_as_long_as_it_could_be_sent(store: Store, clock: Clock) -> None:
    """A week, which is the longest that a session may be configured to last."""
    assert store.forms.use("form")
    clock.move(hours=7 * 24)
    store.housekeeping.run()
    assert not store.forms.use("form")
    clock.move(1)
    store.housekeeping.run()
    assert store.forms.use("form")
