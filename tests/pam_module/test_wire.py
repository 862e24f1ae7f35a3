"""The messages between relay and helper, as pam_module/README.md has them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pam_module import wire
from pam_module.wire import Answer, Continue, Hello, WireError, parse

HELLO = b"H1\0auth\0sshd\0alice\x00192.0.2.7\0ssh"
fields = st.binary(max_size=300).map(lambda field: field.replace(b"\0", b""))
packets = st.builds(bytes.__add__, st.sampled_from([b"H", b"H1\0", b"A", b"X", b"C"]), st.binary())


def test_greeting_is_taken_apart() -> None:
    """Phase, service, user, remote host and tty, in this order."""
    assert parse(HELLO) == Hello("auth", "sshd", "alice", "192.0.2.7", "ssh")
    assert parse(HELLO.replace(b"auth", b"account")) == Hello(
        "account", "sshd", "alice", "192.0.2.7", "ssh"
    )


def test_answers_are_told_apart() -> None:
    """An answer, none that could be carried, and the password's acceptance."""
    assert parse(b"Acorrect horse") == Answer(b"correct horse")
    assert parse(b"A") == Answer(b"")
    assert parse(b"X") == Answer(None)
    assert parse(b"C") == Continue()


@given(fields, fields, fields, fields)
def test_greeting_takes_any_bytes_without_nul(
    service: bytes, user: bytes, host: bytes, tty: bytes
) -> None:
    """Names that are not UTF-8 arrive as they were sent; nobody breaks the helper by his name."""
    hello = parse(b"\0".join([b"H1", b"auth", service, user, host, tty]))
    assert isinstance(hello, Hello)
    sent = [service, user, host, tty]
    taken = [hello.service, hello.user, hello.remote_host, hello.tty]
    assert [text.encode("utf-8", "surrogateescape") for text in taken] == sent


@given(st.binary(max_size=1024).map(lambda value: value.replace(b"\0", b"")))
def test_answer_arrives_as_it_was_sent(value: bytes) -> None:
    """Every byte but NUL."""
    assert parse(b"A" + value) == Answer(value)


@given(st.binary() | packets)
@example(b"")
def test_any_packet_is_a_message_or_a_wire_error(packet: bytes) -> None:
    """Nothing that arrives is a fault of the program."""
    try:
        message = parse(packet)
    except WireError:
        return
    assert isinstance(message, Hello | Answer | Continue)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"Z",
        b"h1",
        b"\0",
        b"X ",
        b"C\0",
        b"P",
        b"G",
        b"U",
        b"A\0",
        b"Asecret\0",
        b"A" + b"x" * 1025,
        b"H",
        b"H1",
        HELLO + b"\0",
        HELLO.removesuffix(b"\0ssh"),
        HELLO.replace(b"H1", b"H2"),
        HELLO.replace(b"H1", b"H"),
        HELLO.replace(b"H1", b"H01"),
        HELLO.replace(b"auth", b"session"),
        HELLO.replace(b"auth", b"AUTH"),
        HELLO.replace(b"auth", b""),
        HELLO + b"x" * 2048,
    ],
)
def test_what_the_relay_never_says_is_refused(packet: bytes) -> None:
    """Another type, length, version, phase or number of fields, and whatever should be empty."""
    with pytest.raises(WireError):
        parse(packet)


def test_longest_messages_are_taken() -> None:
    """The limits are those of the relay."""
    assert parse(b"A" + b"x" * 1024) == Answer(b"x" * 1024)
    rest = b"x" * (2047 - len(HELLO[1:]))
    assert isinstance(parse(HELLO + rest), Hello)
    assert wire.MAX_PACKET > 2047


@pytest.mark.parametrize("packet", [b"Acorrect horse\0", b"Zcorrect horse", b"Ccorrect horse"])
def test_error_does_not_show_what_was_sent(packet: bytes) -> None:
    """It goes to the log, and what was sent may be a password."""
    with pytest.raises(WireError) as caught:
        parse(packet)
    assert "horse" not in str(caught.value)


def test_answer_does_not_print_itself() -> None:
    """Nor does a message that is printed for whatever reason."""
    assert "horse" not in repr(parse(b"Acorrect horse"))


def test_version_that_differs_is_named() -> None:
    """After an upgrade the operator is told which half is of another version."""
    with pytest.raises(WireError, match=r"version b'2' of the protocol, not b'1'"):
        parse(HELLO.replace(b"H1", b"H2"))


def test_what_the_helper_says_is_a_type_and_its_payload() -> None:
    """Prompts and texts in UTF-8, passwords as they came, the rest a letter."""
    assert wire.prompt("Passwort f\u00fcr SFTP: ") == b"PPasswort f\xc3\xbcr SFTP: "
    assert wire.tell("Set it up.") == b"TSet it up."
    assert wire.pass_on(b"\xff correct horse") == b"N\xff correct horse"
    verdicts = (wire.STAND_ASIDE, wire.GRANTED, wire.DENIED, wire.UNAVAILABLE)
    assert verdicts == (b"S", b"G", b"D", b"U")
