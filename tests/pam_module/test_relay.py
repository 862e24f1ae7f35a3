"""The relay between libpam and the helper, loaded by libpam as sshd loads it."""

import os
import pwd
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from relay_harness import (
    AUTH_ERR,
    HEAR,
    PERM_DENIED,
    SANITIZERS,
    SILENCE,
    SUCCESS,
    UNAVAIL,
    Helper,
    Programs,
    Room,
    Step,
    Told,
    echo_password,
    make,
    room,
)

pytestmark = pytest.mark.system

PASSWORD, CODE = b"correct horse", b"123456"
ASK_PASSWORD, ASK_CODE = b"PPassword: ", b"PVerification code: "
TO_THE_CODE: list[Step] = [HEAR, ASK_PASSWORD, echo_password, HEAR]
LOGIN: list[Step] = [*TO_THE_CODE, ASK_CODE, HEAR, b"G", SILENCE]
ASKED: list[Step] = [ASK_PASSWORD, HEAR]
LINES = ["password", "password after a prompt", "code", "code after a prompt", "account"]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Build the module and what loads it, both under the sanitizers."""
    return Programs.build(tmp_path_factory.mktemp("sanitized"), SANITIZERS)


@pytest.fixture(name="room")
def _room(programs: Programs) -> Iterator[Room]:
    with room(programs) as made:
        yield made


def script(line: str, *steps: Step) -> list[Step]:
    """Return a right script up to a point of a line, and then these steps."""
    begin: dict[str, list[Step]] = {
        "password": [HEAR],
        "password after a prompt": [HEAR, ASK_PASSWORD, HEAR],
        "code": TO_THE_CODE,
        "code after a prompt": [*TO_THE_CODE, ASK_CODE, HEAR],
        "account": [HEAR],
    }
    return [*begin[line], *steps]


def reach(room: Room, line: str, *answers: bytes | str) -> Told:
    """Log in, or on the account line ask for the account."""
    driver = room.driver()
    before = driver.command("descriptors").numbers("descriptors")
    if line == "account":
        told = driver.command("account")
    else:
        told = driver.authenticate(*(answers or (PASSWORD, CODE)))
    assert driver.command("descriptors").numbers("descriptors") == before
    return told


def assert_refused(told: Told, line: str, log: str) -> None:
    """See a refusal for breakage, with one line in the log and pam_unix's delay."""
    assert told.result == UNAVAIL
    assert len(told.log) == 1
    assert log in told.log[0]
    assert told.log[0].endswith("refusing")
    assert told.delayed == (line != "account")


# A login that goes well


def test_password_and_code_let_in(room: Room) -> None:
    """The helper's prompts are shown in order, its password goes to the stack, its grant holds."""
    with room.helper(LOGIN) as helper:
        driver = room.driver()
        driver.set_item("rhost", b"192.0.2.1")
        driver.set_item("tty", b"ssh")
        before = driver.command("descriptors").numbers("descriptors")
        told = driver.authenticate(PASSWORD, CODE)
        assert helper.ended[0].wait(5)
        assert driver.command("descriptors").numbers("descriptors") == before
    assert told.result == SUCCESS
    assert told.prompts == [b"Password: ", b"Verification code: "]
    assert told.strings("machine") == [PASSWORD]
    assert helper.heard == [[b"H1\0auth\0sshd\0alice\x00192.0.2.1\0ssh", b"C", b"A" + CODE]]
    assert told.log == []
    assert not told.delayed


def test_a_grant_on_the_password_line_asks_no_more(room: Room) -> None:
    """An access token lets in past the machine's modules and the code."""
    with room.helper([HEAR, ASK_PASSWORD, HEAR, b"G", SILENCE]) as helper:
        told = room.driver().authenticate(b"smfa_token")
        assert helper.ended[0].wait(5)
    assert told.result == SUCCESS
    assert told.strings("machine") == []
    assert helper.heard[0][1] == b"Asmfa_token"


def test_the_stack_may_ask_by_itself(room: Room) -> None:
    """After `S` no password is set: the machine's module asks, and the code line follows."""
    with room.helper([HEAR, b"S", HEAR, b"G"]) as helper:
        told = room.driver().authenticate(PASSWORD)
    assert told.result == SUCCESS
    assert told.prompts == [b"Machine's password: "]
    assert helper.heard[0][1] == b"C"


def test_an_empty_password_is_passed_on_too(room: Room) -> None:
    """The stack decides on it, without a second prompt."""
    with room.helper([HEAR, ASK_PASSWORD, echo_password, HEAR, b"G"]):
        told = room.driver().authenticate(b"")
    assert told.result == SUCCESS
    assert told.prompts == [b"Password: "]
    assert told.strings("machine") == [b""]


def test_the_longest_messages_fit(room: Room) -> None:
    """Prompts and texts of 512 bytes, answers and passwords of 1,024."""
    password, prompt = b"p" * 1024, b"q" * 512
    steps: list[Step] = [
        HEAR,
        b"T" + prompt,
        b"P" + prompt,
        echo_password,
        HEAR,
        b"P" + prompt,
        HEAR,
        b"G",
    ]
    with room.helper(steps) as helper:
        told = room.driver().authenticate(password, password)
    assert told.result == SUCCESS
    assert (told.prompts, told.strings("text")) == ([prompt, prompt], [prompt])
    assert told.strings("machine") == [password]
    assert helper.heard[0][-1] == b"A" + password


