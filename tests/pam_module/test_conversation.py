"""What is asked and answered in a login: every row of the design's table, and what goes wrong.

The conversation is driven by hand, without relay or socket, over a real store on SQLite.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.audit import told
from harness.stores import (
    ROOT,
    Clock,
    Phone,
    attempt,
    enroll,
    make_sqlite,
    opened,
    secrets_kept_out_of,
    with_changes,
)

from pam_module.conversation import (
    Ask,
    Conversation,
    PassOn,
    Prompts,
    StackRefusedError,
    Tell,
    login,
    stranger,
)
from store.access_tokens import Scope
from store.clock import from_milliseconds
from store.decisions import Decision, Denied, Granted, Reason
from store.errors import StoreError
from store.opening import Store
from store.secret import Secret
from store.settings import EnforcementSettings, Settings

PASSWORD = b"correct horse"
PROMPTS = Prompts("Password: ", "Verification code: ", "Set it up.")
WRONG, MISSING = Denied(Reason.CODE_WRONG), Denied(Reason.CODE_MISSING)
PASSWORD_REFUSED = Denied(Reason.PASSWORD_REFUSED)
NO_MFA = Granted(Reason.MFA_NOT_ADOPTED)

Reply = Secret | None | StackRefusedError
Step = tuple[Ask | Tell | PassOn, Reply | Callable[[], Reply]]
"""What the conversation must want next, and what is sent back, or does that."""

REFUSED = StackRefusedError()
STACK_ASKS: Step = (PassOn(None), None)
STACK_ASKS_AND_REFUSES: Step = (PassOn(None), REFUSED)


@pytest.fixture
def clock() -> Clock:
    """Hold the time still."""
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, clock: Clock) -> Settings:
    """Make a store."""
    return make_sqlite(tmp_path, clock)


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Iterator[Store]:
    """Open the store."""
    with opened(settings, clock) as store:
        yield store


@pytest.fixture
def phone(store: Store, clock: Clock) -> Phone:
    """Let alice adopt MFA."""
    return enroll(store, clock)


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with secrets_kept_out_of(caplog, monkeypatch):
        yield


def password(answer: bytes | None) -> Step:
    """Be asked for the password, and answer."""
    return Ask(PROMPTS.password), None if answer is None else Secret(answer)


def code(answer: str | None) -> Step:
    """Be asked for the code, and answer."""
    return Ask(PROMPTS.code), None if answer is None else Secret.of(answer)


def stack_accepts(answer: bytes) -> Step:
    """Let the stack find this password right."""
    return PassOn(Secret(answer)), None


def stack_refuses(answer: bytes) -> Step:
    """Let the stack find this password wrong."""
    return PassOn(Secret(answer)), REFUSED


def meanwhile(step: Step, happens: Callable[[], object]) -> Step:
    """Let something happen before a step is answered."""
    wanted, reply = step

    def answer() -> Reply:
        happens()
        return reply() if callable(reply) else reply

    return wanted, answer


def begin(store: Store, account: str = "alice") -> Conversation:
    """Begin a login of an account that NSS knows."""
    return login(attempt(account), store.authentication, PROMPTS)


def talk(conversation: Conversation, *steps: Step) -> Decision:
    """Lead a whole conversation: it must want these steps, no other and no more."""
    left = list(steps)
    try:
        wanted = next(conversation)
        while left:
            expected, reply = left.pop(0)
            assert wanted == expected
            reply = reply() if callable(reply) else reply
            if isinstance(reply, StackRefusedError):
                wanted = conversation.throw(reply)
            else:
                wanted = conversation.send(reply)
    except StopIteration as end:
        assert left == []
        decision: Decision = end.value
        return decision
    pytest.fail(f"it goes on to want {wanted}")


def accepted(phone: Phone) -> Decision:
    """Expect a code to let in."""
    return Granted(Reason.CODE_ACCEPTED, phone.id)


def wrong_codes(store: Store) -> int:
    """Tell how many wrong codes are counted."""
    return store.accounts.show("alice").wrong_codes


# Password, then code


def test_right_password_and_right_code(store: Store, phone: Phone) -> None:
    """The password is asked for, the stack finds it right, the code is asked for: in."""
    decision = talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), code(phone.code()))
    assert decision == accepted(phone)


def test_wrong_code(store: Store, phone: Phone) -> None:
    """It is refused, and counted."""
    (typed,) = phone.wrong(1)
    decision = talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), code(typed))
    assert decision == WRONG
    assert wrong_codes(store) == 1


def test_replayed_code(store: Store, phone: Phone) -> None:
    """It is refused, and not counted."""
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(phone.code())
    assert talk(begin(store), *steps) == accepted(phone)
    assert talk(begin(store), *steps) == Denied(Reason.CODE_REPLAYED, phone.id)
    assert wrong_codes(store) == 0


def test_late_code(store: Store, phone: Phone, clock: Clock) -> None:
    """A code that got too old while its owner was looking for glasses is refused, and counted."""
    late = meanwhile(code(phone.code()), lambda: clock.move(steps=2))
    assert talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), late) == WRONG
    assert wrong_codes(store) == 1


def test_wrong_password(store: Store, phone: Phone) -> None:
    """It is refused by the stack; no code is asked for, none used up, nothing counted."""
    decision = talk(begin(store), password(b"wrong"), stack_refuses(b"wrong"))
    assert decision == PASSWORD_REFUSED
    assert wrong_codes(store) == 0
    test_right_password_and_right_code(store, phone)


def test_locked_account_is_asked_as_ever(store: Store, phone: Phone) -> None:
    """A guesser is not told that the account is locked, nor whether the code was right."""
    steps = password(PASSWORD), stack_accepts(PASSWORD)
    for typed in phone.wrong(5):
        assert talk(begin(store), *steps, code(typed)) == WRONG
    for typed in (phone.code(), *phone.wrong(1)):
        assert talk(begin(store), *steps, code(typed)) == Denied(Reason.CODES_LOCKED)


def test_barred_account_is_asked_as_ever(store: Store, phone: Phone) -> None:
    """The refusal comes at the end, with a right code too."""
    store.accounts.bar("alice", ROOT)
    decision = talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), code(phone.code()))
    assert decision == Denied(Reason.ACCOUNT_BARRED)


def test_recovery_code_instead_of_a_code(store: Store, phone: Phone) -> None:
    """Who has lost the phone types a code from the paper at the same prompt."""
    paper = store.recovery_codes.renew("alice", ROOT)[0].text()
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(paper)
    assert talk(begin(store), *steps) == Granted(Reason.RECOVERY_CODE_ACCEPTED)
    assert talk(begin(store), *steps) == WRONG
    assert wrong_codes(store) == 1
    assert phone.code()


def test_second_connection_within_the_grace(settings: Settings, clock: Clock) -> None:
    """Where grace is on, a client's second connection is asked for the password only."""
    with opened(with_changes(settings, grace={"seconds": 60}), clock) as store:
        phone = enroll(store, clock)
        steps = password(PASSWORD), stack_accepts(PASSWORD)
        assert talk(begin(store), *steps, code(phone.code())) == accepted(phone)
        clock.move(59.999)
        assert talk(begin(store), *steps) == Granted(Reason.GRACE)
        clock.move(0.001)
        assert talk(begin(store), *steps, code(phone.code())) == accepted(phone)


