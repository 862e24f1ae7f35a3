"""Edges that the model or the mutants found: each was wrong, or untested, once."""

import base64
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from bed import DATABASES, ROOT, Bed, HandClock, make_bed
from model import MINUTE, STEP, totp
from sqlalchemy.exc import OperationalError

from store import enforcement
from store.audit_log import Filter
from store.database import make_engine
from store.decisions import Attempt, ChallengeKind, ChallengeRequired, Granted, Protocol, Reason
from store.errors import NotFoundError, StoreUnavailableError
from store.opening import Store, open_store
from store.secret import Secret
from store.sessions import Stage
from store.settings import EnforcementSettings, SessionSettings, StoreSettings

BEGINNING = 1_800_000_000_000
ALICE = Attempt("alice", Protocol.SSH, "192.0.2.7")


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database, with grace."""
    made = make_bed(request, tmp_path, grace={"seconds": 60})
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


def enroll(store: Store, clock: HandClock, account: str = "alice") -> bytes:
    """Complete a factor with the code of the step before that of now, and give its secret."""
    enrollment = store.totp_factors.begin(account, "phone", ROOT)
    secret = base64.b32decode(enrollment.secret.text())
    code = totp(secret, clock() // STEP - 1)
    store.totp_factors.complete(account, enrollment.factor.id, code, ROOT)
    return secret


def give(store: Store, code: str) -> object:
    """Give a code and tell what was decided."""
    return store.authentication.check_code(ALICE, Secret.of(code)).reason


def test_grace_lets_in_and_is_renewed_by_each_code(store: Store, clock: HandClock) -> None:
    """Grace is counted from the last accepted code of that address, whether first or not."""
    secret = enroll(store, clock)
    for _ in range(2):
        assert give(store, totp(secret, clock() // STEP)) is Reason.CODE_ACCEPTED
        assert store.authentication.accept_password(ALICE) == Granted(Reason.GRACE)
        clock.now += 40_000
    assert store.authentication.accept_password(ALICE) == Granted(Reason.GRACE)
    clock.now += 20_000
    assert store.authentication.accept_password(ALICE) != Granted(Reason.GRACE)


def test_account_without_factor_is_told_so_for_every_kind_of_code(store: Store) -> None:
    """What looks like a recovery code is no guess where there is nothing to guess."""
    for number in range(6):
        assert give(store, f"AAAA-AAAA-AAAA-AAA{'ABCDEF'[number]}") is Reason.NO_FACTOR
        assert give(store, f"{number:06d}") is Reason.NO_FACTOR
    assert store.accounts.show("alice").wrong_codes == 0


def test_session_whose_time_is_over_does_not_rise(store: Store, clock: HandClock) -> None:
    """Who was slower with the code than code_minutes begins again with the password."""
    _, session = store.sessions.begin(ALICE, Stage.CODE, "Firefox")
    clock.now += 5 * MINUTE
    with pytest.raises(NotFoundError):
        store.sessions.rise(session, ROOT)


def test_each_account_is_on_the_systems_record_once(store: Store) -> None:
    """That an account was met stands in the system's chain, or it could vanish with its own."""
    for _ in range(2):
        for name in ("alice", "bob"):
            store.accounts.bar(name, ROOT)
    events = store.audit_log.page(Filter(account=""), 10).events
    assert [(event.event, event.subject) for event in events] == [
        ("account_created", "bob"),
        ("account_created", "alice"),
    ]


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://u:p@db1/d", "db1", None),
        ("postgresql://u:p@db1:5433/d", "db1", 5433),
        ("postgresql://u:p@[2001:db8::1]:5433/d", "2001:db8::1", 5433),
        ("postgresql://u:p@db1,db2/d", "db1,db2", None),
        ("postgresql://u:p@db1:1,db2:2,192.0.2.7:3/d?target_session_attrs=any", None, "1,2,3"),
        ("postgresql://u:p@db1,db2:5433/d", "db1,db2", ",5433"),
        ("postgresql://u:p@/d?host=db1:1&host=db2:2", "db1,db2", "1,2"),
    ],
)
def test_several_hosts_are_written_as_libpq_takes_them(
    url: str, hosts: str | None, ports: int | str | None
) -> None:
    """Each host may have a port of its own; libpq then tries them in order."""
    engine = make_engine(StoreSettings(url=url))
    _, options = engine.dialect.create_connect_args(engine.url)
    assert options["host"] == (hosts or "db1,db2,192.0.2.7")
    assert options.get("port") == ports
    assert (options["user"], options["password"], options["dbname"]) == ("u", "p", "d")
    assert options.get("target_session_attrs", "any") == "any"


@pytest.mark.parametrize(
    "url", ["", "postgresql", "postgresql://db1:x/d", "mysql://db1/d", "sqlite://", "sqlite:///x"]
)
def test_store_url_that_is_none_is_said_to_be_so(url: str) -> None:
    """A slip in store.url is an error with its name, never a traceback."""
    with pytest.raises(StoreUnavailableError, match=r"store\.url"):
        make_engine(StoreSettings(url=url))


@pytest.mark.parametrize("minutes", [1, 2, 30])
def test_session_in_use_is_not_idle(bed: Bed, clock: HandClock, minutes: int) -> None:
    """However short the idle time is, who goes on within it stays signed in, and then not."""
    settings = msgspec.structs.replace(bed.settings, sessions=SessionSettings(idle_minutes=minutes))
    store = open_store(settings, clock)
    secret, _ = store.sessions.begin(ALICE, Stage.FULL, "Firefox")
    for _ in range(12):
        clock.now += minutes * MINUTE * 9 // 10
        assert store.sessions.find(secret) is not None
        clock.now += minutes * MINUTE // 11  # not noted
        assert store.sessions.find(secret) is not None
    clock.now += minutes * MINUTE
    assert store.sessions.find(secret) is None
    store.close()


def test_upgrade_waits_for_the_server_but_a_login_does_not(postgres: str) -> None:
    """To move a large store's schema takes minutes; nobody waits so long to be let in."""
    settings = StoreSettings(url=postgres, wait_seconds=0.1)
    for in_no_hurry in (True, False):
        engine = make_engine(settings, in_no_hurry=in_no_hurry)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            if in_no_hurry:
                connection.exec_driver_sql("SELECT pg_sleep(1.5)")
                continue
            with pytest.raises(OperationalError, match="no answer in"):
                connection.exec_driver_sql("SELECT pg_sleep(30)")
        engine.dispose()


def test_slow_directory_holds_up_nobody_else(
    bed: Bed, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While groups are looked up, which a directory may take a while for, others can write."""
    settings = msgspec.structs.replace(
        bed.settings, enforcement=EnforcementSettings(groups=("staff",))
    )
    store = open_store(settings, clock)
    other = open_store(settings, clock)
    looked_up = []

    def groups_of(account: str) -> set[str]:
        looked_up.append(account)
        other.authentication.refuse_password(ALICE)
        return {"staff"}

    monkeypatch.setattr(enforcement, "groups_of", groups_of)
    required = ChallengeRequired(ChallengeKind.ENROLLMENT)
    assert store.authentication.accept_password(ALICE) == required
    assert looked_up == ["alice"]
    store.close()
    other.close()
