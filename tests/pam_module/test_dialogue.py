"""A login in the words of the wire: what the relay says, and the packets that answer it."""

import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.audit import events, told
from harness.stores import (
    ROOT,
    Clock,
    Phone,
    enroll,
    make_sqlite,
    opened,
    secrets_kept_out_of,
    with_changes,
)

from pam_module.conversation import Prompts
from pam_module.dialogue import Dialogue, Message
from pam_module.wire import DENIED, GRANTED, STAND_ASIDE, Answer, Continue, Hello
from store.errors import StoreError
from store.opening import Store
from store.settings import Settings

USER = "nobody"
"""An account that NSS knows on every machine."""
PASSWORD = b"correct horse"
PROMPTS = Prompts("Password: ", "Verification code: ", "Set it up.")
ASK_PASSWORD, ASK_CODE = b"PPassword: ", b"PVerification code: "
ACCEPTED, UNUSABLE = Continue(), Answer(None)

Turn = tuple[Message, list[bytes]]
"""What the relay says, and what it is answered."""


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
    """Let the user adopt MFA."""
    return enroll(store, clock, USER)


@pytest.fixture
def dialogue(store: Store) -> Dialogue:
    """Begin a dialogue."""
    return Dialogue(store.authentication, PROMPTS)


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with secrets_kept_out_of(caplog, monkeypatch):
        yield


def hello(user: str = USER, phase: str = "auth", remote_host: str = "192.0.2.7") -> Hello:
    """Greet."""
    return Hello(phase, "sshd", user, remote_host, "ssh")


def speak(dialogue: Dialogue, *turns: Turn) -> None:
    """Say what the relay says; each time it must be awaited, and be answered like this."""
    for message, answer in turns:
        assert dialogue.awaited is type(message)
        assert dialogue.receive(message) == answer


def ends(dialogue: Dialogue, *turns: Turn) -> None:
    """Lead a dialogue to its end."""
    speak(dialogue, *turns)
    assert dialogue.awaited is None


def asked_for_code(answer: bytes = PASSWORD, passed_on: bytes = PASSWORD) -> list[Turn]:
    """Lead up to the code prompt."""
    return [
        (hello(), [ASK_PASSWORD]),
        (Answer(answer), [b"N" + passed_on]),
        (ACCEPTED, [ASK_CODE]),
    ]


def answer(code: str) -> Answer:
    """Answer with a code."""
    return Answer(code.encode())


# A whole login


def test_password_and_code(dialogue: Dialogue, phone: Phone) -> None:
    """Prompt, password to the stack, prompt, in."""
    ends(dialogue, *asked_for_code(), (answer(phone.code()), [GRANTED]))


def test_wrong_code(dialogue: Dialogue, phone: Phone) -> None:
    """It is refused like everything that is refused."""
    ends(dialogue, *asked_for_code(), (answer(*phone.wrong(1)), [DENIED]))


@pytest.mark.usefixtures("phone")
def test_one_answer_to_every_prompt(dialogue: Dialogue, store: Store) -> None:
    """So does sshd's `password` method."""
    ends(dialogue, *asked_for_code(), (Answer(PASSWORD), [DENIED]))
    assert told(store, USER)[-1] == "login_denied code_missing"


def test_one_string(dialogue: Dialogue, phone: Phone) -> None:
    """The stack gets the password, and when it is right no more is asked."""
    typed = PASSWORD + phone.code().encode()
    speak(dialogue, (hello(), [ASK_PASSWORD]), (Answer(typed), [b"N" + PASSWORD]))
    ends(dialogue, (ACCEPTED, [GRANTED]))


def test_token(dialogue: Dialogue, store: Store) -> None:
    """It is in without anything else."""
    token, _ = store.access_tokens.issue(USER, "nightly", ROOT)
    ends(dialogue, (hello(), [ASK_PASSWORD]), (Answer(token.value), [GRANTED]))


def test_token_that_was_revoked(dialogue: Dialogue, store: Store) -> None:
    """It goes no further than to us."""
    store.access_tokens.issue(USER, "other", ROOT)
    token, shown = store.access_tokens.issue(USER, "nightly", ROOT)
    store.access_tokens.revoke(USER, shown.id, ROOT)
    ends(dialogue, (hello(), [ASK_PASSWORD]), (Answer(token.value), [DENIED]))


