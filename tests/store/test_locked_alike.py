"""While an account is locked, a right code and a wrong one cannot be told apart, by time either.

Times are not measured, since a busy machine would make that a matter of luck: every function of
the store that is called, every digest and every statement is recorded instead. What does the same
work takes the same time.
"""

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from bed import DATABASES, ROOT, Bed, HandClock, make_bed
from listening import listening
from model import MINUTE, STEP, totp

import store.opening
from store.decisions import Attempt, Denied, Protocol, Reason
from store.opening import Store
from store.secret import Secret

ALICE = Attempt("alice", Protocol.SSH, "192.0.2.7")
OURS = str(Path(store.opening.__file__).parent)
WARM = 10
"""Repeated so often, statements are compiled, and prepared in PostgreSQL."""
EXAMINES = {"match_step", "code_at", "generate_otp", "open", "use", "_steps_matched", "_count"}


@pytest.fixture(params=DATABASES)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Make a store on either database."""
    made = make_bed(request, tmp_path, grace={"seconds": 60})
    yield made
    made.close()


class Locked:
    """A locked account, and every kind of answer to give it."""

    def __init__(self, bed: Bed) -> None:
        """Adopt MFA, use one code and one recovery code up, and lock the account."""
        self.clock = HandClock(1_800_000_000_000)
        self.store = bed.open(self.clock)
        enrollment = self.store.totp_factors.begin("alice", "phone", ROOT)
        secret = base64.b32decode(enrollment.secret.text())
        codes = [totp(secret, self.clock.now // STEP + step) for step in range(-1, 2)]
        completion = self.store.totp_factors.complete("alice", enrollment.factor.id, codes[0], ROOT)
        recovery = [code.text() for code in completion.recovery_codes]
        self.give(codes[1])
        self.give(recovery[0])
        for number in range(5):
            self.give(f"AAAA-AAAA-AAAA-AAA{'ABCDE'[number]}")
        self.answers = {
            "right": codes[2],
            "used": codes[1],
            "wrong": f"{(int(codes[2]) + 1) % 1_000_000:06d}",
            "the wrong one that locked": "AAAA-AAAA-AAAA-AAAE",
            "recovery code": recovery[1],
            "used recovery code": recovery[0],
            "recovery code of nobody": "AAAA-AAAA-AAAA-AAAZ",
            "none": "let me in",
            "empty": "",
        }

    def give(self, code: str) -> object:
        """Give an answer after a right password."""
        return self.store.authentication.check_code(ALICE, Secret.of(code))

    def give_in_one(self, digits: str) -> object:
        """Give digits behind a password that nobody has checked yet."""
        return self.store.authentication.matches_code_before_password(ALICE, digits)


@contextmanager
def recorded(store: Store) -> Iterator[list[str]]:
    """Record the functions of the store, the digests and the statements of the block."""
    work: list[str] = []

    def called(frame: FrameType, kind: str, argument: Any) -> None:
        if kind == "call" and frame.f_code.co_filename.startswith(OURS):
            work.append(frame.f_code.co_name)
        elif kind == "c_call" and argument.__name__ in {"hmac_digest", "new", "compare_digest"}:
            work.append(argument.__name__)

    def executed(_cursor: Any, statement: str, _values: Any) -> None:
        work.append(statement)

    with listening(store, executed):
        sys.setprofile(called)
        try:
            yield work
        finally:
            sys.setprofile(None)


def test_every_answer_gets_the_same_one_by_the_same_work(bed: Bed) -> None:
    """The decision is equal in every field, and so is each step on the way to it."""
    locked = Locked(bed)
    for _ in range(WARM):
        locked.give("let me in")
    works = {}
    for kind, answer in locked.answers.items():
        with recorded(locked.store) as work:
            decision = locked.give(answer)
        assert decision == Denied(Reason.CODES_LOCKED), kind
        works[kind] = work
    assert {kind: work for kind, work in works.items() if work != works["right"]} == {}
    assert len(works["right"]) > 20
    assert EXAMINES.isdisjoint(works["right"])


def test_every_code_in_one_string_gets_the_same_answer_by_the_same_work(bed: Bed) -> None:
    """Nor does the way with one prompt tell which code is right."""
    locked = Locked(bed)
    for _ in range(WARM):
        locked.give_in_one("000000")
    works = {}
    for kind in ("right", "used", "wrong"):
        with recorded(locked.store) as work:
            assert locked.give_in_one(locked.answers[kind]) is False
        works[kind] = work
    assert works["right"] == works["used"] == works["wrong"]
    assert EXAMINES.isdisjoint(works["right"])


def test_recorder_tells_right_from_wrong_where_they_may_differ(bed: Bed) -> None:
    """An account that is open does examine its codes, and that is seen."""
    locked = Locked(bed)
    locked.clock.now += 16 * MINUTE
    with recorded(locked.store) as work:
        assert locked.give(locked.answers["wrong"]) == Denied(Reason.CODE_WRONG)
    assert EXAMINES.intersection(work)