def test_bytes_are_carried_as_they_are(room: Room) -> None:
    """Encoding is for both ends to care about, and a prompt is no format."""
    strange = b"%s%n \xff\xfe \xc3\x28\n"
    with room.helper([HEAR, b"P" + strange, echo_password, HEAR, b"G"]):
        told = room.driver().authenticate(strange)
    assert (told.prompts, told.strings("machine")) == ([strange], [strange])


def test_texts_are_shown_in_their_place(room: Room) -> None:
    """A text comes before the prompt that follows it, and is not answered."""
    with room.helper(script("password", b"Tone", b"Ttwo", *LOGIN[1:])) as helper:
        told = room.driver().authenticate(PASSWORD, CODE)
    shown = [name for name, _ in told.lines if name in ("text", "prompt")]
    assert shown == ["text", "text", "prompt", "prompt"]
    assert told.strings("text") == [b"one", b"two"]
    assert len(helper.heard[0]) == 3


def test_a_silent_login_shows_no_texts(room: Room) -> None:
    """PAM_SILENT keeps texts away; prompts must be asked all the same."""
    with room.helper(script("password", b"Tone", *LOGIN[1:])):
        told = room.driver().authenticate(PASSWORD, CODE, how="silent")
    assert told.result == SUCCESS
    assert told.strings("text") == []
    assert len(told.prompts) == 2


def test_signals_do_not_disturb(room: Room) -> None:
    """A wait that a signal interrupts goes on."""

    def ponder(_: socket.socket) -> None:
        time.sleep(0.15)

    steps: list[Step] = [HEAR, ponder, ASK_PASSWORD, echo_password, HEAR, ponder, b"G"]
    with room.helper(steps):
        told = room.driver().authenticate(PASSWORD, how="interrupted")
    assert told.result == SUCCESS


# Refusals


@pytest.mark.parametrize("line", LINES)
def test_a_denial_is_a_refusal(room: Room, line: str) -> None:
    """`D` refuses on every line, with pam_unix's delay but on the account line."""
    with room.helper(script(line, b"D", SILENCE)) as helper:
        told = reach(room, line)
        assert helper.ended[0].wait(5)
    assert told.result == (PERM_DENIED if line == "account" else AUTH_ERR)
    assert told.delayed == (line != "account")
    assert told.log == []


@pytest.mark.parametrize("line", LINES)
def test_no_decision_is_a_refusal(room: Room, line: str) -> None:
    """`U` refuses on every line, and the log sends the operator to the helper's."""
    with room.helper(script(line, b"U", SILENCE)) as helper:
        told = reach(room, line)
        assert helper.ended[0].wait(5)
    assert_refused(told, line, "cannot decide: see its log")


def test_a_wrong_password_never_reaches_the_code_line(room: Room) -> None:
    """No code is asked and none used up; the end of the connection tells the helper."""
    with room.helper([*TO_THE_CODE[:3], SILENCE]) as helper:
        told = room.driver().authenticate(b"wrong", CODE)
        assert helper.ended[0].wait(5)
    assert (told.result, told.prompts) == (AUTH_ERR, [b"Password: "])
    assert (told.delayed, told.log) == (True, [])
    assert len(helper.heard[0]) == 1


def test_a_program_that_a_module_runs_gets_no_conversation(room: Room) -> None:
    """The descriptor that waits for the code line is not inherited."""
    room.write_stack("auth required {module} password {arguments}\n")
    with room.helper([*TO_THE_CODE[:3], SILENCE]):
        driver = room.driver()
        before = driver.command("descriptors").numbers("descriptors")[0]
        driver.authenticate(PASSWORD)
        assert driver.command("descriptors").numbers("descriptors") == [before + 1]
        assert driver.command("inheritable").numbers("inheritable") == [0]
        driver.command("setcred")


@pytest.mark.parametrize("end", ["setcred", "end"])
def test_a_conversation_that_the_stack_left_open_is_ended(room: Room, end: str) -> None:
    """By setcred, so that it never reaches a session, or with the handle."""
    room.write_stack("auth required {module} password {arguments}\nauth required pam_deny.so\n")
    with room.helper([*TO_THE_CODE[:3], SILENCE]) as helper:
        driver = room.driver()
        driver.authenticate(PASSWORD)
        assert not helper.ended[0].is_set()
        driver.command(end)
        assert helper.ended[0].wait(5)
        if end == "end":
            driver.start()


@pytest.mark.parametrize("verdict", [b"G", b"D", b"U"])
def test_nothing_after_a_verdict_counts(room: Room, verdict: bytes) -> None:
    """The connection is closed unread."""
    with room.helper([*LOGIN[:6], verdict, b"G", b"D", ASK_CODE, SILENCE]):
        told = room.driver().authenticate(PASSWORD, CODE, CODE)
    assert told.result == {b"G": SUCCESS, b"D": AUTH_ERR, b"U": UNAVAIL}[verdict]
    assert len(told.prompts) == 2


# Answers


