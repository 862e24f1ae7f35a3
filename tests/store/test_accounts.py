"""Accounts: the name they go by, and what an administrator may do to them."""

import pwd
from typing import Any

import pytest
from harness.stores import ROOT, Clock, attempt, enroll, try_code
from hypothesis import given
from hypothesis import strategies as st

from store.accounts import Adoption, canonical_name
from store.audit_log import Filter
from store.clock import from_milliseconds
from store.decisions import Granted
from store.opening import Store


def directory_that_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a directory behind NSS that knows an account under a name of its own."""
    entry = pwd.struct_passwd((name, "x", 1000, 1000, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: entry)


def test_account_of_this_machine_goes_by_its_own_name() -> None:
    """A local account's name is what was typed."""
    assert canonical_name("nobody") == "nobody"


@pytest.mark.parametrize(
    "typed", ["", "no-such-account", "nobody\0", "nobody ", "\ud800", "x" * 9999]
)
def test_name_that_nss_does_not_know_is_none(typed: str) -> None:
    """Whatever is typed, the answer is a name or None."""
    assert canonical_name(typed) is None


@given(st.text(max_size=30))
def test_canonical_name_takes_any_text(typed: str) -> None:
    """Nobody breaks a login by the name that he types."""
    canonical_name(typed)


@pytest.mark.parametrize("typed", ["Alice", "alice@corp", "CORP\\alice"])
def test_account_goes_by_the_name_that_nss_gives_back(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person has one account, however a directory lets the name be typed."""
    directory_that_says("alice", monkeypatch)
    assert canonical_name(typed) == "alice"


@pytest.mark.parametrize("name", ["", "x" * 257, "al\udce9ice"])
def test_name_that_the_store_cannot_keep_is_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long, empty or not UTF-8: a stranger to the store, not a fault in every operation."""
    directory_that_says(name, monkeypatch)
    assert canonical_name("alice") is None


def test_longest_name_is_kept(store: Store, clock: Clock) -> None:
    """256 characters, ASCII or not, are an account like any other."""
    for name in ("x" * 256, "\u00e9\u4e2d" * 128):
        phone = enroll(store, clock, name)
        assert isinstance(try_code(store, phone.code(), name), Granted)


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE accounts; --", 'a"b', "a%sb", "a\\b", "a b", "%", "_"]
)
def test_name_is_a_value_and_never_part_of_a_statement(
    store: Store, clock: Clock, name: str
) -> None:
    """A directory may hold odd names."""
    phone = enroll(store, clock, name)
    assert isinstance(try_code(store, phone.code(), name), Granted)
    assert store.accounts.show(name).name == name
    assert store.accounts.show("alice").known_since is None


def test_names_that_differ_in_case_are_different_accounts(store: Store, clock: Clock) -> None:
    """NSS decides which names are one; the store compares them exactly, on each database."""
    enroll(store, clock, "alice")
    for other in ("Alice", "alice ", "alic\u00e9", "alice\u0301"):
        assert isinstance(store.authentication.accept_password(attempt(other)), Granted)


def test_account_never_met_is_shown_as_such(store: Store) -> None:
    """Looking at an account does not make it."""
    for _ in range(2):
        state = store.accounts.show("alice")
        assert (state.name, state.known_since, state.barred_at) == ("alice", None, None)
        assert (state.wrong_codes, state.locked_until) == (0, None)


def test_state_tells_since_when(store: Store, clock: Clock) -> None:
    """Times are those at which things happened, in UTC."""
    enroll(store, clock)
    met = from_milliseconds(clock())
    clock.move(hours=1)
    store.accounts.bar("alice", ROOT)
    barred = from_milliseconds(clock())
    clock.move(hours=1)
    store.accounts.bar("alice", ROOT)
    state = store.accounts.show("alice")
    assert (state.known_since, state.barred_at) == (met, barred)
    store.accounts.unbar("alice", ROOT)
    assert store.accounts.show("alice").barred_at is None