@pytest.mark.parametrize(
    "answer", [b"\xff\xfe", b" ", "p\u00e4ssw\u00f6rd".encode(), b"a\nb", b"x" * 1024]
)
def test_stack_is_given_the_password_as_it_was_typed(
    store: Store, phone: Phone, answer: bytes
) -> None:
    """Byte by byte, whatever it is."""
    steps = password(answer), stack_accepts(answer), code(phone.code())
    assert talk(begin(store), *steps) == accepted(phone)


@pytest.mark.parametrize("answer", [None, b""])
@pytest.mark.usefixtures("phone")
def test_empty_or_unusable_password(store: Store, answer: bytes | None) -> None:
    """It is refused without the stack, which might take an empty one for right."""
    assert talk(begin(store), password(answer)) == PASSWORD_REFUSED


# An access token


@pytest.mark.parametrize("adopted", [True, False])
def test_token(store: Store, clock: Clock, adopted: bool) -> None:  # noqa: FBT001
    """It lets in by itself: the stack is not asked, nor a code."""
    if adopted:
        enroll(store, clock)
    token, shown = store.access_tokens.issue("alice", "nightly", ROOT)
    decision = talk(begin(store), password(token.value))
    assert decision == Granted(Reason.TOKEN_ACCEPTED, shown.id)


def test_token_while_codes_are_locked(store: Store, phone: Phone) -> None:
    """Jobs go on while somebody guesses codes."""
    token, shown = store.access_tokens.issue("alice", "nightly", ROOT)
    for typed in phone.wrong(5):
        store.authentication.check_code(attempt(), Secret.of(typed))
    decision = talk(begin(store), password(token.value))
    assert decision == Granted(Reason.TOKEN_ACCEPTED, shown.id)