@pytest.mark.usefixtures("phone")
@pytest.mark.parametrize("unusable", [UNUSABLE, Answer(b"")])
def test_answer_that_is_none(dialogue: Dialogue, unusable: Answer) -> None:
    """It is refused without the stack."""
    ends(dialogue, (hello(), [ASK_PASSWORD]), (unusable, [DENIED]))


@pytest.mark.usefixtures("phone")
def test_code_that_could_not_be_carried(dialogue: Dialogue) -> None:
    """It is refused."""
    ends(dialogue, *asked_for_code(), (UNUSABLE, [DENIED]))


@pytest.mark.usefixtures("phone")
def test_password_that_is_no_utf8(dialogue: Dialogue) -> None:
    """It goes on to the stack byte by byte."""
    speak(dialogue, *asked_for_code(b"\xff\x80", b"\xff\x80"))


def test_account_without_mfa(dialogue: Dialogue) -> None:
    """The stack asks by itself."""
    ends(dialogue, (hello(), [STAND_ASIDE]), (ACCEPTED, [GRANTED]))


@pytest.mark.parametrize("user", ["", "no-such-account", "\udcff", "nobody\n", "x" * 2000])
def test_name_that_nss_does_not_know(dialogue: Dialogue, store: Store, user: str) -> None:
    """It is treated like an account without MFA, and never let in, nor written down."""
    ends(dialogue, (hello(user), [STAND_ASIDE]), (ACCEPTED, [DENIED]))
    assert told(store, user.encode(errors="replace").decode()) == []


def test_account_that_must_adopt_mfa(settings: Settings, clock: Clock) -> None:
    """It is told so, and refused, in one go."""
    with opened(with_changes(settings, enforcement={"groups": ("nogroup",)}), clock) as store:
        dialogue = Dialogue(store.authentication, PROMPTS)
        ends(dialogue, (hello(), [STAND_ASIDE]), (ACCEPTED, [b"TSet it up.", DENIED]))


def test_prompts_are_those_of_the_configuration(store: Store, phone: Phone) -> None:
    """In the operator's words and language."""
    prompts = Prompts("Passwort: ", "Best\u00e4tigungscode: ", "")
    turns: list[Turn] = [
        (hello(), [b"PPasswort: "]),
        (Answer(PASSWORD), [b"N" + PASSWORD]),
        (ACCEPTED, ["PBest\u00e4tigungscode: ".encode()]),
        (answer(phone.code()), [GRANTED]),
    ]
    ends(Dialogue(store.authentication, prompts), *turns)


# Who it is, and from where