@pytest.mark.parametrize(
    "answer", [b"x" * 1025, b"x" * 200_000, "null", "none"], ids=["1025", "200 KB", "null", "none"]
)
def test_an_answer_that_cannot_be_carried_is_told(room: Room, answer: bytes | str) -> None:
    """The helper gets `X` and goes on; it is never given a part of an answer."""
    with room.helper([HEAR, ASK_PASSWORD, HEAR, ASK_PASSWORD, HEAR, b"D"]) as helper:
        told = room.driver().authenticate(answer, PASSWORD)
    assert told.result == AUTH_ERR
    assert helper.heard[0][1:] == [b"X", b"A" + PASSWORD]


@pytest.mark.parametrize("line", ["password", "code"])
def test_a_person_who_left_is_refused(room: Room, line: str) -> None:
    """When the application cannot ask, the login ends: no answer, no second prompt, no success."""
    with room.helper(script(line, ASK_CODE, SILENCE)) as helper:
        answers: list[bytes | str] = ["fail"] if line == "password" else [PASSWORD, "fail"]
        told = room.driver().authenticate(*answers)
        assert helper.ended[0].wait(5)
    assert told.result == UNAVAIL
    assert len(told.prompts) == len(answers)
    assert not any(packet.startswith(b"X") for packet in helper.heard[0])


# A helper that does not keep to the wire

