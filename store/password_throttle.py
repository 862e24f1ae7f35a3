"""Slows the guessing of passwords through web and API, by account and by address.

Only that: it never closes SFTP, whose guessing sshd and PAM bound themselves. A guess is counted
before the password is checked and taken back when it was right, so that guesses sent all at once
are bounded like those sent one after the other.
"""

import hashlib
import ipaddress

from store import lockout, throttles
from store.audit import Actor, Entry, Event
from store.decisions import Protocol
from store.lockout import OPEN
from store.settings import GateSettings, PasswordThrottleSettings
from store.throttles import Gate
from store.unit_of_work import UnitOfWork, UnitsOfWork

_LONGEST = 256


class PasswordThrottle:
    """Counts guesses in the store, for all hosts together."""

    def __init__(self, units: UnitsOfWork, settings: PasswordThrottleSettings) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings

    def enter(self, name: str, address: str, protocol: Protocol = Protocol.WEB) -> int:
        """Count a guess ahead; give 0 if it may be made, else the seconds until one may.

        The guess after which no more may be made goes on record, in the system's chain: whether
        the account exists must not show by the time that this takes.

        The name is the canonical one, or as typed if NSS knows none: both are throttled alike,
        so that the answer does not tell which accounts exist.
        """
        with self._units.begin() as work:
            gates = self._gates(name, address)
            states = [
                throttles.load(work.connection, gate, subject, work.now, policy)
                for gate, subject, policy in gates
            ]
            waits = [
                lockout.remaining(state, work.now, policy)
                for state, (*_, policy) in zip(states, gates, strict=True)
            ]
            if any(waits):
                return -(-max(waits) // 1000)
            for state, (gate, subject, policy) in zip(states, gates, strict=True):
                counted = lockout.after_wrong(state, None, work.now, policy)
                throttles.save(work.connection, gate, subject, counted, work.now)
                if counted.locks > state.locks:
                    stopped = name if gate is Gate.PASSWORD_OF_ACCOUNT else subject
                    actor = Actor(_storable(name), protocol, address[:64])
                    entry = Entry(Event.PASSWORD_GUESSES_STOPPED, actor, subject=_storable(stopped))
                    work.record(work.system(), entry)
            return 0

    def succeed(self, name: str, address: str) -> None:
        """Take the guess back that `enter` counted: it was right.

        The account's wrong guesses are forgotten. Those from the address are not: somebody with
        an account of their own must not be able to open the gate by signing in now and then.
        """
        with self._units.begin() as work:
            (_, account, _), (gate, subject, policy) = self._gates(name, address)
            throttles.clear(work.connection, Gate.PASSWORD_OF_ACCOUNT, account)
            self._undo(work, gate, subject, policy)

    def _undo(self, work: UnitOfWork, gate: Gate, subject: str, policy: GateSettings) -> None:
        state = throttles.load(work.connection, gate, subject, work.now, policy)
        undone = lockout.undone(state, policy)
        if undone == OPEN:
            throttles.clear(work.connection, gate, subject)
        else:
            throttles.save(work.connection, gate, subject, undone, work.now)

    def _gates(self, name: str, address: str) -> list[tuple[Gate, str, GateSettings]]:
        return [
            (Gate.PASSWORD_OF_ACCOUNT, account_subject(name), self._settings.account),
            (Gate.PASSWORD_FROM_ADDRESS, address_subject(address), self._settings.address),
        ]


def _storable(typed: str) -> str:
    """Give what was typed as the audit can keep it."""
    text = typed[:_LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\0")[:_LONGEST]


def account_subject(name: str) -> str:
    """Give a name of bounded length to what was typed, which may be of any."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def address_subject(address: str) -> str:
    """Give the address, or an IPv6 one's /64: that is what one customer has to himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
