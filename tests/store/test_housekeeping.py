"""What has expired goes by itself; what may still count stays, whoever cleans and when."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, contents, findings, make_bed
from model import DAY, HOUR, MINUTE, STEP, totp

from store.decisions import Attempt, Granted, Protocol, Reason
from store.opening import Store
from store.secret import Secret
from store.sessions import Stage

BEGINNING = 1_800_000_000_000
ALICE = Attempt("alice", Protocol.SSH, "192.0.2.7")
WEB = Attempt("alice", Protocol.WEB, "192.0.2.7")


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database, whose locks may last a week."""
    week = {"failures": 2, "minutes": 1440, "max_hours": 168}
    made = make_bed(
        request,
        tmp_path,
        grace={"seconds": 3600},
        lockout=week,
        password_throttle={"account": week, "address": week},
    )
    yield made
    made.close()


@pytest.fixture
def clock() -> HandClock:
    """Make a clock."""
    return HandClock(BEGINNING)


@pytest.fixture
def store(bed: Bed, clock: HandClock) -> Store:
    """Open the store."""
    return bed.open(clock)


def leave_everything(store: Store, clock: HandClock) -> None:
    """Leave one of everything that expires."""
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    code = totp(base64.b32decode(enrollment.secret.text()), clock.now // STEP)
    store.totp_factors.complete("alice", enrollment.factor.id, code, ROOT)
    clock.now += STEP
    code = totp(base64.b32decode(enrollment.secret.text()), clock.now // STEP)
    assert isinstance(store.authentication.check_code(ALICE, Secret.of(code)), Granted)
    store.totp_factors.begin("alice", "spare", ROOT)
    store.sessions.begin(WEB, Stage.FULL, "Firefox")
    store.authentication.matches_code_before_password(ALICE, "000000")
    store.password_throttle.enter("alice", "192.0.2.7")


PERISHABLE = ("graces", "sessions", "throttles")


def test_what_has_expired_goes(store: Store, clock: HandClock) -> None:
    """Sessions, pending enrollments, graces and old guesses are deleted; factors are not."""
    leave_everything(store, clock)
    before = contents(store)
    assert all(before[table] for table in PERISHABLE)
    assert store.housekeeping.run() == 0
    assert contents(store) == before
    clock.now += 8 * DAY
    assert store.housekeeping.run() == 6
    after = contents(store)
    assert [after[table] for table in PERISHABLE] == [[], [], []]
    assert [factor.name for factor in store.totp_factors.list("alice")] == ["phone"]
    unchanged = set(before) - {*PERISHABLE, "totp_factors"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert findings(store) == []


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (15 * MINUTE, {"totp_factors": 2, "sessions": 1, "graces": 1, "throttles": 3}),
        (15 * MINUTE + 1, {"totp_factors": 1, "sessions": 1, "graces": 1, "throttles": 3}),
        (30 * MINUTE + 1, {"totp_factors": 1, "sessions": 0, "graces": 1, "throttles": 3}),
        (HOUR + 1, {"totp_factors": 1, "sessions": 0, "graces": 0, "throttles": 3}),
        (7 * DAY, {"totp_factors": 1, "sessions": 0, "graces": 0, "throttles": 3}),
        (7 * DAY + 1, {"totp_factors": 1, "sessions": 0, "graces": 0, "throttles": 0}),
    ],
)
def test_nothing_goes_before_its_time(
    store: Store, clock: HandClock, after: int, left: dict[str, int]
) -> None:
    """Each kind has its own time, to the millisecond."""
    leave_everything(store, clock)
    clock.now += after
    store.housekeeping.run()
    held = contents(store)
    assert {table: len(held[table]) for table in left} == left


@pytest.mark.parametrize("cleaned", [False, True], ids=["not cleaned", "cleaned"])
@pytest.mark.parametrize("late", [0, 1], ids=["before it ends", "after it ends"])
def test_lock_of_several_days_lasts_as_long(
    store: Store, clock: HandClock, late: int, *, cleaned: bool
) -> None:
    """A gate that is closed for longer than guesses are remembered stays closed."""
    for _ in range(2):  # the second lock is twice as long: two days
        for _ in range(2):
            store.password_throttle.enter("alice", "192.0.2.7")
        store.authentication.refuse_password(ALICE)
        for number in range(2):
            store.authentication.matches_code_before_password(ALICE, f"{number:06d}")
        clock.now += DAY
    clock.now += DAY - 1 + late
    if cleaned:
        store.housekeeping.run()
    wait = store.password_throttle.enter("alice", "192.0.2.7")
    assert wait == (0 if late else 1)


def test_clock_set_back_spoils_nothing(store: Store, clock: HandClock) -> None:
    """Who cleans by a clock that is behind deletes nothing that lives."""
    leave_everything(store, clock)
    before = contents(store)
    clock.now -= 2 * HOUR
    assert store.housekeeping.run() == 0
    assert contents(store) == before


def test_several_may_clean_at_once_while_others_log_in(bed: Bed, clock: HandClock) -> None:
    """Each service cleans by itself: twice at once does no harm, and stops nobody."""
    store = bed.open(clock)
    for number in range(60):
        attempt = Attempt(f"user{number}", Protocol.WEB, "192.0.2.7")
        store.sessions.begin(attempt, Stage.FULL, "Firefox")
        store.password_throttle.enter(f"user{number}", f"192.0.2.{number}")
    clock.now += 8 * DAY
    deleted: list[int] = []
    granted: list[object] = []

    def clean() -> None:
        deleted.append(bed.open(clock).housekeeping.run())

    def log_in(number: int) -> None:
        attempt = Attempt(f"user{number}", Protocol.SSH, "192.0.2.7")
        granted.append(bed.open(clock).authentication.accept_password(attempt))

    threads = [threading.Thread(target=clean) for _ in range(4)]
    threads += [threading.Thread(target=log_in, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(deleted) == 60 + 120
    assert granted == [Granted(Reason.MFA_NOT_ADOPTED)] * 4
    assert findings(store) == []