BAD = {
    "empty": b"",
    "unknown": b"Z",
    "lower case": b"g",
    "relay's own": b"A",
    "NUL": b"\0",
    "empty prompt": b"P",
    "long prompt": b"P" + b"x" * 513,
    "prompt of 64 KB": b"P" + b"x" * 65536,
    "NUL in a prompt": b"Pass\0word",
    "NUL after a prompt": b"Password\0",
    "empty text": b"T",
    "long text": b"T" + b"x" * 513,
    "NUL in a text": b"T\0",
    "grant and more": b"Gx",
    "grant and NUL": b"G\0",
    "denial and more": b"D\0",
    "no decision and more": b"Ux",
    "skip and more": b"Sx",
    "long password": b"N" + b"x" * 1025,
    "NUL in a password": b"Npass\0word",
    "long and NUL": b"N" + b"x" * 1024 + b"\0",
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
def test_a_message_that_is_none_refuses(room: Room, line: str, message: bytes) -> None:
    """Whatever is not in the table ends the line, logged, with nothing of it shown or set."""
    with room.helper(script(line, message, SILENCE)) as helper:
        told = reach(room, line)
        assert helper.ended[0].wait(5)
    assert_refused(
        told, line, "failed (" if message == b"" else "sent what this line does not take"
    )
    assert told.strings("text") == []
    assert set(told.prompts) <= {b"Password: ", b"Verification code: "}
    assert told.strings("machine") == ([PASSWORD] if line.startswith("code") else [])


@pytest.mark.parametrize("message", [b"Npassword", b"S"])
@pytest.mark.parametrize("line", ["code", "account"])
def test_only_the_password_line_passes_on(room: Room, line: str, message: bytes) -> None:
    """`N` and `S` would let the code line be ignored: they are breakage there."""
    with room.helper(script(line, message, SILENCE)):
        told = reach(room, line)
    assert_refused(told, line, "sent what this line does not take")


def test_the_account_line_asks_nothing(room: Room) -> None:
    """A prompt there is breakage."""
    with room.helper(script("account", b"PWho? ", SILENCE)):
        told = reach(room, "account")
    assert_refused(told, "account", "sent what this line does not take")
    assert told.prompts == []


@pytest.mark.parametrize(("count", "result"), [(16, SUCCESS), (17, UNAVAIL)])
def test_prompts_come_to_an_end(room: Room, count: int, result: int) -> None:
    """Sixteen a line, not one more."""
    with room.helper([HEAR, *ASKED * count, b"G", SILENCE]):
        told = room.driver().authenticate(*[PASSWORD] * count)
    assert told.result == result
    assert len(told.prompts) == 16


def test_texts_come_to_an_end(room: Room) -> None:
    """They count as prompts do."""
    with room.helper([HEAR, *[b"Tmore"] * 50, SILENCE]):
        told = room.driver().authenticate(PASSWORD)
    assert_refused(told, "password", "sent what this line does not take")
    assert len(told.strings("text")) == 16


@pytest.mark.parametrize("line", LINES)
def test_a_helper_that_breaks_off_refuses(room: Room, line: str) -> None:
    """At whatever point it closes the connection."""
    with room.helper(script(line)):
        told = reach(room, line)
    assert_refused(told, line, "failed (Connection reset by peer)")


@pytest.mark.parametrize("line", LINES)
def test_a_silent_helper_refuses(room: Room, line: str) -> None:
    """It is waited for as long as `timeout` says."""
    room.write_stack(arguments="user=root timeout=1")
    with room.helper(script(line, SILENCE)):
        begin = time.monotonic()
        told = reach(room, line)
        waited = time.monotonic() - begin
    assert_refused(told, line, "failed (Connection timed out)")
    assert 1 <= waited < 3


def test_signals_do_not_stretch_the_wait(room: Room) -> None:
    """The deadline stands however often the wait is interrupted."""
    room.write_stack(arguments="user=root timeout=1")
    with room.helper([HEAR, SILENCE]):
        begin = time.monotonic()
        told = room.driver().authenticate(PASSWORD, how="interrupted")
        waited = time.monotonic() - begin
    assert told.result == UNAVAIL
    assert 1 <= waited < 3


def test_the_timeout_is_of_each_wait(room: Room) -> None:
    """A helper that takes its time, but less than `timeout` each time, is heard out."""
    room.write_stack(arguments="user=root timeout=1")

    def ponder(_: socket.socket) -> None:
        time.sleep(0.7)

    with room.helper([HEAR, ponder, b"Tone", ponder, b"Ttwo", ponder, b"G"]):
        assert room.driver().authenticate().result == SUCCESS


def slowly(*answers: bytes) -> list[str]:
    """Have a person answer when the helper has long said what comes next."""
    return ["~" + answer.hex() for answer in answers]


@pytest.mark.parametrize("line", ["password after a prompt", "code", "code after a prompt"])
@pytest.mark.parametrize(("early", "result"), [(b"D", AUTH_ERR), (b"U", UNAVAIL)])
def test_a_helper_may_give_up_while_it_waits(
    room: Room, line: str, early: bytes, result: int
) -> None:
    """A refusal counts at any time, and no answer is given to a helper that refused."""
    room.write_stack(machine="slow")
    with room.helper([*script(line)[:-1], early, SILENCE]) as helper:
        told = reach(room, line, *slowly(PASSWORD, CODE))
    assert told.result == result
    assert len(helper.heard[0]) == script(line).count(HEAR) - 1


@pytest.mark.parametrize("early", [b"G", b"N" + PASSWORD, ASK_CODE])
def test_what_comes_before_the_answer_is_none_to_it(room: Room, early: bytes) -> None:
    """A helper that speaks while a person is asked did not hear the answer."""
    with room.helper([HEAR, ASK_PASSWORD, early, SILENCE]) as helper:
        told = room.driver().authenticate(*slowly(PASSWORD))
    assert_refused(told, "password", "failed (Protocol error)")
    assert helper.heard[0] == [helper.heard[0][0]]


def test_a_grant_before_the_stack_took_the_password_is_none(room: Room) -> None:
    """What was sent before `C` does not answer it."""
    room.write_stack(machine="slow")
    with room.helper([*TO_THE_CODE[:3], b"G", SILENCE]) as helper:
        told = room.driver().authenticate(PASSWORD)
    assert_refused(told, "code", "failed (Protocol error)")
    assert len(helper.heard[0]) == 1


def test_descriptors_sent_along_are_dropped(room: Room) -> None:
    """A helper cannot fill sshd's table of descriptors."""

    def with_descriptors(packet: bytes) -> Step:
        def send(conversation: socket.socket) -> None:
            socket.send_fds(conversation, [packet], [0, 1, 2] * 20)

        return send

    passed_on = with_descriptors(b"N" + PASSWORD)
    steps = [HEAR, with_descriptors(ASK_PASSWORD), HEAR, passed_on, HEAR, with_descriptors(b"G")]
    with room.helper(steps):
        told = reach(room, "code")
    assert told.result == SUCCESS


# A helper that cannot be reached


def missing(_: Room) -> None:
    """Leave no socket."""


def nobody_listens(room: Room) -> None:
    """Leave a socket behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(room.socket_path))


def regular_file(room: Room) -> None:
    """Make a file that is no socket."""
    room.socket_path.touch()


def no_folder(room: Room) -> None:
    """Leave not even a folder."""
    room.run.rmdir()


UNREACHABLE: dict[Callable[[Room], None], str] = {
    missing: "No such file or directory",
    nobody_listens: "Connection refused",
    regular_file: "not a socket in a folder, or a link",
    no_folder: "No such file or directory",
}


@pytest.mark.parametrize("line", ["password", "account"])
@pytest.mark.parametrize("state", UNREACHABLE, ids=lambda state: state.__name__)
def test_without_a_helper_nobody_gets_in(
    room: Room, line: str, state: Callable[[Room], None]
) -> None:
    """A guesser sees the prompt of always, the operator a line in the log; nobody gets in."""
    state(room)
    told = reach(room, line)
    assert_refused(told, line, f"{room.socket_path} ({UNREACHABLE[state]}): is sftp-mfa serve-pam")
    assert told.prompts == ([] if line == "account" else [b"Password: "])
    assert told.strings("machine") == []


def linked(room: Room) -> None:
    """Put the socket behind a link."""
    elsewhere = room.run / "elsewhere"
    room.socket_path.rename(elsewhere)
    room.socket_path.symlink_to(elsewhere)


def linked_folder(room: Room) -> None:
    """Put the folder behind a link."""
    elsewhere = room.run.rename(room.run.with_name("elsewhere"))
    room.run.symlink_to(elsewhere)


def group_writes(room: Room) -> None:
    """Let the group put another socket there."""
    room.run.chmod(0o775)


def others_write(room: Room) -> None:
    """Let anyone put a socket there, though sticky."""
    room.run.chmod(0o1757)


def anothers_folder(room: Room) -> None:
    """Give the folder to another user."""
    os.chown(room.run, 12345, 0)


def anothers_socket(room: Room) -> None:
    """Give the socket to another user."""
    os.chown(room.socket_path, 12345, 0)


UNTRUSTED: dict[Callable[[Room], None], str] = {
    linked: "not a socket in a folder, or a link",
    linked_folder: "not a socket in a folder, or a link",
    group_writes: "its folder may be written by group or others",
    others_write: "its folder may be written by group or others",
    anothers_folder: "socket or folder belongs to neither root nor the helper's user",
    anothers_socket: "socket or folder belongs to neither root nor the helper's user",
}


@pytest.mark.parametrize("line", ["password", "account"])
@pytest.mark.parametrize("state", UNTRUSTED, ids=lambda state: state.__name__)
def test_a_socket_of_a_stranger_hears_nothing(
    room: Room, line: str, state: Callable[[Room], None]
) -> None:
    """Where others could have put the socket, no name and no password goes into it."""
    with room.helper([HEAR, b"G"]) as helper:
        state(room)
        told = reach(room, line)
    assert helper.heard == [[]]
    assert_refused(told, line, UNTRUSTED[state])
    assert told.prompts == ([] if line == "account" else [b"Password: "])


def test_a_stranger_who_listens_hears_nothing(room: Room) -> None:
    """The process behind a right socket must be root's or the helper's user too."""
    with room.helper([HEAR], user=12345) as helper:
        told = reach(room, "password")
    assert helper.heard == [[b""]]
    assert_refused(told, "password", "who listens there is neither root nor the helper's user")
    assert told.prompts == [b"Password: "]


def test_the_helper_may_be_its_own_user(room: Room) -> None:
    """Folder, socket and process may all be of the user that `user=` names."""
    user = pwd.getpwnam("nobody").pw_uid
    room.write_stack(arguments="user=nobody")
    with room.helper([HEAR, b"G"], user=user):
        os.chown(room.run, user, -1)
        os.chown(room.socket_path, user, -1)
        assert reach(room, "account").result == SUCCESS


def fill(room: Room, listener: socket.socket) -> list[socket.socket]:
    """Fill a listener's backlog."""
    waiting: list[socket.socket] = []
    full = False
    while not full:
        waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        waiting[-1].settimeout(0)
        full = waiting[-1].connect_ex(listener.getsockname()) != 0
    assert room.socket_path.exists()
    return waiting


def test_a_crowded_helper_refuses_in_time(room: Room) -> None:
    """Where the backlog is full, the wait for a place in it has its end too."""
    room.write_stack(arguments="user=root timeout=1")
    with room.listen(backlog=1) as listener:
        waiting = fill(room, listener)
        begin = time.monotonic()
        told = reach(room, "password")
        waited = time.monotonic() - begin
        for each in waiting:
            each.close()
    assert_refused(told, "password", "Resource temporarily unavailable")
    assert 1 <= waited < 3


def test_a_crowded_helper_is_waited_for(room: Room) -> None:
    """A place that gets free is taken."""
    listener = room.listen(backlog=1)
    waiting = fill(room, listener)
    room.write_stack(arguments="user=root timeout=10")
    with Helper(listener, *[[]] * (len(waiting) - 1), [HEAR, b"G", SILENCE]) as helper:
        told = reach(room, "account")
        assert helper.ended[-1].wait(5)
    for each in waiting:
        each.close()
    assert told.result == SUCCESS


# Names


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"%s%n%1000000d",
        b"alice\nsshd[1]: Accepted password for root",
        b"\xff\xfe\x80",
        b"A" * 999,
    ],
    ids=["empty", "format", "newline", "not UTF-8", "long"],
)
def test_names_are_carried_as_bytes(room: Room, name: bytes) -> None:
    """Whatever a client calls itself reaches the helper unchanged, and never the log."""
    with room.helper([HEAR, b"U"]) as helper:
        driver = room.driver(name)
        driver.set_item("rhost", name)
        told = driver.authenticate(PASSWORD)
    assert helper.heard == [[b"\0".join([b"H1", b"auth", b"sshd", name, name, b""])]]
    logged = b"".join(told.strings("log 3"))
    assert len(told.log) == 1
    assert not name or name not in logged