def bad_tokens(store: Store, clock: Clock) -> dict[Reason, Secret]:
    """Make a token for each reason that there is to refuse one."""
    issue = store.access_tokens.issue
    good, _ = issue("alice", "good", ROOT)
    soon = from_milliseconds(clock() + 1)
    tokens = {
        Reason.TOKEN_EXPIRED: issue("alice", "old", ROOT, expires_at=soon)[0],
        Reason.TOKEN_OUT_OF_SCOPE: issue("alice", "api", ROOT, scopes=(Scope.API,))[0],
        Reason.TOKEN_FROM_OTHER_NETWORK: issue("alice", "lan", ROOT, networks=("10.0.0.0/8",))[0],
        Reason.TOKEN_UNKNOWN: issue("bob", "his", ROOT)[0],
    }
    revoked, shown = issue("alice", "revoked", ROOT)
    store.access_tokens.revoke("alice", shown.id, ROOT)
    clock.move(1)
    assert talk(begin(store), password(good.value)).reason is Reason.TOKEN_ACCEPTED
    return {**tokens, Reason.TOKEN_REVOKED: revoked}


def test_token_that_is_no_good_is_refused_and_goes_no_further(
    store: Store, phone: Phone, clock: Clock
) -> None:
    """What has a token's form is no password: it is not passed on, nor is a code asked for."""
    for reason, token in bad_tokens(store, clock).items():
        assert talk(begin(store), password(token.value)).reason is reason
    assert phone.code()


def test_mistyped_token_is_taken_for_a_password(store: Store, phone: Phone) -> None:
    """It has not the checksum of a token."""
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
    typed = token.value[:-1] + (b"0" if token.value[-1:] != b"0" else b"1")
    assert talk(begin(store), password(typed), stack_refuses(typed)) == PASSWORD_REFUSED
    assert wrong_codes(store) == 0
    assert phone.code()


def test_account_with_tokens_and_without_mfa(store: Store) -> None:
    """It is asked for the password, and its password alone is enough, as it was before."""
    store.access_tokens.issue("alice", "nightly", ROOT)
    steps = password(PASSWORD), stack_accepts(PASSWORD)
    assert talk(begin(store), *steps) == NO_MFA
    steps = password(b"secret123456"), stack_accepts(b"secret123456")
    assert talk(begin(store), *steps) == NO_MFA


# One answer to every prompt: sshd's `password` method


def test_password_repeated_at_the_code_prompt(store: Store, phone: Phone) -> None:
    """The right password alone is refused, and is no guess at the code."""
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(PASSWORD.decode())
    for _ in range(10):
        assert talk(begin(store), *steps) == MISSING
    assert wrong_codes(store) == 0
    test_right_password_and_right_code(store, phone)


def test_password_of_six_digits_repeated_at_the_code_prompt(store: Store, phone: Phone) -> None:
    """Nor is one that looks like a code, even the right one."""
    for digits in (*phone.wrong(1), phone.code()):
        answer = digits.encode()
        steps = password(answer), stack_accepts(answer), code(digits)
        assert talk(begin(store), *steps) == MISSING
    assert wrong_codes(store) == 0


@pytest.mark.usefixtures("phone")
def test_answer_that_could_not_be_carried_at_the_code_prompt(store: Store) -> None:
    """A client that sends nothing, or too much, has not guessed."""
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(None)
    assert talk(begin(store), *steps) == MISSING
    assert wrong_codes(store) == 0


# Password and code in one string


def test_password_and_code_in_one_string(store: Store, phone: Phone) -> None:
    """The stack is given the password alone, and the code is not asked for."""
    typed = PASSWORD + phone.code().encode()
    assert talk(begin(store), password(typed), stack_accepts(PASSWORD)) == accepted(phone)


def test_one_string_is_good_once(store: Store, phone: Phone) -> None:
    """Its code is used up like any other."""
    steps = password(PASSWORD + phone.code().encode()), stack_accepts(PASSWORD)
    assert talk(begin(store), *steps) == accepted(phone)
    assert talk(begin(store), *steps) == Denied(Reason.CODE_REPLAYED, phone.id)


def test_one_string_with_a_wrong_password(store: Store, phone: Phone) -> None:
    """The stack refuses; the code in it is not used up."""
    typed = b"wrong" + phone.code().encode()
    assert talk(begin(store), password(typed), stack_refuses(b"wrong")) == PASSWORD_REFUSED
    test_right_password_and_right_code(store, phone)


