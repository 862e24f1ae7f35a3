"""The audit cannot be rewritten unnoticed; it is read in pages, and pruned from its old end.

Whether a chain holds is asked twice: of the store, and of an auditor who computes it anew.
"""

from datetime import UTC, datetime, timedelta

import pytest
from harness.audit import SYSTEM, broken_chains, events, told
from harness.stores import ROOT, START, Clock, OpenStore, attempt, enroll, opened, try_code
from sqlalchemy import text

from store.audit_log import Filter
from store.clock import from_milliseconds
from store.errors import RequestError
from store.opening import Store
from store.settings import Settings

ODD_NAME = 'b\u00f6b \U0001f600\x7f"\\'


@pytest.fixture
def history(store: Store, clock: Clock) -> list[str]:
    """Let things happen to alice, and to somebody with an odd name; give what is told of alice."""
    phone = enroll(store, clock)
    for code in (*phone.wrong(2), phone.code(), phone.code()):
        clock.move(1)
        try_code(store, code)
    store.accounts.bar(ODD_NAME, ROOT)
    return told(store)


def suspects(store: Store, settings: Settings) -> set[str]:
    """Name the accounts whose chain does not hold, as the store and the auditor agree."""
    found = {finding.account for finding in store.audit_log.verify()}
    assert found == set(broken_chains(store, settings))
    return found


OF_ALICE = "account_id = (SELECT id FROM accounts WHERE name = 'alice')"
FOURTH = "(SELECT digest FROM audit_events WHERE sequence = 4 AND OF_ALICE)"


def tamper(store: Store, *statements: str) -> None:
    """Change rows as somebody does who can write in the database and has not the key file."""
    with store.units.database.write() as connection:
        for statement in statements:
            filled = statement.replace("FOURTH", FOURTH).replace("OF_ALICE", OF_ALICE)
            assert connection.execute(text(filled)).rowcount != 0


# The chain


@pytest.mark.usefixtures("history")
def test_chain_verifies_when_it_is_computed_anew(store: Store, settings: Settings) -> None:
    """Each account's chain, and the system's, are what the description says, from the first row."""
    assert suspects(store, settings) == set()


def test_empty_store_verifies(store: Store, settings: Settings) -> None:
    """Nothing has happened, and nothing is missing."""
    assert suspects(store, settings) == set()


CHANGES = {
    "at": "at + 1",
    "event": "'login_granted'",
    "actor": "'root'",
    "protocol": "'web'",
    "address": "'192.0.2.99'",
    "reason": "'token_accepted'",
    "factor_id": "'0123456789ab'",
    "subject": "'bob'",
    "digest": "(SELECT audit_digest FROM accounts WHERE name = '')",
    "event ": "'no_such_event'",
    "protocol ": "'pigeon'",
    "reason ": "'no_such_reason'",
    "address ": "NULL",
    "reason  ": "NULL",
}


@pytest.mark.usefixtures("history")
def test_every_changed_field_shows(store: Store, settings: Settings) -> None:
    """Whichever field of an event is changed, to whatever, its chain does not verify."""
    one = "WHERE event = 'login_denied' AND sequence = 5"
    tamper(store, "CREATE TABLE kept AS SELECT * FROM audit_events")
    for field, value in CHANGES.items():
        tamper(store, f"UPDATE audit_events SET {field} = {value} {one}")  # noqa: S608
        assert suspects(store, settings) == {"alice"}, field
        tamper(store, "DELETE FROM audit_events", "INSERT INTO audit_events SELECT * FROM kept")
    tamper(store, "DROP TABLE kept")
    assert suspects(store, settings) == set()


AWAY = "UPDATE audit_events SET sequence = -sequence WHERE sequence IN (3, 4) AND OF_ALICE"
BACK = "UPDATE audit_events SET sequence = 7 + sequence WHERE sequence < 0 AND OF_ALICE"
ADD = (
    "INSERT INTO audit_events (account_id, sequence, at, event, actor, protocol, digest) "
    "SELECT account_id, {place}, at, event, actor, protocol, digest FROM audit_events "
    "WHERE sequence = 3 AND OF_ALICE"
)
TAMPERING = {
    "first": ["DELETE FROM audit_events WHERE sequence = 1 AND OF_ALICE"],
    "middle": ["DELETE FROM audit_events WHERE sequence = 4 AND OF_ALICE"],
    "last": ["DELETE FROM audit_events WHERE sequence = 7 AND OF_ALICE"],
    "several": ["DELETE FROM audit_events WHERE sequence > 3 AND OF_ALICE"],
    "all": ["DELETE FROM audit_events WHERE OF_ALICE"],
    "in another order": [AWAY, BACK],
    "added": [ADD.format(place=8)],
    "added before": [ADD.format(place=0)],
    "added with its count": [
        ADD.format(place=8),
        "UPDATE accounts SET audit_sequence = 8 WHERE name = 'alice'",
    ],
    "count": ["UPDATE accounts SET audit_sequence = audit_sequence - 1 WHERE name = 'alice'"],
    "end": ["UPDATE accounts SET audit_digest = audit_base_digest WHERE name = 'alice'"],
    "beginning": ["UPDATE accounts SET audit_base_sequence = 3 WHERE name = 'alice'"],
}


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING)
def test_event_that_goes_comes_or_moves_shows(
    store: Store, settings: Settings, history: list[str], statements: list[str]
) -> None:
    """Rows that are missing, added or in another order break the chain of their account."""
    assert len(history) == 7
    tamper(store, *statements)
    assert suspects(store, settings) == {"alice"}


