"""Old audit events may go; what is left goes on to prove that nobody else took any."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, findings, make_bed
from model import DAY, HOUR
from sqlalchemy import text

from store.audit_log import Filter
from store.clock import from_milliseconds
from store.decisions import Attempt, Protocol
from store.errors import TamperedError
from store.opening import Store

BEGINNING = 1_800_000_000_000
NAMES = ("alice", "bob")


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log() -> None:
    """Not here: of so many codes one is a part of some id by chance, and it takes long."""


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database."""
    made = make_bed(request, tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock() -> HandClock:
    """Make a clock."""
    return HandClock(BEGINNING)


def refuse(store: Store, clock: HandClock, count: int = 1, name: str = "alice") -> None:
    """Put events on record, an hour apart."""
    for _ in range(count):
        store.authentication.refuse_password(Attempt(name, Protocol.SSH, "192.0.2.7"))
        clock.now += HOUR


@pytest.fixture
def pruned(bed: Bed, clock: HandClock) -> Store:
    """Make two chains of eight events, of which the first four were pruned."""
    store = bed.open(clock)
    for _ in range(8):
        for name in NAMES:
            store.authentication.refuse_password(Attempt(name, Protocol.SSH, "192.0.2.7"))
        clock.now += HOUR
    assert store.audit_log.prune(from_milliseconds(BEGINNING + 4 * HOUR), ROOT) == 8
    assert findings(store) == []
    return store


ALICE = "(SELECT id FROM accounts WHERE name = 'alice')"
BOB = "(SELECT id FROM accounts WHERE name = 'bob')"
OF_ALICE = "UPDATE audit_events SET {} WHERE sequence = 6 AND account_id = ALICE"
HEAD = "UPDATE accounts SET {} WHERE name = 'alice'"
DELETE = "DELETE FROM audit_events WHERE sequence {} AND account_id = ALICE"
FIFTH = "(SELECT digest FROM audit_events WHERE sequence = 5 AND account_id = ALICE)"
BOBS = "(SELECT {} FROM accounts WHERE name = 'bob')"
COPIED = (
    "INSERT INTO audit_events (account_id, sequence, at, event, actor, protocol, digest)"
    " SELECT account_id, {}, at, event, actor, protocol, digest FROM audit_events"
    " WHERE sequence = 5 AND account_id = ALICE"
)

TAMPERING = {
    "time": [OF_ALICE.format("at = at + 1")],
    "event": [OF_ALICE.format("event = 'login_granted'")],
    "actor": [OF_ALICE.format("actor = 'bob'")],
    "protocol": [OF_ALICE.format("protocol = 'web'")],
    "address": [OF_ALICE.format("address = NULL")],
    "reason": [OF_ALICE.format("reason = NULL")],
    "factor": [OF_ALICE.format("factor_id = 'x'")],
    "subject": [OF_ALICE.format("subject = 'x'")],
    "digest": [OF_ALICE.format(f"digest = {FIFTH}")],
    "owner": [OF_ALICE.replace("= 6", "= 8").format(f"account_id = {BOB}, sequence = 9")],
    "first that was kept": [DELETE.format("= 5")],
    "middle": [DELETE.format("= 6")],
    "last": [DELETE.format("= 8")],
    "all": [DELETE.format("> 0")],
    "added behind": [COPIED.format(9)],
    "added before": [COPIED.format(4)],
    "what was pruned is named again": [COPIED.format(1)],
    "pruned further, it says": [
        HEAD.format(f"audit_base_sequence = 5, audit_base_digest = {FIFTH}"),
        DELETE.format("<= 5")],
    "pruned entirely, it says": [DELETE.format("> 0"),
        HEAD.format("audit_base_sequence = 8, audit_base_digest = audit_digest")],
    "never pruned, it says": [HEAD.format("audit_base_sequence = 0")],
    "ended earlier, it says": [
        HEAD.format(f"audit_sequence = 5, audit_digest = {FIFTH}"), DELETE.format("> 5")],
    "nothing ever happened, it says": [DELETE.format("> 0"),
        HEAD.format("audit_sequence = 0, audit_base_sequence = 0, audit_digest = "
                    "(SELECT audit_base_digest FROM accounts WHERE name = '')")],
    "another one's beginning": [HEAD.format(
        f"audit_base_digest = {BOBS.format('audit_base_digest')}")],
    "another one's end": [HEAD.format(f"audit_digest = {BOBS.format('audit_digest')}")],
    "name": [HEAD.format("name = 'mallory'")],
    "the record of a pruning": ["DELETE FROM audit_events WHERE event = 'audit_pruned'"],
}  # fmt: skip


@pytest.mark.parametrize("later", [0, 2], ids=["", "and the store goes on"])
@pytest.mark.parametrize("kind", TAMPERING)
def test_tampering_after_pruning_shows(
    pruned: Store, clock: HandClock, kind: str, later: int
) -> None:
    """Each kind of change by who can write to the database shows, whatever is written after it."""
    with pruned.units.database.write() as connection:
        for statement in TAMPERING[kind]:
            assert connection.execute(text(statement.replace("ALICE", ALICE))).rowcount > 0
    if kind not in {"added behind", "owner"}:  # there a row is in the next one's place
        # Nothing is let to change an account whose row is not as it was written.
        with suppress(TamperedError):
            refuse(pruned, clock, later)
        refuse(pruned, clock, later, "bob")
    assert findings(pruned) != []


def test_chain_that_does_not_verify_is_left_as_it_is(pruned: Store, clock: HandClock) -> None:
    """What was tampered with does not become unseen when its time comes."""
    with pruned.units.database.write() as connection:
        statement = OF_ALICE.format("address = NULL").replace("ALICE", ALICE)
        connection.execute(text(statement))
    clock.now += 400 * DAY
    assert pruned.audit_log.prune(from_milliseconds(clock.now - DAY), ROOT) == 4
    assert len(pruned.audit_log.page(Filter(account="alice"), 10).events) == 4
    assert [found.account for found in findings(pruned)] == ["alice"]


def test_chains_verify_while_others_write_and_prune(bed: Bed, clock: HandClock) -> None:
    """Who verifies a store that is in use gets no false alarm."""
    store = bed.open(clock)
    ended = threading.Event()

    def write() -> None:
        own = bed.open(clock)
        while not ended.is_set():
            refuse(own, clock, 3)
            own.audit_log.prune(from_milliseconds(clock.now - 20 * HOUR), ROOT)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    found = []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        found += findings(store)
    ended.set()
    for writer in writers:
        writer.join()
    assert found == []
