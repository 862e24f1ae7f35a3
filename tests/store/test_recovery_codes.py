"""Recovery codes: on paper for the day when the phone is lost, each good once."""

import re
from base64 import b32decode

import pytest
from harness.audit import told
from harness.stores import ROOT, Clock, OpenStore, Phone, enroll, seeded, try_code
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from store import recovery_codes
from store.decisions import Denied, Granted, Reason
from store.errors import RequestError
from store.opening import Store
from store.schema import accounts
from store.schema import recovery_codes as table

ACCEPTED, WRONG = Granted(Reason.RECOVERY_CODE_ACCEPTED), Denied(Reason.CODE_WRONG)


@pytest.fixture
def phone(store: Store, clock: Clock) -> Phone:
    """Let alice adopt MFA."""
    return enroll(store, clock)


@pytest.fixture
def paper(store: Store, phone: Phone) -> list[str]:
    """Give the codes on alice's paper."""
    assert phone.id
    return [code.text() for code in store.recovery_codes.renew("alice", ROOT)]


def test_ten_are_made_with_the_first_authenticator_only(store: Store, clock: Clock) -> None:
    """They are shown when MFA is adopted; a spare phone does not make the paper worthless."""
    made = []
    for name in ("phone", "spare"):
        begun = store.totp_factors.begin("alice", name, ROOT)
        phone = Phone(begun.factor.id, begun.secret.text(), clock)
        done = store.totp_factors.complete("alice", phone.id, phone.code(), ROOT)
        made.append(len(done.recovery_codes))
    assert made == [10, 0]
    assert store.recovery_codes.left("alice") == 10


def test_code_is_easy_to_write_and_has_80_bits(paper: list[str]) -> None:
    """Four groups of four letters and digits, none of which look alike."""
    assert all(re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in paper)
    assert len(set(paper)) == 10


def test_code_has_all_of_its_random_bits(open_store: OpenStore, clock: Clock) -> None:
    """Each of the 80 that were drawn stands in it, and can be read back."""
    chance, drawn = seeded(3), []

    def give(length: int) -> bytes:
        drawn.append(chance(length))
        return drawn[-1]

    store = open_store(randomness=give)
    enroll(store, clock)
    paper = [code.text() for code in store.recovery_codes.renew("alice", ROOT)]
    assert [b32decode(code.replace("-", "").upper()) for code in paper] == drawn[-10:]
    assert {len(bits) for bits in drawn[-10:]} == {10}


def test_each_lets_in_once(store: Store, paper: list[str]) -> None:
    """All ten, and none of them twice."""
    assert [try_code(store, code) for code in paper] == [ACCEPTED] * 10
    assert store.recovery_codes.left("alice") == 0
    assert try_code(store, paper[0]) == WRONG


@pytest.mark.parametrize(
    "typed",
    [
        str.upper,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code}\n",
        "-".join,
    ],
    ids=range(5),
)
def test_it_may_be_typed_as_people_type(store: Store, paper: list[str], typed: object) -> None:
    """Large or small, with or without its hyphens."""
    assert callable(typed)
    assert try_code(store, typed(paper[0])) == ACCEPTED


def test_wrong_one_is_counted_with_wrong_codes(
    store: Store, phone: Phone, paper: list[str]
) -> None:
    """Whoever guesses has five tries in all."""
    assert try_code(store, "aaaa-aaaa-aaaa-aaaa") == WRONG
    for code in phone.wrong(4):
        assert try_code(store, code) == WRONG
    assert try_code(store, paper[0]) == Denied(Reason.CODES_LOCKED)
    store.accounts.unlock("alice", ROOT)
    assert try_code(store, paper[0]) == ACCEPTED


def test_right_one_forgets_wrong_codes(store: Store, phone: Phone, paper: list[str]) -> None:
    """Like a right code of the phone."""
    for code in phone.wrong(4):
        try_code(store, code)
    assert try_code(store, paper[0]) == ACCEPTED
    assert store.accounts.show("alice").wrong_codes == 0