@pytest.mark.parametrize(("size", "fits"), [(2033, True), (2034, False), (200_000, False)])
@pytest.mark.parametrize("line", ["password", "account"])
def test_names_that_do_not_fit_are_refused(room: Room, line: str, size: int, *, fits: bool) -> None:
    """A packet of 2,048 bytes is sent; above that the helper is not to blame and not asked."""
    with room.helper([HEAR, b"D"]) as helper:
        driver = room.driver(b"u" * (size if line == "password" else size - 3))
        told = driver.command("account") if line == "account" else driver.authenticate(PASSWORD)
    heard = [[len(packet) for packet in conversation] for conversation in helper.heard]
    assert heard == ([[2048]] if fits else [[]])
    assert told.log == []
    if not fits:
        assert told.result == UNAVAIL
        assert told.prompts == ([] if line == "account" else [b"Password: "])
        assert told.delayed == (line != "account")


def test_a_user_without_a_name_is_asked_for_it(room: Room) -> None:
    """The name is settled before the helper decides about it."""
    with room.helper([HEAR, b"G"]) as helper:
        told = room.driver(None).authenticate(b"bob")
    assert told.result == SUCCESS
    assert len(told.strings("open-prompt")) == 1
    assert helper.heard == [[b"H1\0auth\0sshd\0bob\0\0"]]