def test_one_string_with_a_wrong_code(store: Store, phone: Phone) -> None:
    """Digits that are no code are a part of the password, which the stack finds wrong."""
    typed = PASSWORD + phone.wrong(1)[0].encode()
    assert talk(begin(store), password(typed), stack_refuses(typed)) == PASSWORD_REFUSED
    assert wrong_codes(store) == 0


def test_password_that_ends_in_digits(store: Store, phone: Phone) -> None:
    """It is asked for its code as any other; and it may have its code behind it."""
    own = b"secret" + phone.wrong(1)[0].encode()
    steps = password(own), stack_accepts(own), code(phone.code())
    assert talk(begin(store), *steps) == accepted(phone)
    typed = own + phone.code(1).encode()
    assert talk(begin(store), password(typed), stack_accepts(own)) == accepted(phone)


def test_code_alone_is_a_password(store: Store, phone: Phone) -> None:
    """Six digits and nothing before them are not a password and a code."""
    typed = phone.code().encode()
    assert talk(begin(store), password(typed), stack_refuses(typed)) == PASSWORD_REFUSED


def test_password_of_one_byte_before_the_code(store: Store, phone: Phone) -> None:
    """Nor need there be more than one byte, whatever it is."""
    for byte, steps in ((b"\n", -1), (b"\xff", 0), (b"7", 1)):
        typed = byte + phone.code(steps).encode()
        decision = talk(begin(store), password(typed), stack_accepts(byte))
        assert decision == (
            accepted(phone) if steps >= 0 else Denied(Reason.CODE_REPLAYED, phone.id)
        )


def test_one_string_after_five_misses(store: Store, phone: Phone) -> None:
    """Whoever tries codes that way is not told any more; the prompt goes on to work."""
    for digits in phone.wrong(5):
        typed = PASSWORD + digits.encode()
        assert talk(begin(store), password(typed), stack_refuses(typed)) == PASSWORD_REFUSED
    typed = PASSWORD + phone.code().encode()
    assert talk(begin(store), password(typed), stack_refuses(typed)) == PASSWORD_REFUSED
    test_right_password_and_right_code(store, phone)


# Accounts without factors, and names that are none


def test_account_without_mfa(store: Store) -> None:
    """The machine's own stack asks, as it did before; nothing of ours is seen."""
    assert talk(begin(store), STACK_ASKS) == NO_MFA
    assert talk(begin(store), STACK_ASKS_AND_REFUSES) == PASSWORD_REFUSED


def test_account_that_is_barred_and_has_no_mfa(store: Store) -> None:
    """It is asked as before, and refused."""
    store.accounts.bar("alice", ROOT)
    assert talk(begin(store), STACK_ASKS) == Denied(Reason.ACCOUNT_BARRED)


def test_name_that_nss_does_not_know() -> None:
    """The stack asks like for an account without MFA, and whatever it says, nobody is let in."""
    assert talk(stranger(), STACK_ASKS) == Denied(Reason.ACCOUNT_UNKNOWN)
    with pytest.raises(StackRefusedError):
        talk(stranger(), STACK_ASKS_AND_REFUSES)


def test_account_that_must_adopt_mfa_and_has_not(settings: Settings, clock: Clock) -> None:
    """After a right password it is told where to, and refused; a wrong one tells nothing."""
    must = {"groups": EnforcementSettings(groups=("nogroup",)).groups}
    with opened(with_changes(settings, enforcement=must), clock) as store:
        tells: Step = (Tell(PROMPTS.enrollment), None)
        decision = talk(begin(store, "nobody"), STACK_ASKS, tells)
        assert decision == Denied(Reason.MFA_REQUIRED)
        assert talk(begin(store, "nobody"), STACK_ASKS_AND_REFUSES) == PASSWORD_REFUSED
        assert talk(begin(store, "root"), STACK_ASKS) == NO_MFA


# What changes meanwhile


def test_mfa_adopted_meanwhile(store: Store, clock: Clock) -> None:
    """Whoever had the password prompt before MFA was adopted needs the code all the same."""
    phones: list[Phone] = []
    adopts = meanwhile(STACK_ASKS, lambda: phones.append(enroll(store, clock)))
    asked = (Ask(PROMPTS.code), lambda: Secret.of(phones[0].code()))
    assert talk(begin(store), adopts, asked) == Granted(Reason.CODE_ACCEPTED, phones[0].id)


def test_last_authenticator_removed_meanwhile(store: Store, phone: Phone) -> None:
    """The code of a phone that was just reported as lost lets nobody in."""
    lost = meanwhile(code(phone.code()), lambda: store.totp_factors.delete("alice", phone.id, ROOT))
    decision = talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), lost)
    assert decision == Denied(Reason.NO_FACTOR)