def test_new_paper_makes_the_old_one_worthless(store: Store, paper: list[str]) -> None:
    """A paper that was seen by others can be replaced."""
    new = store.recovery_codes.renew("alice", ROOT)
    assert try_code(store, paper[0]) == WRONG
    assert try_code(store, new[0].text()) == ACCEPTED
    assert store.recovery_codes.left("alice") == 9


def test_code_of_another_account_is_wrong(store: Store, clock: Clock, paper: list[str]) -> None:
    """Nor is it used up by that."""
    enroll(store, clock, "bob")
    assert try_code(store, paper[0], "bob") == WRONG
    assert try_code(store, paper[0]) == ACCEPTED
    assert [store.recovery_codes.left(name) for name in ("alice", "bob")] == [9, 10]


def test_none_are_made_before_mfa_is_adopted(store: Store, clock: Clock) -> None:
    """They would be a way around it."""
    store.totp_factors.begin("alice", "phone", ROOT)
    for account in ("alice", "bob"):
        with pytest.raises(RequestError, match=r"^recovery codes need an active authenticator"):
            store.recovery_codes.renew(account, ROOT)
        assert store.recovery_codes.left(account) == 0
    enroll(store, clock)
    assert len(store.recovery_codes.renew("alice", ROOT)) == 10


def test_they_go_with_the_last_authenticator(
    store: Store, clock: Clock, phone: Phone, paper: list[str]
) -> None:
    """What is left of MFA must not let in once it was given up, nor when it is adopted again."""
    spare = enroll(store, clock, name="spare")
    store.totp_factors.delete("alice", phone.id, ROOT)
    assert store.recovery_codes.left("alice") == 10
    store.totp_factors.delete("alice", spare.id, ROOT)
    assert store.recovery_codes.left("alice") == 0
    assert try_code(store, paper[0]) == Denied(Reason.NO_FACTOR)
    enroll(store, clock)
    assert try_code(store, paper[0]) == WRONG


def test_they_can_be_deleted(store: Store, paper: list[str]) -> None:
    """The second time there is nothing to delete, and nothing is recorded."""
    for _ in range(2):
        store.recovery_codes.delete("alice", ROOT)
    assert try_code(store, paper[0]) == WRONG
    assert told(store).count("recovery_codes_deleted") == 1


def test_database_does_not_tell_them(open_store: OpenStore, clock: Clock) -> None:
    """It holds digests under a key: with 80 bits of chance nobody tries them out."""
    store = open_store()
    enroll(store, clock)
    codes = [code.text() for code in store.recovery_codes.renew("alice", ROOT)]
    with store.units.database.read() as connection:
        rows = connection.execute(select(table)).all()
    assert len(rows) == 10
    stored = repr(rows).lower()
    assert not [code for code in codes if code in stored or code.replace("-", "") in stored]


def test_code_that_is_given_to_another_account_is_worth_nothing(
    store: Store, clock: Clock, paper: list[str]
) -> None:
    """Who can write in the database cannot get into an account with a paper of his own."""
    enroll(store, clock, "bob")
    with store.units.database.write() as connection:
        rows = connection.execute(select(accounts.c.name, accounts.c.id)).all()
        number = {row.name: row.id for row in rows}
        connection.execute(delete(table).where(table.c.account_id == number["bob"]))
        moved = update(table).where(table.c.account_id == number["alice"])
        connection.execute(moved.values(account_id=number["bob"]))
    assert store.recovery_codes.left("bob") == 10
    assert try_code(store, paper[0], "bob") == WRONG


@given(st.text())
def test_parse_takes_any_text(text: str) -> None:
    """Whatever is typed is sixteen letters and digits, or no recovery code."""
    code = recovery_codes.parse(text)
    assert code is None or re.fullmatch("[A-Z2-7]{16}", code)


@pytest.mark.parametrize(
    "text", ["", "123456", "aaaa-aaaa-aaaa-aaa", "a" * 17, "0" * 16, "aaaa" * 4 + "!"]
)
def test_what_has_not_its_form_is_none(text: str) -> None:
    """A code of a phone is never taken for one."""
    assert recovery_codes.parse(text) is None