def test_unbarring_who_is_not_barred_does_nothing(store: Store, clock: Clock) -> None:
    """It may be repeated, and does not make an account."""
    store.accounts.unbar("alice", ROOT)
    assert store.accounts.show("alice").known_since is None
    phone = enroll(store, clock)
    store.accounts.unbar("alice", ROOT)
    assert isinstance(try_code(store, phone.code()), Granted)


def test_barring_outlives_unlocking(store: Store, clock: Clock) -> None:
    """To unlock is about codes only."""
    enroll(store, clock)
    store.accounts.bar("alice", ROOT)
    store.accounts.unlock("alice", ROOT)
    assert store.accounts.show("alice").barred_at is not None


# Lists


def met(store: Store, *names: str) -> None:
    """Let the store meet accounts."""
    for name in names:
        store.authentication.accept_password(attempt(name))


def names(store: Store, **wanted: Any) -> list[str]:
    """List accounts by name."""
    return [state.name for state in store.accounts.list(**wanted)]


def test_accounts_are_listed_in_the_order_of_their_bytes(store: Store) -> None:
    """On each database, in whichever locale; the store's own row is none of them."""
    met(store, "b", "a", "B", "\u00e9", "a b", "_", "~")
    assert names(store) == ["B", "_", "a", "a b", "b", "~", "\u00e9"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_give_each_account_once(store: Store, limit: int) -> None:
    """Each page goes on behind the last name of the one before."""
    met(store, *"gfedcba")
    found: list[str] = []
    while page := names(store, after=found[-1] if found else "", limit=limit):
        assert len(page) <= limit
        found += page
    assert found == list("abcdefg")


def test_page_of_accounts_has_a_bounded_length(store: Store) -> None:
    """Neither none nor all."""
    met(store, *"ab")
    assert len(names(store, limit=0)) == len(names(store, limit=-1)) == 1
    assert len(names(store, limit=10**9)) == 2


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["Al", "al", "alice", "bob"]),
        ("al", ["al", "alice"]),
        ("alice", ["alice"]),
        ("alicex", []),
        ("%", []),
        ("_l", []),
        ("al%", []),
        ("'", []),
        ("\U0010ffff", []),
        ("\0", []),
        ("al\0", []),
        ("\udcff", []),
        ("x" * 10_000, []),
    ],
)
def test_prefix_is_compared_as_it_is(store: Store, prefix: str, found: list[str]) -> None:
    """It is a text and no pattern, whatever stands in it."""
    met(store, "Al", "al", "alice", "bob")
    assert names(store, prefix=prefix) == found


@pytest.mark.parametrize("odd", ["\0", "al\0ice", "\udcff"])
def test_account_that_cannot_be_is_shown_as_never_met(store: Store, odd: str) -> None:
    """Who asks for an odd name is not told that the store is broken."""
    assert store.accounts.show(odd).known_since is None
    assert store.audit_log.page(Filter(account=odd, event=odd, address=odd), 10).events == []


def test_lists_are_narrowed(store: Store, clock: Clock) -> None:
    """By MFA, by lock, by bar; a lock that is over counts no more."""
    met(store, "carol")
    phone = enroll(store, clock, "alice")
    enroll(store, clock, "bob")
    store.accounts.bar("bob", ROOT)
    for code in phone.wrong(5):
        try_code(store, code, "alice")
    assert names(store, adopted=True) == ["alice", "bob"]
    assert names(store, adopted=False) == ["carol"]
    assert names(store, barred=True) == ["bob"]
    assert names(store, locked=True) == ["alice"]
    assert names(store, locked=True, barred=True) == []
    clock.move(15 * 60)
    assert names(store, locked=True) == []


def test_adoption_is_counted(store: Store, clock: Clock) -> None:
    """The store's own row is not among the accounts."""
    met(store, "carol")
    enroll(store, clock, "alice")
    store.accounts.bar("alice", ROOT)
    assert store.accounts.adoption() == Adoption(2, 1, 1)
