"""Accounts: their one name, their state, and what an administrator may do to it."""

import pwd
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from store import lockout, throttles
from store.audit import Actor, Entry, Event
from store.clock import from_milliseconds, when
from store.errors import NotFoundError
from store.lockout import LockState
from store.names import can_be_stored
from store.password_throttle import account_subject
from store.schema import SYSTEM_ACCOUNT, accounts
from store.sessions import end_sessions
from store.settings import Settings
from store.throttles import Gate
from store.unit_of_work import UnitsOfWork

_MAX_NAME = 256
MAX_PAGE = 500
_AFTER_EVERY_NAME = "\U0010ffff"


def canonical_name(typed: str) -> str | None:
    """Give the name under which the store knows an account: the one NSS gives back.

    With a directory behind NSS, `Alice`, `alice` and `alice@corp` can be one account. None when
    NSS knows no such account, or the name could not be one.
    """
    try:
        name = pwd.getpwnam(typed).pw_name
        name.encode()  # one that is not UTF-8 could not be kept: a UnicodeEncodeError
    except (KeyError, ValueError, OverflowError):
        return None
    return name if 0 < len(name) <= _MAX_NAME else None


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the store knows of an account beside its factors."""

    name: str
    known_since: datetime | None
    """None: the store has never met the account."""
    adopted_at: datetime | None
    """None: the account has not adopted MFA."""
    barred_at: datetime | None
    wrong_codes: int
    """Wrong codes in a row since the last right one or the last lock."""
    locked_until: datetime | None
    """None: the code check is open."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """How far MFA has come."""

    accounts: int
    """Accounts that the store has met."""
    adopted: int
    barred: int


_ONE = select(accounts).where(accounts.c.name == bindparam("name"))
_COUNTS = select(
    func.count().label("all"),
    func.count(accounts.c.adopted_at).label("adopted"),
    func.count(accounts.c.barred_at).label("barred"),
).where(accounts.c.name != SYSTEM_ACCOUNT)


class Accounts:
    """Shows accounts, unlocks and bars them."""

    def __init__(self, units: UnitsOfWork, settings: Settings) -> None:
        """Work on that store."""
        self._units = units
        self._policy = settings.lockout

    def show(self, name: str) -> AccountState:
        """Tell the state of an account."""
        row = None
        if can_be_stored(name):
            with self._units.database.read() as connection:
                row = connection.execute(_ONE, {"name": name}).one_or_none()
        if row is None:
            return AccountState(name, None, None, None, 0, None)
        return self._state(row, self._units.clock())

    def list(
        self,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        adopted: bool | None = None,
        locked: bool = False,
        barred: bool = False,
    ) -> list[AccountState]:
        """List accounts that the store has met by name, those after a name where one is given."""
        if not can_be_stored(prefix + after):
            return []
        name = accounts.c.name
        query = select(accounts)
        if prefix:
            query = query.where(name < prefix + _AFTER_EVERY_NAME)
        # One lower bound only: SQLite would take the first of two, and read on from there.
        bound = name >= prefix if prefix > after else name > bindparam("after")
        if adopted is not None:
            since = accounts.c.adopted_at
            query = query.where(since.is_not(None) if adopted else since.is_(None))
        if locked:
            query = query.where(accounts.c.locked_at.is_not(None))
        if barred:
            query = query.where(accounts.c.barred_at.is_not(None))
        limit = max(1, min(limit, MAX_PAGE))
        query = query.order_by(name).limit(limit)
        found: list[AccountState] = []
        now = self._units.clock()
        with self._units.database.read() as connection:
            while len(found) < limit:
                rows = connection.execute(query.where(bound), {"after": after}).all()
                states = [self._state(row, now) for row in rows]
                # A lock that is over leaves its time in the row until the next right code.
                found += [state for state in states if state.locked_until or not locked]
                if len(rows) < limit:
                    break
                after, bound = rows[-1].name, name > bindparam("after")
        return found[:limit]

    def adoption(self) -> Adoption:
        """Count who has adopted MFA."""
        with self._units.database.read() as connection:
            row = connection.execute(_COUNTS).one()
        return Adoption(row.all, row.adopted, row.barred)

    def unlock(self, name: str, actor: Actor) -> None:
        """Open an account's gates again and forget what was wrong; NotFoundError if never met."""
        with self._units.begin() as work:
            account = work.account(name)
            if account is None:
                message = f"the store has never met the account {name}"
                raise NotFoundError(message)
            account.lock = lockout.OPEN
            throttles.clear(work.connection, Gate.ONE_STRING, name)
            throttles.clear(work.connection, Gate.PASSWORD_OF_ACCOUNT, account_subject(name))
            work.record(account, Entry(Event.ACCOUNT_UNLOCKED, actor))

    def bar(self, name: str, actor: Actor) -> None:
        """Keep an account out on every way in, tokens and public keys included."""
        with self._units.begin() as work:
            account = work.ensure_account(name, actor)
            if account.barred_at is None:
                account.barred_at = work.now
                end_sessions(work, account)
                work.record(account, Entry(Event.ACCOUNT_BARRED, actor))

    def unbar(self, name: str, actor: Actor) -> None:
        """Let a barred account in again."""
        with self._units.begin() as work:
            account = work.account(name)
            if account is not None and account.barred_at is not None:
                account.barred_at = None
                work.record(account, Entry(Event.ACCOUNT_UNBARRED, actor))

    def note_password_changed(self, name: str, actor: Actor) -> None:
        """Put a change of the password on record; sessions but the actor's own end."""
        with self._units.begin() as work:
            account = work.ensure_account(name, actor)
            end_sessions(work, account, actor)
            work.record(account, Entry(Event.PASSWORD_CHANGED, actor))

    def _state(self, row: Row[Any], now: int) -> AccountState:
        lock = LockState(row.failures, row.locks, row.locked_at)
        left = lockout.remaining(lock, now, self._policy)
        return AccountState(
            name=row.name,
            known_since=from_milliseconds(row.created_at),
            adopted_at=when(row.adopted_at),
            barred_at=when(row.barred_at),
            wrong_codes=row.failures,
            locked_until=from_milliseconds(now + left) if left else None,
        )