def test_a_user_who_does_not_tell_a_name_is_refused(room: Room) -> None:
    """The helper is never asked about nobody."""
    with room.helper([HEAR, b"G"]) as helper:
        told = room.driver(None).authenticate("fail", PASSWORD)
    assert told.result == UNAVAIL
    assert helper.heard == [[]]


# Arguments

AUTH_ALONE = "auth required {module} {arguments}\naccount required {module} {arguments}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "password code",
        "refused code",
        "code password",
        "password password",
        "password debug",
        "password nullok",
        "Password",
        "password=1",
        "password socket=",
        "password socket=run/pam.sock",
        "password socket",
        "password socket=/" + "x" * 107,
        "password socket=/a socket=/b",
        "password user=",
        "password user=root user=root",
        "password timeout=",
        "password timeout=0",
        "password timeout=61",
        "password timeout=-1",
        "password timeout=1s",
        "password timeout=+1",
        "password timeout=99999999999999999999",
        "password timeout=4294967297",
        "password timeout=5 timeout=5",
        "code timeout=0",
    ],
)
def test_a_wrong_argument_refuses(room: Room, arguments: str) -> None:
    """An argument that is not understood is never skipped."""
    (room.stacks / "sshd").write_text(f"auth required {room.programs.module} {arguments}\n")
    told = room.driver().authenticate(PASSWORD)
    assert_refused(told, "password", "mend the PAM service file")
    assert told.prompts == []


@pytest.mark.parametrize("argument", ["password", "refused", "code", "debug"])
def test_a_wrong_argument_on_the_account_line_refuses(room: Room, argument: str) -> None:
    """It takes the others, but none that makes it an auth line."""
    room.write_stack(AUTH_ALONE, arguments=f"user=root {argument}")
    with room.helper([HEAR, b"G"]) as helper:
        told = reach(room, "account")
    assert_refused(told, "account", f"bad argument ({argument})")
    assert helper.heard == [[]]


def test_arguments_have_defaults(room: Room) -> None:
    """Without arguments it is the place and the user that the helper has when installed."""
    (room.stacks / "sshd").write_text(f"auth required {room.programs.module} password\n")
    told = room.driver().authenticate(PASSWORD)
    assert_refused(told, "password", "cannot reach the helper at /run/sftp-mfa/pam.sock")


def test_a_user_who_does_not_exist_refuses(room: Room) -> None:
    """A helper whose user is unknown cannot be told from another's."""
    room.write_stack(arguments="user=no-such-user")
    with room.helper([HEAR, b"G"]) as helper:
        told = reach(room, "password")
    assert_refused(told, "password", "its user, argument user=, is not to be found")
    assert helper.heard == [[]]


# Conversations of another attempt


def test_each_attempt_has_its_own_conversation(room: Room) -> None:
    """After a wrong password in one handle the next attempt starts anew."""
    with room.helper([*TO_THE_CODE[:3], SILENCE], LOGIN) as helper:
        driver = room.driver()
        assert driver.authenticate(b"wrong").result == AUTH_ERR
        assert driver.authenticate(PASSWORD, CODE).result == SUCCESS
        assert helper.ended[0].wait(5)
    assert [len(heard) for heard in helper.heard] == [1, 3]


NO_PASSWORD_LINE = "no line with password ran in this attempt"


@pytest.mark.parametrize("line", ["refused", "code"])
def test_a_line_alone_refuses(room: Room, line: str) -> None:
    """Without the password line before it there is nobody to tell and nobody to ask."""
    room.write_stack("auth required {module} " + line + " {arguments}\n")
    with room.helper([HEAR, b"G"]) as helper:
        told = room.driver().authenticate(CODE)
    assert_refused(told, line, NO_PASSWORD_LINE)
    assert helper.heard == [[]]


@pytest.mark.parametrize("control", ["required", "[success=ignore default=die]"])
def test_a_refused_password_is_not_healed_by_later_lines(room: Room, control: str) -> None:
    """Once the refused line ran the code line refuses too, whatever the helper would have said."""
    room.write_stack(
        "auth [ignore=ignore default=die] {module} password {arguments}\n"
        "auth [default=ignore] {module} refused {arguments}\n"
        f"auth {control} " + "{module} code {arguments}\n"
        "auth required pam_permit.so\n"
    )
    with room.helper([*TO_THE_CODE[:3], HEAR, b"G"]) as helper:
        told = room.driver().authenticate(PASSWORD, CODE)
    assert (told.result, told.log) == (AUTH_ERR, [])
    assert helper.heard[0][1:] == [b""]


@pytest.mark.parametrize("skipped", [1, 2])
def test_a_conversation_of_an_earlier_attempt_is_not_taken(room: Room, skipped: int) -> None:
    """A stack that skips our password line the second time does not get at what the first left."""
    room.write_stack(
        f"auth [success={skipped} default=ignore] pam_succeed_if.so quiet tty = skip\n"
        "auth [ignore=ignore default=die] {module} password {arguments}\n"
        "auth requisite {machine}\n"
        "auth required {module} code {arguments}\n"
    )
    with room.helper([*TO_THE_CODE[:3], HEAR, b"G"]) as helper:
        driver = room.driver()
        assert driver.authenticate(b"wrong").result == AUTH_ERR
        driver.set_item("tty", b"skip")
        told = driver.authenticate(PASSWORD)
    assert_refused(told, "code", NO_PASSWORD_LINE)
    assert helper.heard[0][1:] == [b""]


