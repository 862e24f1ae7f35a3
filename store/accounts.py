"""Accounts: their one name, their state, and what an administrator may do to it."""

import pwd
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select

from store import lockout, throttles
from store.audit import Actor, Entry, Event
from store.clock import from_milliseconds, when
from store.errors import NotFoundError
from store.lockout import LockState
from store.schema import accounts
from store.settings import LockoutSettings
from store.throttles import Gate
from store.unit_of_work import UnitsOfWork

_MAX_NAME = 256


def canonical_name(typed: str) -> str | None:
    """Give the name under which the store knows an account: the one NSS gives back.

    With a directory behind NSS, `Alice`, `alice` and `alice@corp` can be one account. None when
    NSS knows no such account, or the name could not be one.
    """
    try:
        name = pwd.getpwnam(typed).pw_name
    except (KeyError, ValueError, OverflowError):
        return None
    return name if 0 < len(name) <= _MAX_NAME else None


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the store knows of an account beside its factors."""

    name: str
    known_since: datetime | None
    """None: the store has never met the account."""
    barred_at: datetime | None
    wrong_codes: int
    """Wrong codes in a row since the last right one or the last lock."""
    locked_until: datetime | None
    """None: the code check is open."""


_ONE = select(accounts).where(accounts.c.name == bindparam("name"))


class Accounts:
    """Shows accounts, unlocks and bars them."""

    def __init__(self, units: UnitsOfWork, policy: LockoutSettings) -> None:
        """Work on that store."""
        self._units = units
        self._policy = policy

    def show(self, name: str) -> AccountState:
        """Tell the state of an account."""
        with self._units.database.read() as connection:
            row = connection.execute(_ONE, {"name": name}).one_or_none()
        if row is None:
            return AccountState(name, None, None, 0, None)
        now = self._units.clock()
        lock = LockState(row.failures, row.locks, row.locked_at)
        left = lockout.remaining(lock, now, self._policy)
        return AccountState(
            name=row.name,
            known_since=from_milliseconds(row.created_at),
            barred_at=when(row.barred_at),
            wrong_codes=row.failures,
            locked_until=from_milliseconds(now + left) if left else None,
        )

    def unlock(self, name: str, actor: Actor) -> None:
        """Open the code check again and forget wrong codes; NotFoundError if never met."""
        with self._units.begin() as work:
            account = work.account(name)
            if account is None:
                message = f"the store has never met the account {name}"
                raise NotFoundError(message)
            account.lock = lockout.OPEN
            throttles.clear(work.connection, Gate.ONE_STRING, name)
            work.record(account, Entry(Event.ACCOUNT_UNLOCKED, actor))

    def bar(self, name: str, actor: Actor) -> None:
        """Keep an account out on every way in, tokens and public keys included."""
        with self._units.begin() as work:
            account = work.ensure_account(name, actor)
            if account.barred_at is None:
                account.barred_at = work.now
                work.record(account, Entry(Event.ACCOUNT_BARRED, actor))

    def unbar(self, name: str, actor: Actor) -> None:
        """Let a barred account in again."""
        with self._units.begin() as work:
            account = work.account(name)
            if account is not None and account.barred_at is not None:
                account.barred_at = None
                work.record(account, Entry(Event.ACCOUNT_UNBARRED, actor))
