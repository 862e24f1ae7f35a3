"""Requests that carry a token: decided each time, written down once a minute."""

import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, findings, make_bed

from store.access_tokens import Scope
from store.audit import Event
from store.audit_log import Filter
from store.authentication import TokenUse
from store.base62 import base62
from store.clock import from_milliseconds
from store.decisions import Denied, Protocol, Reason
from store.opening import Store
from store.secret import Secret

HOME, AWAY = "192.0.2.7", "198.51.100.9"


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database."""
    made = make_bed(request, tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock() -> HandClock:
    """Make a clock."""
    return HandClock(1_800_000_000_000)


@pytest.fixture
def store(bed: Bed, clock: HandClock) -> Store:
    """Open the store."""
    return bed.open(clock)


def ask(store: Store, token: Secret, address: str = HOME, account: str | None = None) -> object:
    """Ask with a token, and give the account or the reason against it."""
    found = store.authentication.check_request(token, Protocol.API, address, account)
    if isinstance(found, TokenUse):
        return found.account
    return found.reason if isinstance(found, Denied) else found


def logins(store: Store, account: str = "alice") -> int:
    """Count the logins in the audit."""
    wanted = (Event.LOGIN_GRANTED, Event.LOGIN_DENIED)
    page = store.audit_log.page(Filter(account=account), 1000)
    return sum(event.event in wanted for event in page.events)


def issue(store: Store, *scopes: Scope, **more: object) -> Secret:
    """Make a token of alice's."""
    scopes = scopes or (Scope.API,)
    return store.access_tokens.issue("alice", "job", ROOT, scopes=scopes, **more)[0]  # type: ignore[arg-type]


def test_many_requests_are_one_login_a_minute(store: Store, clock: HandClock) -> None:
    """The audit has one login a minute of a token in use, and one for each other address."""
    token = issue(store)
    for _ in range(5):
        assert ask(store, token) == "alice"
    assert logins(store) == 1
    assert ask(store, token, AWAY) == "alice"
    assert logins(store) == 2
    clock.now += 60_000
    assert ask(store, token, AWAY) == "alice"
    assert logins(store) == 3
    assert store.access_tokens.list("alice")[0].last_used_address == AWAY
    assert findings(store) == []


def test_what_ends_a_token_ends_its_requests_at_once(store: Store, clock: HandClock) -> None:
    """Revoked, expired, barred, out of scope or elsewhere: refused though its use was noted."""
    soon = from_milliseconds(clock()) + timedelta(seconds=30)
    revoked, expired = issue(store), issue(store, expires_at=soon)
    local = issue(store, networks=(f"{HOME}/32",))
    for token in (revoked, expired, local):
        assert ask(store, token) == "alice"
    for kept in store.access_tokens.list("alice"):
        if not kept.networks and kept.expires_at is None:
            store.access_tokens.revoke("alice", kept.id, ROOT)
    clock.now += 30_000
    assert ask(store, revoked) is Reason.TOKEN_REVOKED
    assert ask(store, expired) is Reason.TOKEN_EXPIRED
    assert ask(store, local, AWAY) is Reason.TOKEN_FROM_OTHER_NETWORK
    assert ask(store, issue(store, Scope.SFTP)) is Reason.TOKEN_OUT_OF_SCOPE
    store.accounts.bar("alice", ROOT)
    assert ask(store, local) is Reason.ACCOUNT_BARRED
    assert logins(store) == 3 + 5


def test_a_guess_leaves_no_trace_on_the_account(store: Store) -> None:
    """Who knows a token's id only writes nothing into its owner's audit; a name given is tried."""
    token = issue(store)
    text = token.text()[:13] + issue(store).text()[13:56]
    guess = Secret.of(text + base62(zlib.crc32(text.encode()), 6))
    unsigned = Secret.of(token.text()[:-1] + ("a" if token.text()[-1] != "a" else "b"))
    assert ask(store, unsigned) is None
    assert ask(store, Secret.of("a password")) is None
    assert ask(store, guess) is Reason.TOKEN_UNKNOWN
    assert logins(store) == 0
    assert ask(store, token, account="bob") is Reason.TOKEN_UNKNOWN
    assert (logins(store), logins(store, "bob")) == (0, 0)
    assert ask(store, token, account="alice") == "alice"