CUT_OFF = {
    "newest": [
        "DELETE FROM audit_events WHERE sequence > 4 AND OF_ALICE",
        "UPDATE accounts SET audit_sequence = 4, audit_digest = FOURTH WHERE name = 'alice'",
    ],
    "oldest": [
        "UPDATE accounts SET audit_base_sequence = 4 WHERE name = 'alice'",
        "UPDATE accounts SET audit_base_digest = FOURTH WHERE name = 'alice'",
        "DELETE FROM audit_events WHERE sequence <= 4 AND OF_ALICE",
    ],
}


@pytest.mark.parametrize("statements", CUT_OFF.values(), ids=CUT_OFF)
@pytest.mark.usefixtures("history")
def test_end_of_a_chain_that_is_cut_off_neatly_shows(
    store: Store, settings: Settings, statements: list[str]
) -> None:
    """Nor can somebody without the key make a chain shorter and move its end to fit."""
    tamper(store, *statements)
    assert suspects(store, settings) == {"alice"}


@pytest.mark.usefixtures("history")
def test_account_that_vanished_shows(store: Store) -> None:
    """The system's chain knows which accounts there are."""
    tables = ("audit_events", "recovery_codes", "totp_factors")
    tamper(
        store,
        *[f"DELETE FROM {table} WHERE OF_ALICE" for table in tables],  # noqa: S608
        "DELETE FROM accounts WHERE name = 'alice'",
    )
    findings = list(store.audit_log.verify())
    assert [(finding.account, finding.problem) for finding in findings] == [
        ("alice", "the account and its whole chain are missing")
    ]


@pytest.mark.usefixtures("history")
def test_renamed_account_shows(store: Store, settings: Settings) -> None:
    """Nobody's history becomes somebody else's."""
    tamper(store, "UPDATE accounts SET name = 'malice' WHERE name = 'alice'")
    found = {finding.account for finding in store.audit_log.verify()}
    assert found == {"alice", "malice"}
    assert broken_chains(store, settings) == ["malice"]


@pytest.mark.usefixtures("history")
def test_finding_names_the_event(store: Store) -> None:
    """An auditor is told where to look, and what is the matter; later events are not blamed."""
    tamper(store, "UPDATE audit_events SET address = 'x' WHERE sequence = 4 AND OF_ALICE")
    (finding,) = store.audit_log.verify()
    assert (finding.account, finding.sequence) == ("alice", 4)
    assert "changed" in finding.problem


def test_chain_goes_on_after_a_restart_and_on_another_host(
    open_store: OpenStore, settings: Settings, clock: Clock
) -> None:
    """Programs that come and go write one chain."""
    store = open_store()
    enroll(store, clock)
    with opened(settings, clock) as other:
        other.accounts.unlock("alice", ROOT)
    open_store().accounts.unlock("alice", ROOT)
    assert told(store).count("account_unlocked") == 2
    assert suspects(store, settings) == set()


# Pages


def read_all(store: Store, wanted: Filter, limit: int) -> list[tuple[str, str]]:
    """Turn the pages one after the other; give account and event."""
    found, cursor = [], None
    while True:
        page = store.audit_log.page(wanted, limit, cursor)
        assert len(page.events) <= limit
        found += [(event.account, event.event) for event in page.events]
        if page.cursor is None:
            return found
        assert len(page.events) == limit
        cursor = page.cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_give_each_event_once_the_newest_first(
    store: Store, history: list[str], limit: int
) -> None:
    """However long a page is, nothing is missed and nothing comes twice."""
    found = read_all(store, Filter(account="alice"), limit)
    assert [event for _, event in found] == [words.split()[0] for words in reversed(history)]
    everything = read_all(store, Filter(), limit)
    assert len(everything) == len(history) + 1 + 2
    assert everything[:2] in (
        [("", "account_created"), (ODD_NAME, "account_barred")],
        [(ODD_NAME, "account_barred"), ("", "account_created")],
    )