def test_last_authenticator_removed_while_the_password_is_checked(
    store: Store, phone: Phone
) -> None:
    """Who had MFA when the login began does not get in by the password; at the next one, yes."""
    lost = meanwhile(
        stack_accepts(PASSWORD), lambda: store.totp_factors.delete("alice", phone.id, ROOT)
    )
    decision = talk(begin(store), password(PASSWORD), lost, code(phone.code()))
    assert decision == Denied(Reason.NO_FACTOR)
    assert talk(begin(store), STACK_ASKS) == NO_MFA


def test_account_barred_meanwhile(store: Store, phone: Phone) -> None:
    """Barring holds for who is at the prompt already."""
    barred = meanwhile(code(phone.code()), lambda: store.accounts.bar("alice", ROOT))
    decision = talk(begin(store), password(PASSWORD), stack_accepts(PASSWORD), barred)
    assert decision == Denied(Reason.ACCOUNT_BARRED)


def test_two_conversations_with_one_code(store: Store, phone: Phone) -> None:
    """Both get to the code prompt; one gets in."""
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(phone.code())
    decisions: list[Decision] = []
    other = meanwhile(steps[2], lambda: decisions.append(talk(begin(store), *steps)))
    decisions.append(talk(begin(store), *steps[:2], other))
    assert decisions == [accepted(phone), Denied(Reason.CODE_REPLAYED, phone.id)]


# Who goes away, and stores that fail


def test_client_that_vanishes_leaves_nothing(store: Store, phone: Phone) -> None:
    """At whichever prompt: no event, nothing counted, no code used up, nothing locked."""
    before = told(store)
    steps = password(PASSWORD), stack_accepts(PASSWORD), code(phone.code())
    for length in range(3):
        conversation = begin(store)
        next(conversation)
        for _, reply in steps[:length]:
            assert not callable(reply)
            assert not isinstance(reply, StackRefusedError)
            conversation.send(reply)
        conversation.close()
    assert told(store) == before
    test_right_password_and_right_code(store, phone)


@contextmanager
def out_of_order(settings: Settings) -> Iterator[Callable[[], object]]:
    """Give what takes the store away, until the end of the block."""
    path = Path(settings.store.url.removeprefix("sqlite:///"))
    away = path.with_name("away.db")
    yield lambda: path.rename(away)
    away.rename(path)


def fails_behind(
    store: Store, settings: Settings, *steps: Step, begin_with: Conversation | None = None
) -> None:
    """Expect a login to break, whose store is taken away as its last step is answered."""
    with out_of_order(settings) as take_away:
        *before, last = steps
        with pytest.raises(StoreError, match="unable to open"):
            talk(begin_with or begin(store), *before, meanwhile(last, take_away))


def test_store_that_fails_before_anything_was_asked(store: Store, settings: Settings) -> None:
    """Nothing is asked: the relay makes up for it, so that a guesser sees no difference."""
    with out_of_order(settings) as take_away:
        take_away()
        with pytest.raises(StoreError):
            next(begin(store))


def test_store_that_fails_under_way_lets_nobody_in(
    store: Store, phone: Phone, settings: Settings
) -> None:
    """At each point where it is needed; when it is back, the same code lets in."""
    token, _ = store.access_tokens.issue("alice", "nightly", ROOT)
    right, typed = password(PASSWORD), PASSWORD + phone.code().encode()
    before = told(store)
    fails_behind(store, settings, password(token.value))
    fails_behind(store, settings, password(b""))
    fails_behind(store, settings, password(typed))
    fails_behind(store, settings, right, stack_refuses(PASSWORD))
    fails_behind(store, settings, password(typed), stack_accepts(PASSWORD))
    fails_behind(store, settings, right, stack_accepts(PASSWORD), code(phone.code()))
    fails_behind(store, settings, right, stack_accepts(PASSWORD), code(*phone.wrong(1)))
    fails_behind(store, settings, right, stack_accepts(PASSWORD), code(PASSWORD.decode()))
    bob = [begin(store, "bob"), begin(store, "bob")]
    fails_behind(store, settings, STACK_ASKS, begin_with=bob[0])
    fails_behind(store, settings, STACK_ASKS_AND_REFUSES, begin_with=bob[1])
    assert told(store) == before
    test_right_password_and_right_code(store, phone)


def test_what_is_passed_on_does_not_print_itself() -> None:
    """A conversation may be looked at in a debugger or a traceback."""
    shown: list[Any] = [PassOn(Secret(PASSWORD)), stack_accepts(PASSWORD), password(PASSWORD)]
    assert "horse" not in repr(shown)
