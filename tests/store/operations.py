"""Every operation that writes, in one order, each the same whenever and wherever it is done.

Time and randomness of each are its own, so that a store on which all were done in one go tells
what one must hold on which each was broken off and done again.
"""

import base64
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

from bed import ROOT, Bed, HandClock, Rows, contents, counted_bytes, findings, rows_of
from model import DAY, MINUTE, STEP, totp

from store.clock import from_milliseconds
from store.decisions import Attempt, Protocol
from store.errors import EnrollmentError, StoreError
from store.opening import Store, open_store
from store.secret import Secret
from store.sessions import Stage
from store.settings import Settings
from store.unit_of_work import UnitOfWork

BEGINNING = 1_800_000_000_000
ALICE = Attempt("alice", Protocol.SSH, "192.0.2.7")
WEB = Attempt("alice", Protocol.WEB, "192.0.2.7")
BOB = Attempt("bob", Protocol.SSH, "2001:db8::7")
SECTIONS: dict[str, Any] = {"grace": {"seconds": 60}, "lockout": {"failures": 3}}

BEGUN, DONE, REFUSED = b"begun", b"done", b"refused"

Made = dict[str, Any]
"""What earlier operations gave, such as a factor's secret."""


@dataclass(frozen=True)
class Operation:
    """One of them."""

    name: str
    work: Callable[[Store, Made, int], Any]
    after: int = 2 * STEP
    """How long after the one before it is done."""
    transactions: int = 1
    """In how many parts it is done, each of them wholly or not."""


@dataclass(frozen=True)
class Course:
    """What the store holds while an operation is done and nobody is killed."""

    before: Rows
    """With the numbers that the database chose."""
    states: list[Rows]
    """Before, and after each commit; the last one is the end. Without those numbers."""


def begin(store: Store, _made: Made, _now: int) -> tuple[str, bytes]:
    """Start an enrollment."""
    enrollment = store.totp_factors.begin("alice", "phone", ROOT)
    return enrollment.factor.id, base64.b32decode(enrollment.secret.text())


