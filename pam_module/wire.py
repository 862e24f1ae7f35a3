"""The messages between relay and helper, as README.md of this folder defines them."""

from dataclasses import dataclass, field

VERSION = b"1"
MAX_HELLO = 2048
MAX_ANSWER = 1024
MAX_TEXT = 512
MAX_PACKET = 1 + MAX_HELLO
"""More than any message of the relay has; a longer packet is cut off and so refused."""

_HELLO_FIELDS = 6


class WireError(Exception):
    """The relay said what it never says."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message: which phase of PAM, for whom, from where."""

    phase: str
    service: str
    user: str
    """As typed; not yet the canonical name."""
    remote_host: str
    tty: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person answered; None if it could not be carried."""

    value: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Continue:
    """The stack accepted the password."""


def parse(packet: bytes) -> Hello | Answer | Continue:
    """Read a message of the relay; WireError for anything else."""
    kind, payload = packet[:1], packet[1:]
    match kind:
        case b"H":
            return _hello(payload)
        case b"A" if len(payload) <= MAX_ANSWER and b"\0" not in payload:
            return Answer(payload)
        case b"X" if not payload:
            return Answer(None)
        case b"C" if not payload:
            return Continue()
    message = f"a packet of type {kind!r} and {len(payload)} bytes"
    raise WireError(message)


def _hello(payload: bytes) -> Hello:
    fields = payload.split(b"\0")
    if len(fields) != _HELLO_FIELDS or len(payload) > MAX_HELLO:
        message = f"a greeting of {len(fields)} fields and {len(payload)} bytes"
        raise WireError(message)
    version, *rest = fields
    if version != VERSION:
        message = f"the PAM module speaks version {version!r} of the protocol, not {VERSION!r}"
        raise WireError(message)
    phase, service, user, remote_host, tty = (
        part.decode("utf-8", "surrogateescape") for part in rest
    )
    if phase not in {"auth", "account"}:
        message = f"a greeting for phase {phase!r}"
        raise WireError(message)
    return Hello(phase, service, user, remote_host, tty)


def prompt(text: str) -> bytes:
    """Ask, with echo off."""
    return b"P" + text.encode("utf-8")


def tell(text: str) -> bytes:
    """Show a text."""
    return b"T" + text.encode("utf-8")


def pass_on(password: bytes) -> bytes:
    """Hand a password to the rest of the stack."""
    return b"N" + password


STAND_ASIDE = b"S"
"""Let the rest of the stack ask by itself."""
GRANTED = b"G"
DENIED = b"D"
UNAVAILABLE = b"U"
