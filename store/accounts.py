"""Accounts: their one name, their state, and what an administrator may do to it."""

import pwd
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select

from store import access_tokens, grace, lockout, throttles, totp_factors
from store.audit import Actor, Entry, Event
from store.clock import from_milliseconds, when
from store.errors import NotFoundError
from store.lockout import LockState
from store.names import can_be_stored
from store.password_throttle import account_subject
from store.schema import SYSTEM_ACCOUNT, accounts
from store.sessions import end_sessions
from store.settings import Settings
from store.statements import Row, Statement, fetch
from store.throttles import Gate
from store.unit_of_work import Account, UnitOfWork, UnitsOfWork

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


_SHOWN = (
    accounts.c.name,
    accounts.c.created_at,
    accounts.c.adopted_at,
    accounts.c.barred_at,
    accounts.c.failures,
    accounts.c.locks,
    accounts.c.locked_at,
)
_ONE = Statement(select(*_SHOWN).where(accounts.c.name == bindparam("name")))
_COUNTED_FOR = 100
"""A count is good for so many times as long as it took: it never takes a process more of its time
than 1 %. One that took no time worth saving is made anew."""
_WORTH_KEEPING = 0.1

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
        self._counting = threading.Lock()
        self._counted: tuple[float, Adoption] | None = None

    def show(self, name: str) -> AccountState:
        """Tell the state of an account."""
        row = None
        if can_be_stored(name):
            with self._units.database.read() as connection:
                row = _ONE.one(connection, {"name": name})
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
        query = select(*_SHOWN)
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
                rows = fetch(connection, query.where(bound), {"after": after})
                states = [self._state(row, now) for row in rows]
                # A lock that is over leaves its time in the row until the next right code.
                found += [state for state in states if state.locked_until or not locked]
                if len(rows) < limit:
                    break
                after, bound = rows[-1].name, name > bindparam("after")
        return found[:limit]

    def adoption(self) -> Adoption:
        """Count who has adopted MFA.

        Each account is looked at: a quarter of a second with a million of them. So the count of a
        large store may be half a minute old.
        """
        with self._counting:
            started = time.monotonic()
            if self._counted is not None and started < self._counted[0]:
                return self._counted[1]
            with self._units.database.read() as connection:
                row = connection.execute(_COUNTS).one()
            adoption = Adoption(row.all, row.adopted, row.barred)
            took = time.monotonic() - started
            good_for = took * _COUNTED_FOR if took > _WORTH_KEEPING else 0
            self._counted = (started + good_for, adoption)
            return adoption

    def unlock(self, name: str, actor: Actor) -> None:
        """Open an account's gates again and forget what was wrong; NotFoundError if never met."""
        with self._units.begin() as work:
            account = _met(work, name)
            _open_gates(work, account)
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
                grace.end(work.connection, account.id)
                work.record(account, Entry(Event.ACCOUNT_UNBARRED, actor))

    def forget(self, name: str, actor: Actor) -> None:
        """Take everything from an account that it holds; NotFoundError if never met.

        For a person who left: the OS may give the name to somebody else, who would otherwise have
        the old factors. Authenticators, recovery codes, tokens and sessions go for good, locks
        open. A bar stays, and the audit does, until it is pruned. It is also what makes an account
        usable again whose row somebody else wrote.
        """
        with self._units.begin() as work:
            found = work.account_as_found(name)
            if found is None:
                raise NotFoundError(_never_met(name))
            account, is_proven = found
            if not is_proven:
                work.record(account, Entry(Event.TAMPERING_FOUND, actor))
            totp_factors.delete_all_of(work, account, actor)
            access_tokens.delete_all_of(work, account, actor)
            end_sessions(work, account)
            _open_gates(work, account)
            work.record(account, Entry(Event.ACCOUNT_FORGOTTEN, actor))

    def note_password_changed(self, name: str, actor: Actor) -> None:
        """Put a change of the password on record; sessions but the actor's own end."""
        with self._units.begin() as work:
            account = work.ensure_account(name, actor)
            end_sessions(work, account, actor)
            work.record(account, Entry(Event.PASSWORD_CHANGED, actor))

    def _state(self, row: Row, now: int) -> AccountState:
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


def _met(work: UnitOfWork, name: str) -> Account:
    account = work.account(name)
    if account is None:
        raise NotFoundError(_never_met(name))
    return account


def _never_met(name: str) -> str:
    return f"the store has never met the account {name}"


def _open_gates(work: UnitOfWork, account: Account) -> None:
    account.lock = lockout.OPEN
    throttles.clear(work.connection, Gate.ONE_STRING, account.name)
    throttles.clear(work.connection, Gate.PASSWORD_OF_ACCOUNT, account_subject(account.name))