@pytest.mark.usefixtures("history")
def test_filters_narrow_and_go_together(store: Store) -> None:
    """Account, event, address and time each leave out what is not asked for."""
    since = from_milliseconds(START + 2000)
    cases = [
        (Filter(account="alice", event="login_denied"), 3),
        (Filter(event="login_granted"), 1),
        (Filter(address="192.0.2.7"), 4),
        (Filter(address="192.0.2.8"), 0),
        (Filter(account="nobody"), 0),
        (Filter(event="no_such_event"), 0),
        (Filter(account="alice", since=since), 3),
        (Filter(account="alice", until=since), 4),
        (Filter(since=since, until=since), 0),
        (Filter(account="alice", since=since, until=since + timedelta(milliseconds=1)), 1),
        (Filter(account=""), 2),
    ]
    for wanted, count in cases:
        assert len(read_all(store, wanted, 2)) == count, wanted


def test_events_of_an_account_that_come_meanwhile_do_not_disturb_the_pages(
    store: Store, history: list[str]
) -> None:
    """Who turns pages sees what was there when he began, each event once."""
    first = store.audit_log.page(Filter(account="alice"), 3)
    store.accounts.unlock("alice", ROOT)
    second = store.audit_log.page(Filter(account="alice"), 100, first.cursor)
    found = [event.event for event in (*first.events, *second.events)]
    assert found == [words.split()[0] for words in reversed(history)]


CURSORS = ["", "1", "-", "1-", "-1", "a-b", "1-2-3", "1 -2", "1.0-2", "0x1-2", "1" * 50 + "-1"]


@pytest.mark.parametrize("cursor", [*CURSORS, "9" * 19 + "-1", "1-" + "9" * 30, "\u0661-\u0662"])
def test_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    """It is the request that is wrong, whatever was made of it."""
    with pytest.raises(RequestError, match="cursor"):
        store.audit_log.page(Filter(), 10, cursor)


@pytest.mark.usefixtures("history")
def test_page_has_a_bounded_length(store: Store) -> None:
    """Neither none nor more than a thousand, whatever is asked for."""
    for limit in (-5, 0, 1):
        assert len(store.audit_log.page(Filter(), limit).events) == 1
    assert len(store.audit_log.page(Filter(), 10**9).events) == 10


# Pruning


def test_pruned_chains_go_on_to_verify(
    store: Store, settings: Settings, history: list[str]
) -> None:
    """Old events go, the others stay as they were, and new ones follow them."""
    since = from_milliseconds(START + 3000)
    assert store.audit_log.prune(since, ROOT) == 5
    assert told(store) == history[5:]
    assert suspects(store, settings) == set()
    try_code(store, "no code")
    assert suspects(store, settings) == set()
    tamper(store, "DELETE FROM audit_events WHERE sequence = 6 AND OF_ALICE")
    assert suspects(store, settings) == {"alice"}


@pytest.mark.usefixtures("history")
def test_pruning_is_on_record_and_keeps_the_systems_chain(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """It says who let what go, from before when; which accounts there were stays known."""
    clock.move(hours=1)
    before = from_milliseconds(clock())
    assert store.audit_log.prune(before, ROOT) == 8
    assert told(store) == []
    assert told(store, SYSTEM) == ["account_created", "account_created", "audit_pruned"]
    last = events(store, SYSTEM)[-1]
    assert (last.actor, last.subject) == ("root", before.isoformat())
    assert suspects(store, settings) == set()
    assert store.audit_log.prune(before, ROOT) == 0
    store.accounts.unlock("alice", ROOT)
    assert suspects(store, settings) == set()


def test_pruning_leaves_no_hole_where_a_clock_was_wrong(
    store: Store, settings: Settings, clock: Clock
) -> None:
    """Events behind a younger one stay, though their time is older."""
    clock.move(hours=24)
    store.authentication.accept_password(attempt())
    clock.move(hours=-24)
    store.authentication.accept_password(attempt())
    assert store.audit_log.prune(from_milliseconds(START + 3_600_000), ROOT) == 0
    assert len(told(store)) == 2
    assert suspects(store, settings) == set()


def test_time_without_its_zone_prunes_nothing(store: Store, history: list[str]) -> None:
    """Nobody knows what it means."""
    with pytest.raises(ValueError, match="zone"):
        store.audit_log.prune(datetime(2030, 1, 1), ROOT)  # noqa: DTZ001
    assert told(store) == history
    assert store.audit_log.prune(datetime(2000, 1, 1, tzinfo=UTC), ROOT) == 0