def test_a_conversation_of_another_process_is_not_taken(room: Room) -> None:
    """A child that was forked on the way has a copy, and may not go on with it."""
    room.write_stack(machine="fork")
    with room.helper([*TO_THE_CODE, b"G"]) as helper:
        told = room.driver().authenticate(PASSWORD, CODE)
    assert told.numbers("authenticate") == [UNAVAIL, AUTH_ERR]
    assert NO_PASSWORD_LINE in told.log[0]
    assert helper.heard[0][1:] == [b""]


def test_a_forked_attempt_ends_what_the_parent_left(room: Room) -> None:
    """As sshd does for keyboard-interactive, after a failed attempt by the `password` method."""
    room.write_stack("auth required {module} password {arguments}\nauth required pam_deny.so\n")
    ended: list[bool] = []

    def wait_for_the_first(_: socket.socket) -> None:
        ended.append(helper.ended[0].wait(3))

    steps: list[Step] = [HEAR, wait_for_the_first, b"G"]
    with room.helper([*TO_THE_CODE[:3], SILENCE], steps) as helper:
        driver = room.driver()
        driver.authenticate(PASSWORD)
        assert not helper.ended[0].is_set()
        driver.authenticate(how="fork")
    assert ended == [True]


@pytest.mark.parametrize(
    "arguments", ["refused", "code", "nonsense", "", "password", "password timeout=0"]
)
def test_setcred_never_resets_a_login(room: Room, arguments: str) -> None:
    """It succeeds, whatever the arguments; on the password line it leads on to the other lines."""
    (room.stacks / "sshd").write_text(
        f"auth [success=done ignore=ignore default=die] {room.programs.module} {arguments}\n"
        f"auth required {room.programs.machine}\n"
    )
    told = room.driver().command("setcred")
    assert (told.result, told.log) == (SUCCESS, [])
    assert told.numbers("machine-setcred") == ([1] if "password" in arguments else [])


def test_setcred_of_the_machine_runs_after_a_token_too(room: Room) -> None:
    """In one handle, as with the `password` method, libpam goes by what the lines said before."""
    with room.helper([HEAR, ASK_PASSWORD, HEAR, b"G"]):
        driver = room.driver()
        assert driver.authenticate(b"smfa_token").result == SUCCESS
        told = driver.command("setcred")
    assert (told.result, told.numbers("machine-setcred")) == (SUCCESS, [1])


# The account line


def test_the_account_line_has_a_connection_of_its_own(room: Room) -> None:
    """It tells its phase, shows texts and returns what the helper grants."""
    with room.helper([HEAR, b"TBarred soon", b"G", SILENCE]) as helper:
        driver = room.driver()
        driver.set_item("rhost", b"192.0.2.1")
        told = driver.command("account")
        assert helper.ended[0].wait(5)
    assert (told.result, told.strings("text")) == (SUCCESS, [b"Barred soon"])
    assert helper.heard == [[b"H1\0account\0sshd\0alice\x00192.0.2.1\0"]]


# Secrets


def mask(secret: bytes) -> str:
    """Hide what to look for, so that the search does not find its own note of it."""
    return bytes(byte ^ 0x5A for byte in secret).hex()


def test_no_secret_is_left_in_memory(tmp_path: Path) -> None:
    """Libpam has the one copy that the stack needs, while it needs it; afterwards there is none."""
    # Long, so that a part stays where another part was written over by chance.
    secret, code = b"a-piece-of-the-password/" * 40, b"a-piece-of-the-code/" * 40
    in_authtok = [40]
    broken: list[Step] = [HEAR, ASK_PASSWORD, HEAR, b"N" + secret + b"\0", SILENCE]
    with room(Programs.build(tmp_path, "-O2")) as made:
        made.write_stack(machine="copies")
        with made.helper(LOGIN, [*LOGIN[:6], b"D"], [*LOGIN[:6], b""], [*LOGIN[:3], b"U"], broken):
            driver = made.driver()
            for result in (SUCCESS, AUTH_ERR, UNAVAIL, UNAVAIL, UNAVAIL):
                driver.command("look-for", mask(secret[:24]))
                told = driver.authenticate(secret, code)
                assert told.result == result
                assert told.numbers("copies") == (in_authtok if told.strings("machine") else [])
                assert driver.command("copies").numbers("copies") == [0]
                driver.command("look-for", mask(code[:20]))
                assert driver.command("copies").numbers("copies") == [0]
        driver.command("look-for", mask(secret[:24]))
        assert driver.authenticate(secret).prompts == [b"Password: "]
        assert driver.command("copies").numbers("copies") == [0]


# A helper gone mad


