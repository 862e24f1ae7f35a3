"""Another key for the secrets at rest, while logins go on."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.audit import SYSTEM, broken_chains, events
from harness.stores import ROOT, Clock, Phone, attempt, enroll, opened, try_code, with_changes

from store.decisions import Granted
from store.errors import KeyFileError
from store.opening import Store
from store.sealing import read_keys, replace_key_file
from store.settings import Settings

NEW = base64.b64decode("bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyA=")


@pytest.fixture
def keyed(settings: Settings, tmp_path: Path) -> Settings:
    """Give the store a key file that the test may change."""
    path = tmp_path / "rotated.keys"
    replace_key_file(path, read_keys(Path(settings.store.key_file)), 0)
    return with_changes(settings, store={"key_file": str(path)})


@contextmanager
def rotating(settings: Settings, clock: Clock) -> Iterator[tuple[Store, Phone, str, Path]]:
    """Open the store with a new key in front of the old one; give the old one's id too."""
    path = Path(settings.store.key_file)
    with opened(settings, clock) as store:
        phone = enroll(store, clock)
        old = read_keys(path)
        replace_key_file(path, {"new": NEW, **old}, 0)
        yield store, phone, next(iter(old)), path


def reseal_all(store: Store) -> int:
    """Seal everything anew."""
    count = 0
    while more := store.key_rotation.reseal_batch():
        count += more
    return count


def test_logins_go_on_through_a_whole_rotation(keyed: Settings, clock: Clock) -> None:
    """In the program that was running before it, without a restart, at each of its steps."""
    with rotating(keyed, clock) as (store, phone, old, path), opened(keyed, clock) as rotator:
        enroll(store, clock, "bob")
        token, _ = store.access_tokens.issue("bob", "job", ROOT)
        assert isinstance(try_code(store, phone.code()), Granted)
        assert rotator.key_rotation.uses(old) == 4  # alice's factor and the store's three keys
        assert reseal_all(rotator) == 4
        clock.move(steps=2)
        assert isinstance(try_code(store, phone.code()), Granted)
        assert rotator.key_rotation.uses(old) == 0
        replace_key_file(path, {"new": NEW}, 0)
        clock.move(steps=2)
        assert isinstance(try_code(store, phone.code()), Granted)
        with opened(keyed, clock) as restarted:
            clock.move(steps=2)
            assert isinstance(try_code(restarted, phone.code()), Granted)
            # The rows' own proof is under a key that was sealed anew and stayed what it was.
            decision = restarted.authentication.check_token(attempt("bob"), token)
            assert isinstance(decision, Granted)
            assert list(restarted.audit_log.verify()) == []
        assert broken_chains(store, keyed) == []


def test_second_run_has_nothing_left_to_do(keyed: Settings, clock: Clock) -> None:
    """It may be repeated, and continued after a kill."""
    with rotating(keyed, clock) as (store, _, old, _), opened(keyed, clock) as rotator:
        assert store.units
        assert reseal_all(rotator) == 4
        assert reseal_all(rotator) == 0
        assert rotator.key_rotation.uses("new") == 4
        assert rotator.key_rotation.uses(old) == 0


def test_old_key_that_is_taken_away_too_early_is_missed_by_name(
    keyed: Settings, clock: Clock
) -> None:
    """What is sealed under it is refused, not lost: put back, it opens."""
    with rotating(keyed, clock) as (_, phone, old, path):
        keys = read_keys(path)
        replace_key_file(path, {"new": NEW}, 0)
        with opened(keyed, clock) as restarted:
            with pytest.raises(KeyFileError, match=f"no key '{old}'"):
                try_code(restarted, phone.code())
            replace_key_file(path, keys, 0)
            assert isinstance(try_code(restarted, phone.code()), Granted)


def test_rotation_is_on_record_in_the_systems_chain(keyed: Settings, clock: Clock) -> None:
    """Which key came and which went, and who did it."""
    with opened(keyed, clock) as store:
        store.key_rotation.note_added("new", ROOT)
        store.key_rotation.note_retired("old", ROOT)
        rows = [(row.event, row.subject, row.actor) for row in events(store, SYSTEM)]
        assert rows == [("key_added", "new", "root"), ("key_retired", "old", "root")]
        assert broken_chains(store, keyed) == []
