"""Is this password right? Asked the same way by every door that takes passwords over HTTP.

Every refusal takes the same time, whether the account exists or not, and however it was refused:
longer than PAM's own wait, which is random and starts only after the password was hashed.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

from store.accounts import canonical_name
from store.decisions import Attempt, Protocol
from store.opening import Store
from store.secret import Secret
from web_admin.broker_wire import Verdict
from web_admin.passwords import Passwords

REFUSAL_SECONDS = 3.3
"""pam_unix waits 2 s ± 50 %; hashing, a commit and a busy machine come on top."""
_MOST_FROM_ONE_ADDRESS = 8
_BUSY_SECONDS = 60
_FULL_SECONDS = 5


class Finding(Enum):
    """What was found."""

    RIGHT = auto()
    RIGHT_BUT_EXPIRED = auto()
    WRONG = auto()
    CLOSED = auto()
    """Right, but the machine refuses the account."""
    NOT_NOW = auto()
    """Not looked at: too many guesses, for this account, from this address or altogether."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A password that was checked, and for whom."""

    finding: Finding
    account: str
    """The account's canonical name; as typed, if there is none."""
    wait: int = 0
    """Seconds until it may be tried again."""
    generation: int = 0
    """Of the account's sessions, before the password was checked: see store.sessions."""


class PasswordCheck:
    """Counts guesses, asks the broker, keeps the time."""

    def __init__(self, store: Store, passwords: Passwords, places: int) -> None:
        """Let so many checks go on at once; the service's other threads stay free."""
        self._store = store
        self._passwords = passwords
        self._places = places
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    def check(self, typed: str, password: Secret, address: str, door: Protocol) -> Checked:
        """Check a password; BrokerUnavailableError if nobody can."""
        with self._place(address) as is_free:
            if not is_free:
                return Checked(Finding.NOT_NOW, typed, _FULL_SECONDS)
            started = time.monotonic()
            checked = self._check(typed, password, address, door)
            if checked.finding is Finding.WRONG:
                time.sleep(max(0.0, started + REFUSAL_SECONDS - time.monotonic()))
            return checked

    def _check(self, typed: str, password: Secret, address: str, door: Protocol) -> Checked:
        known = canonical_name(typed)
        name = known or typed
        wait = self._store.password_throttle.enter(name, address, door)
        if wait:
            return Checked(Finding.NOT_NOW, name, wait)
        generation = self._store.sessions.generation(name)
        verdict = self._passwords.check(name, address, password).verdict
        if verdict is Verdict.BUSY:
            return Checked(Finding.NOT_NOW, name, _BUSY_SECONDS)
        if known is None or verdict not in _FINDINGS:
            if known is not None:
                self._store.authentication.refuse_password(Attempt(name, door, address))
            return Checked(Finding.WRONG, name)
        self._store.password_throttle.succeed(name, address)
        return Checked(_FINDINGS[verdict], name, generation=generation)

    @contextmanager
    def _place(self, address: str) -> Iterator[bool]:
        with self._lock:
            is_free = (
                self._under_way.total() < self._places
                and self._under_way[address] < _MOST_FROM_ONE_ADDRESS
            )
            if is_free:
                self._under_way[address] += 1
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._under_way[address] -= 1
                    if not self._under_way[address]:
                        del self._under_way[address]


_FINDINGS = {
    Verdict.RIGHT: Finding.RIGHT,
    Verdict.EXPIRED: Finding.RIGHT_BUT_EXPIRED,
    Verdict.CLOSED: Finding.CLOSED,
}