def takes(line: str, packet: bytes) -> bool:
    """Tell whether a packet is in the README's table for this line."""
    least, most, lines = {
        b"P": (1, 512, "password code"),
        b"T": (1, 512, "password code account"),
        b"N": (0, 1024, "password"),
        b"S": (0, 0, "password"),
        b"G": (0, 0, "password code account"),
        b"D": (0, 0, "password code account"),
        b"U": (0, 0, "password code account"),
    }.get(packet[:1], (0, 0, ""))
    return line in lines.split() and least <= len(packet) - 1 <= most and b"\0" not in packet


def foretell(line: str, packets: list[bytes]) -> tuple[list[Step], bytes]:
    """Return the steps that a line takes of these packets, and the letter that ends it."""
    steps: list[Step] = [HEAR]
    for number, packet in enumerate(packets):
        steps.append(packet)
        if not takes(line, packet) or (number >= 16 and packet[:1] in b"PT"):
            return steps, b"U"
        if packet[:1] not in b"PT":
            return steps, packet[:1]
        if packet[:1] == b"P":
            steps.append(HEAR)
    return steps, b"U"


def invent(chance: random.Random) -> list[bytes]:
    """Make up what a helper says in a line: mostly likely, sometimes anything."""
    packets = []
    for _ in range(chance.choice([1, 1, 2, 2, 3, 4, 20])):
        kind = chance.choices(b"PTNSGDU", [6, 3, 3, 1, 2, 1, 1])[0]
        size = chance.choice([1, 8, 511, 512, 513, 1024, 1025]) if kind in b"PTN" else 0
        packet = bytes([kind]) + bytes(chance.choices(range(1, 256), k=size))
        if chance.random() < 0.08:
            damaged = bytearray(packet)
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            packet = bytes(damaged[: chance.randrange(len(damaged) + 1)])
        packets.append(packet)
    return packets


def foretell_login(chance: random.Random) -> tuple[list[Step], int]:
    """Make up a conversation over both auth lines, and tell what pam_authenticate is to say."""
    ends = {b"G": SUCCESS, b"D": AUTH_ERR, b"U": UNAVAIL}
    steps, end = foretell("password", invent(chance))
    if end in b"NS":
        more, end = foretell("code", invent(chance))
        steps += more
    return steps, ends[end]


def test_a_mad_helper_gets_what_the_table_says(room: Room) -> None:
    """Thousands of random conversations in one process end as foretold, leaking nothing."""
    chance = random.Random(20250101)  # noqa: S311 (repeatable, no secret)
    answers = [b"a" * chance.choice([0, 1, 30, 1024, 1025, 9000]) for _ in range(60)]
    cases = []
    for _ in range(2000):
        steps, login = foretell_login(chance)
        account_steps, letter = foretell("account", invent(chance))
        account = {b"G": SUCCESS, b"D": PERM_DENIED, b"U": UNAVAIL}[letter]
        cases.append(([*steps, b""], login, [*account_steps, b""], account))
    with room.helper(*(script for case in cases for script in (case[0], case[2]))):
        driver = room.driver()
        before = driver.command("descriptors").numbers("descriptors")
        end = time.monotonic() + 8
        for login_steps, login, account_steps, account in cases:
            assert driver.authenticate(*answers).result == login, login_steps
            assert driver.command("account").result == account, account_steps
            if time.monotonic() > end:
                break
        driver.command("setcred")
        assert driver.command("descriptors").numbers("descriptors") == before


# The module as it is built


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the module as it is installed."""
    return make(tmp_path_factory.mktemp("built"))


def output_of(*command: str | Path) -> str:
    """Run a tool and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_exports_what_libpam_calls_and_no_more(built: Path) -> None:
    """A name that it does not export cannot meet one of sshd's."""
    names = [
        line.split()[-1] for line in output_of("nm", "-D", "--defined-only", built).splitlines()
    ]
    assert sorted(names) == ["pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_setcred"]


def test_it_is_hardened(built: Path) -> None:
    """Its relocations are read-only from the start, its stack is guarded and not executable."""
    segments = output_of("readelf", "-lW", built)
    assert "GNU_RELRO" in segments
    assert "BIND_NOW" in output_of("readelf", "-dW", built)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    assert stack.split()[6] == "RW"
    assert "TEXTREL" not in output_of("readelf", "-dW", built)
    assert "__stack_chk_fail" in output_of("nm", "-D", built)
    assert "_chk@" in output_of("nm", "-D", built).replace("__stack_chk_fail@", "")


def test_it_keeps_no_state_of_its_own(built: Path) -> None:
    """Nothing is written that is not libpam's or of one call: handles and threads do not meet."""
    symbols = [line.split() for line in output_of("nm", built).splitlines()]
    writable = {name for *_, kind, name in symbols if kind in "bBdD"}
    assert {name for name in writable if not name.startswith(("_", "completed."))} == set()


def test_make_install_puts_it_where_libpam_looks(tmp_path: Path) -> None:
    """That is, in the folder of the machine's own modules."""
    make(tmp_path / "build", f"DESTDIR={tmp_path / 'root'}", "install")
    (installed,) = (tmp_path / "root").rglob("*.so")
    beside = Path("/") / installed.relative_to(tmp_path / "root").parent
    assert (beside / "pam_permit.so").exists()
    assert installed.stat().st_mode & 0o777 == 0o644
