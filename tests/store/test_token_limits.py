"""How many tokens an account may have, how long they live, and what a guess leaves in the log."""

import logging
import re
import zlib
from datetime import timedelta

import pytest
from harness.audit import events
from harness.stores import ROOT, Clock, OpenStore, attempt

from store.access_tokens import PREFIX
from store.base62 import base62
from store.clock import from_milliseconds
from store.decisions import Denied, Granted, Protocol, Reason
from store.errors import LimitError, NotFoundError, RequestError
from store.opening import Store
from store.secret import Secret

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)


def test_as_many_live_tokens_as_configured(open_store: OpenStore, clock: Clock) -> None:
    """One more is refused with the number; what is revoked or expired makes room."""
    store = open_store(access_tokens={"max_per_account": 2})
    _, first = store.access_tokens.issue("alice", "a", ROOT)
    store.access_tokens.issue("alice", "b", ROOT, expires_at=from_milliseconds(clock()) + DAY)
    with pytest.raises(LimitError, match="alice has 2 access tokens, the most that are allowed"):
        store.access_tokens.issue("alice", "c", ROOT)
    store.access_tokens.issue("bob", "c", ROOT)
    store.access_tokens.revoke("alice", first.id, ROOT)
    store.access_tokens.issue("alice", "c", ROOT)
    with pytest.raises(LimitError):
        store.access_tokens.issue("alice", "d", ROOT)
    clock.move(hours=24)
    store.access_tokens.issue("alice", "d", ROOT)
    assert {token.name for token in store.access_tokens.list("alice")} == {"b", "c", "d"}


@pytest.mark.parametrize(
    ("default_days", "max_days", "days"),
    [(0, 0, None), (7, 0, 7), (0, 30, 30), (7, 30, 7), (60, 30, 30)],
)
def test_token_made_without_an_end(
    open_store: OpenStore, clock: Clock, default_days: int, max_days: int, days: int | None
) -> None:
    """It gets the configured life, at most the longest; without either it has no end."""
    store = open_store(access_tokens={"default_days": default_days, "max_days": max_days})
    secret, token = store.access_tokens.issue("alice", "job", ROOT)
    end = None if days is None else from_milliseconds(clock()) + days * DAY
    assert token.expires_at == end
    clock.move(hours=24 * (days or 36_500) - 1)
    use = store.authentication.check_token
    assert use(attempt(), secret) == Granted(Reason.TOKEN_ACCEPTED, token.id)
    clock.move(hours=1)
    expected = Granted(Reason.TOKEN_ACCEPTED, token.id)
    assert use(attempt(), secret) == (
        expected if days is None else Denied(Reason.TOKEN_EXPIRED, token.id)
    )


def test_life_that_is_asked_for_is_bounded_to_the_millisecond(
    open_store: OpenStore, clock: Clock
) -> None:
    """The longest life may be asked for and no more, the present moment not at all."""
    store = open_store(access_tokens={"max_days": 30})
    now = from_milliseconds(clock())
    for end in (now + MOMENT, now + 30 * DAY):
        _, token = store.access_tokens.issue("alice", "job", ROOT, expires_at=end)
        assert token.expires_at == end
    with pytest.raises(LimitError, match="a token lives 30 days at most"):
        store.access_tokens.issue("alice", "job", ROOT, expires_at=now + 30 * DAY + MOMENT)
    for end in (now, now - DAY):
        with pytest.raises(RequestError, match=r"^the token would have expired already$"):
            store.access_tokens.issue("alice", "job", ROOT, expires_at=end)
    with pytest.raises(RequestError, match=r"^a token needs at least one scope$"):
        store.access_tokens.issue("alice", "job", ROOT, scopes=())
    assert len(store.access_tokens.list("alice")) == 2


def test_token_of_another_account_is_not_revoked(store: Store) -> None:
    """Who may end his own tokens ends nobody else's."""
    _, token = store.access_tokens.issue("alice", "job", ROOT)
    store.access_tokens.issue("bob", "job", ROOT)
    with pytest.raises(NotFoundError):
        store.access_tokens.revoke("bob", token.id, ROOT)
    assert len(store.access_tokens.list("alice")) == 1


def test_all_tokens_of_an_account_are_revoked_at_once(store: Store) -> None:
    """And told how many; neither those of others nor those that were revoked before."""
    tokens = [store.access_tokens.issue("alice", f"job {n}", ROOT)[1] for n in range(3)]
    secret, _ = store.access_tokens.issue("bob", "job", ROOT)
    store.access_tokens.revoke("alice", tokens[0].id, ROOT)
    assert store.access_tokens.revoke_all("alice", ROOT) == 2
    assert store.access_tokens.revoke_all("alice", ROOT) == 0
    assert store.access_tokens.revoke_all("nobody", ROOT) == 0
    assert store.access_tokens.list("alice") == []
    revoked = [row.factor_id for row in events(store, "alice") if row.event == "token_revoked"]
    assert sorted(revoked) == sorted(token.id for token in tokens)
    granted = store.authentication.check_token(attempt("bob"), secret)
    assert isinstance(granted, Granted)


def test_guess_at_the_api_is_one_line_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """What fail2ban bans by: address and reason, in the fixed form; no account is blamed."""
    body = PREFIX + "A" * 8 + "B" * 43
    guess = Secret.of(body + base62(zlib.crc32(body.encode()), 6))
    caplog.set_level(logging.INFO, "sftp_mfa.audit")
    decision = store.authentication.check_request(guess, Protocol.API, "192.0.2.7")
    assert decision == Denied(Reason.TOKEN_UNKNOWN)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        'event=login_denied account="" actor="" protocol=api address="192.0.2.7"'
        " reason=token_unknown factor=- subject=- sequence=-"
    )


def test_request_tells_which_token_let_it_in(store: Store) -> None:
    """What a session of the API is shown: the account and the token, without its secret."""
    secret, token = store.access_tokens.issue("alice", "job", ROOT, scopes=("api",))
    for _ in range(2):
        use = store.authentication.check_request(secret, Protocol.API, "192.0.2.7")
        assert use is not None
        assert not isinstance(use, Denied)
        assert (use.account, use.token.id, use.token.name) == ("alice", token.id, "job")
        assert re.search(secret.text()[13:56], repr(use)) is None