def test_account_is_the_one_that_nss_gives_back(
    dialogue: Dialogue, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the name was typed, it is asked for the code of the one account."""
    phone = enroll(store, clock, "alice")
    entry = pwd.struct_passwd(("alice", "x", 1000, 1000, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"Alice@CORP": entry}.__getitem__)
    turns = asked_for_code()
    turns[0] = hello("Alice@CORP"), [ASK_PASSWORD]
    ends(dialogue, *turns, (answer(phone.code()), [GRANTED]))
    assert told(store, "Alice@CORP") == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("host.example", "host.example"),
        ("", None),
        ("x" * 2000, "x" * 64),
        ("h\u00f6st", None),
        ("\udcff", None),
        ("a\nb", None),
        ("a\x1b[2J", None),
    ],
)
def test_address_is_kept_if_it_is_plain(
    dialogue: Dialogue, store: Store, sent: str, kept: str | None
) -> None:
    """What is kept of where somebody came from fits its column and its line."""
    ends(dialogue, (hello(remote_host=sent), [STAND_ASIDE]), (ACCEPTED, [GRANTED]))
    assert [row.address for row in events(store, USER)] == [kept]


# The stack that refuses, and the client that goes away


def test_refusal_by_the_stack_is_noted_once(dialogue: Dialogue, store: Store, phone: Phone) -> None:
    """The relay hung up after it had the password: nobody is answered, nothing is counted."""
    speak(dialogue, (hello(), [ASK_PASSWORD]), (Answer(PASSWORD), [b"N" + PASSWORD]))
    for _ in range(2):
        dialogue.refused()
        assert dialogue.awaited is None
    assert told(store, USER)[-2:] == ["recovery_codes_made", "login_denied password_refused"]
    assert store.accounts.show(USER).wrong_codes == 0
    assert phone.code()


def test_refusal_of_an_account_without_mfa_is_noted(dialogue: Dialogue, store: Store) -> None:
    """The audit has each wrong password, whoever asked for it."""
    speak(dialogue, (hello(), [STAND_ASIDE]))
    dialogue.refused()
    assert told(store, USER) == ["login_denied password_refused"]


def test_refusal_of_a_stranger_is_not_noted(dialogue: Dialogue, store: Store) -> None:
    """Nobody fills the store by inventing names."""
    speak(dialogue, (hello("no-such-account"), [STAND_ASIDE]))
    dialogue.refused()
    assert told(store, "no-such-account") == []


def test_hanging_up_elsewhere_is_no_refusal_of_a_password(store: Store, phone: Phone) -> None:
    """Who leaves at a prompt has tried nothing, and nothing stays behind."""
    before = told(store, USER)
    turns = asked_for_code()
    for length in (0, 1, 3):
        dialogue = Dialogue(store.authentication, PROMPTS)
        speak(dialogue, *turns[:length])
        dialogue.refused()
        assert dialogue.awaited is None
    assert told(store, USER) == before
    ends(Dialogue(store.authentication, PROMPTS), *turns, (answer(phone.code()), [GRANTED]))


def test_closing_is_possible_at_any_time(store: Store, phone: Phone) -> None:
    """Before, within, after; more than once."""
    before = told(store, USER)
    turns = asked_for_code()
    for length in range(4):
        dialogue = Dialogue(store.authentication, PROMPTS)
        speak(dialogue, *turns[:length])
        dialogue.close()
        dialogue.close()
        assert dialogue.awaited is None
    assert told(store, USER) == before
    assert phone.code()


# The account phase


def test_account_phase_lets_in_whom_nothing_speaks_against(dialogue: Dialogue) -> None:
    """Known to the store or not: public keys come this way."""
    ends(dialogue, (hello(phase="account"), [GRANTED]))


def test_account_phase_refuses_who_is_barred(dialogue: Dialogue, store: Store) -> None:
    """Whatever was shown before."""
    store.accounts.bar(USER, ROOT)
    ends(dialogue, (hello(phase="account"), [DENIED]))
    assert told(store, USER)[-1] == "login_denied account_barred"


def test_account_phase_refuses_a_name_that_nss_does_not_know(dialogue: Dialogue) -> None:
    """It should not get that far."""
    ends(dialogue, (hello("no-such-account", "account"), [DENIED]))


# What breaks


def test_store_that_fails_is_an_error_and_never_a_verdict(
    store: Store, settings: Settings, phone: Phone
) -> None:
    """Wherever it fails, and whatever the relay goes on to say, nobody is let in."""
    path = Path(settings.store.url.removeprefix("sqlite:///"))
    away = path.with_name("away.db")
    turns = [*asked_for_code(), (answer(phone.code()), [GRANTED])]
    for length in (0, 3):  # an answer that is neither token nor one string needs no store
        dialogue = Dialogue(store.authentication, PROMPTS)
        speak(dialogue, *turns[:length])
        path.rename(away)
        with pytest.raises(StoreError):
            dialogue.receive(turns[length][0])
        away.rename(path)
        if length:
            assert dialogue.receive(turns[length][0]) == [DENIED]
        dialogue.close()
    ends(Dialogue(store.authentication, PROMPTS), *turns)


def test_account_phase_without_a_store_is_an_error(dialogue: Dialogue, settings: Settings) -> None:
    """A barred account does not come in because nobody can look it up."""
    Path(settings.store.url.removeprefix("sqlite:///")).unlink()
    with pytest.raises(StoreError):
        dialogue.receive(hello(phase="account"))


@pytest.mark.parametrize("message", [Answer(PASSWORD), ACCEPTED])
def test_nothing_is_granted_before_a_greeting(dialogue: Dialogue, message: Message) -> None:
    """Sessions see to it; the dialogue does not rely on them."""
    with pytest.raises(AssertionError):
        dialogue.receive(message)


def test_nothing_is_granted_after_the_verdict(dialogue: Dialogue, phone: Phone) -> None:
    """A conversation that is over is not led on."""
    ends(dialogue, *asked_for_code(), (answer(phone.code()), [GRANTED]))
    assert dialogue.receive(answer(phone.code(1))) == [DENIED]
