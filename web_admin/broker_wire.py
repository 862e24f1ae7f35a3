"""The messages between the web service and the password broker: one packet there, one back.

A request is `C` (check) or `N` (new password), then account, address and one or two passwords,
joined by NUL. An answer is one letter of `Verdict`, for a refused new password with the words of
the machine's own rules.
"""

from dataclasses import dataclass, field
from enum import Enum

from store.secret import Secret

MAX_NAME = 256
MAX_ADDRESS = 64
MAX_PASSWORD = 1024
"""As sshd caps it."""
MAX_REQUEST = 1 + MAX_NAME + MAX_ADDRESS + 2 * MAX_PASSWORD + 3
MAX_TEXT = 400
MAX_ANSWER = 1 + 4 * MAX_TEXT


class Verdict(Enum):
    """What the broker answers."""

    RIGHT = b"R"
    EXPIRED = b"E"
    """Right, and must be changed."""
    CLOSED = b"A"
    """Right, and the account phase refuses the account: expired, or not at this hour."""
    WRONG = b"W"
    BUSY = b"B"
    """Too many wrong passwords for this account within a minute."""
    UNAVAILABLE = b"U"
    CHANGED = b"O"
    REFUSED = b"X"
    """The old password was right, and the machine's rules refuse the new one."""


class WireError(Exception):
    """The other end said what it never says."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the broker."""

    account: str
    address: str
    password: bytes = field(repr=False)
    new_password: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the broker says, with the rules' words where they refuse a new password."""

    verdict: Verdict
    text: str = ""


def request(account: str, address: str, *passwords: Secret) -> bytes | None:
    """Write a check (one password) or a change (old and new); None if it cannot be asked."""
    fields = [account.encode("utf-8", "surrogateescape"), address.encode("ascii", "replace")]
    fields += [password.value for password in passwords]
    limits = [MAX_NAME, MAX_ADDRESS, MAX_PASSWORD, MAX_PASSWORD]
    for value, limit in zip(fields, limits, strict=False):
        if len(value) > limit or b"\0" in value:
            return None
    return (b"C" if len(passwords) == 1 else b"N") + b"\0".join(fields)


def parse_request(packet: bytes) -> Request:
    """Read a request; WireError for anything else."""
    fields = packet[1:].split(b"\0")
    wanted = {b"C": 3, b"N": 4}.get(packet[:1])
    if len(packet) > MAX_REQUEST or len(fields) != wanted or len(fields[0]) > MAX_NAME:
        message = f"a request of {len(packet)} bytes and {len(fields)} fields"
        raise WireError(message)
    account = fields[0].decode("utf-8", "surrogateescape")
    return Request(account, fields[1].decode("ascii", "replace"), *fields[2:])


def account_of(packet: bytes) -> str:
    """Give only the account's name of a request, and no copy of a password."""
    return packet[1 : packet.find(b"\0") % (MAX_NAME + 2)].decode("utf-8", "surrogateescape")


def answer(reply: Answer) -> bytes:
    """Write an answer."""
    return reply.verdict.value + reply.text[:MAX_TEXT].encode("utf-8", "replace")


def parse_answer(packet: bytes) -> Answer:
    """Read an answer; WireError for anything else."""
    try:
        return Answer(Verdict(packet[:1]), packet[1:].decode("utf-8"))
    except ValueError as error:
        message = f"an answer of {len(packet)} bytes"
        raise WireError(message) from error