def complete(store: Store, made: Made, now: int) -> list[Secret]:
    """Complete it."""
    factor, secret = made["begin"]
    done = store.totp_factors.complete("alice", factor, totp(secret, now // STEP), ROOT)
    return list(done.recovery_codes)


def wrong_completion(store: Store, made: Made, _now: int) -> None:
    """Give a wrong code for it."""
    with suppress(EnrollmentError):
        store.totp_factors.complete("alice", made["begin"][0], "none", ROOT)


def begin_second(store: Store, made: Made, now: int) -> tuple[str, bytes]:
    """Start a second enrollment."""
    return begin(store, made, now)


def complete_second(store: Store, made: Made, now: int) -> None:
    """Complete it: now a delete leaves one."""
    complete(store, {"begin": made["begin_second"]}, now)


def right_code(store: Store, made: Made, now: int) -> None:
    """Use a code up."""
    store.authentication.check_code(ALICE, Secret.of(totp(made["begin"][1], now // STEP)))


def wrong_code(store: Store, _made: Made, _now: int) -> None:
    """Count a wrong code; the third locks."""
    store.authentication.check_code(ALICE, Secret.of("AAAA-AAAA-AAAA-AAAA"))


def recovery_code(store: Store, made: Made, _now: int) -> None:
    """Use a recovery code up."""
    store.authentication.check_code(ALICE, made["complete"][0])


def issue(store: Store, _made: Made, _now: int) -> tuple[Secret, str]:
    """Make a token."""
    secret, token = store.access_tokens.issue("alice", "job", ROOT)
    return secret, token.id


def session(store: Store, _made: Made, _now: int) -> Any:
    """Begin a session."""
    return store.sessions.begin(WEB, Stage.CODE, "Firefox")


def one_string(store: Store, _made: Made, _now: int) -> None:
    """Count a guess at the gate of its own."""
    store.authentication.matches_code_before_password(ALICE, "000000")


def prune(store: Store, _made: Made, now: int) -> None:
    """Delete events: first this goes on record, then each account's go."""
    store.audit_log.prune(from_milliseconds(now - 10 * STEP), ROOT)


def _account(name: str) -> Callable[[Store, Made, int], Any]:
    return lambda store, _made, _now: getattr(store.accounts, name)("alice", ROOT)


OPERATIONS = [
    Operation("meet", lambda store, _made, _now: store.authentication.refuse_password(ALICE)),
    Operation("meet another", lambda store, *_: store.authentication.accept_password(BOB)),
    Operation("begin", begin),
    Operation("wrong completion", wrong_completion),
    Operation("complete", complete),
    Operation("begin_second", begin_second),
    Operation("complete_second", complete_second),
    Operation("key added", lambda store, *_: store.key_rotation.note_added("new", ROOT)),
    Operation("reseal", lambda store, _made, _now: store.key_rotation.reseal_batch()),
    Operation("key retired", lambda store, *_: store.key_rotation.note_retired("old", ROOT)),
    Operation("code", right_code),
    Operation("code again", right_code, 0),
    Operation("grace", lambda store, *_: store.authentication.accept_password(ALICE), 0),
    Operation("one string", one_string),
    Operation("one string, second", one_string),
    Operation("one string, third: closes", one_string),
    Operation("recovery code", recovery_code),
    Operation("recovery code again", recovery_code),
    Operation("session", session),
    Operation("form", lambda store, *_: store.forms.use("token")),
    Operation("find", lambda store, made, _: store.sessions.find(made["session"][0]), MINUTE),
    Operation("rise", lambda store, made, _: store.sessions.rise(made["session"][1], ROOT)),
    Operation("wrong", wrong_code),
    Operation("wrong, second", wrong_code),
    Operation("wrong, third: locks, ends the session", wrong_code),
    Operation("unlock", _account("unlock")),
    Operation("other session", lambda store, made, _: session(store, made, _)[1].id),
    Operation(
        "end", lambda store, made, _: store.sessions.end("alice", made["other session"], ROOT)
    ),
    Operation("third session", session),
    Operation("end others", lambda store, _made, _now: store.sessions.end_others("alice", ROOT)),
    Operation("issue", issue),
    Operation(
        "use", lambda store, made, _: store.authentication.check_token(ALICE, made["issue"][0])
    ),
    Operation(
        "request",
        lambda store, made, _: store.authentication.check_request(
            made["issue"][0], Protocol.API, "192.0.2.7"
        ),
    ),
    Operation(
        "revoke", lambda store, made, _: store.access_tokens.revoke("alice", made["issue"][1], ROOT)
    ),
    Operation("other token", issue),
    Operation("revoke all", lambda store, *_: store.access_tokens.revoke_all("alice", ROOT)),
    Operation("bar", _account("bar")),
    Operation("refused", lambda store, *_: store.authentication.check_account(ALICE)),
    Operation("unbar", _account("unbar")),
    Operation("guess", lambda store, *_: store.password_throttle.enter("alice", "192.0.2.7")),
    Operation("right", lambda store, *_: store.password_throttle.succeed("alice", "192.0.2.7")),
    Operation("password", _account("note_password_changed")),
    Operation("renew", lambda store, *_: store.recovery_codes.renew("alice", ROOT)),
    Operation("delete codes", lambda store, *_: store.recovery_codes.delete("alice", ROOT)),
    Operation("renew again", lambda store, *_: store.recovery_codes.renew("alice", ROOT)),
    Operation("settle", lambda store, *_: store.restoration.settle(ROOT), transactions=3),
    Operation("prune", prune, transactions=3),
    Operation(
        "delete", lambda store, made, _: store.totp_factors.delete("alice", made["begin"][0], ROOT)
    ),
    Operation("begin third", begin),
    Operation("third one's session", session),
    Operation("guess of another", lambda store, *_: store.password_throttle.enter("bob", "::1")),
    Operation("housekeeping", lambda store, *_: store.housekeeping.run(), 2 * DAY),
    Operation("delete all", lambda store, *_: store.totp_factors.delete_all("alice", ROOT)),
    Operation("last token", issue),
    Operation("forget", _account("forget")),
]


def writer(settings: Settings, index: int, made: Made, told: Connection) -> None:
    """Do one operation in a process of its own, and tell when it has begun and what came of it."""
    store = open_for(settings, index)
    store.check()
    told.send_bytes(BEGUN)
    try:
        do(store, index, made)
    except StoreError:
        told.send_bytes(REFUSED)
    else:
        told.send_bytes(DONE)
    signal.pause()


def time_of(index: int) -> int:
    """Give the time at which an operation is done."""
    return BEGINNING + sum(operation.after for operation in OPERATIONS[: index + 1])


def open_for(settings: Settings, index: int) -> Store:
    """Open the store as the operation finds the world."""
    return open_store(settings, HandClock(time_of(index)), counted_bytes(index))


def do(store: Store, index: int, made: Made) -> Any:
    """Do one operation."""
    return OPERATIONS[index].work(store, made, time_of(index))


def do_all(bed: Bed) -> tuple[Made, list[Course]]:
    """Do all in one go; give what they gave, and what the store held meanwhile."""
    made: Made = {}
    courses: list[Course] = []
    for index, operation in enumerate(OPERATIONS):
        store = open_for(bed.settings, index)
        before = rows_of(store)
        with _noting_commits(store) as states:
            made[operation.name] = do(store, index, made)
        assert len(states) == operation.transactions + 1, operation.name
        assert states[-1] == contents(store), operation.name
        assert findings(store) == [], operation.name
        courses.append(Course(before, states))
        store.close()
    return made, courses


@contextmanager
def _noting_commits(store: Store) -> Iterator[list[Rows]]:
    """Give what the store holds before and after each commit that changes something."""
    states = [contents(store)]
    begin = store.units.begin

    @contextmanager
    def begin_and_note() -> Iterator[UnitOfWork]:
        with begin() as work:
            yield work
        if (now := contents(store)) != states[-1]:
            states.append(now)

    with patch.object(store.units, "begin", begin_and_note):
        yield states
