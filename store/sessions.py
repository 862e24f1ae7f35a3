"""Sessions of web and API: random, only their digest stored, ended by time and by events."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from store.audit import Actor, Entry, Event
from store.base62 import base62
from store.clock import Randomness, from_milliseconds
from store.decisions import Attempt, Protocol
from store.errors import NotFoundError, OvertakenError
from store.schema import accounts, sessions
from store.secret import Secret
from store.settings import SessionSettings
from store.unit_of_work import Account, UnitOfWork, UnitsOfWork

_SECRET_LENGTH = 43
_ID_BYTES = 6
_AGENT_LENGTH = 200
_SEEN_EVERY = 60_000
"""How near to the truth, in milliseconds, the time of last use is kept."""


class Stage(StrEnum):
    """How far somebody has come in."""

    CODE = "code"
    """The password was right; the code is still to come. Opens nothing."""
    ENROLLMENT = "enrollment"
    """The account must adopt MFA before anything else."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is alive."""

    id: str
    account: str
    protocol: Protocol
    stage: Stage
    created_at: datetime
    seen_at: datetime
    confirmed: bool
    """A code or password was given not longer ago than the configuration says."""
    address: str | None
    agent: str
    """What the browser or program calls itself."""


_FIND = (
    select(sessions, accounts.c.name.label("account"), accounts.c.barred_at)
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(sessions.c.digest == bindparam("of_digest"))
)
_BY_ID = (
    select(sessions, accounts.c.name.label("account"), accounts.c.barred_at)
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(sessions.c.id == bindparam("session_id"))
)
_OF = (
    select(sessions, accounts.c.name.label("account"), accounts.c.barred_at)
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(accounts.c.name == bindparam("name"))
    .order_by(sessions.c.seen_at.desc(), sessions.c.id)
)
_GENERATION = select(accounts.c.generation).where(accounts.c.name == bindparam("name"))
_UPDATE = update(sessions).where(sessions.c.id == bindparam("session_id"))
_DELETE = delete(sessions).where(
    sessions.c.id == bindparam("session_id"), sessions.c.account_id == bindparam("owner")
)
_DELETE_OTHERS = delete(sessions).where(
    sessions.c.account_id == bindparam("owner"), sessions.c.id != bindparam("kept")
)


class Sessions:
    """Begins, finds, raises and ends sessions."""

    def __init__(
        self, units: UnitsOfWork, settings: SessionSettings, randomness: Randomness
    ) -> None:
        """Work on that store."""
        self._units = units
        self._settings = settings
        self._randomness = randomness
        # Near enough for the shortest idle time too: who goes on must not be found idle.
        self._seen_every = min(_SEEN_EVERY, settings.idle_minutes * 60_000 // 10)

    def generation(self, account: str) -> int:
        """Give a number that grows with whatever ends the account's sessions."""
        with self._units.database.read() as connection:
            return connection.execute(_GENERATION, {"name": account}).scalar_one_or_none() or 0

    def begin(
        self, attempt: Attempt, stage: Stage, agent: str, generation: int | None = None
    ) -> tuple[Secret, Session]:
        """Make a session after a right password, and give its secret this once.

        The generation is the one of before the password was checked. OvertakenError if it has
        grown since: the password may have been changed, or MFA adopted, in between.
        """
        secret = self._new_secret()
        session_id = self._randomness(_ID_BYTES).hex()
        actor = Actor(attempt.account, attempt.protocol, attempt.address)
        with self._units.begin() as work:
            owner = work.ensure_account(attempt.account, actor)
            if generation is not None and owner.generation != generation:
                message = "the account was changed while you signed in: try again"
                raise OvertakenError(message)
            values = {
                "id": session_id,
                "digest": _digest(secret),
                "account_id": owner.id,
                "protocol": attempt.protocol,
                "stage": stage,
                "created_at": work.now,
                "seen_at": work.now,
                "confirmed_at": work.now if stage is Stage.FULL else None,
                "address": attempt.address,
                "agent": _plain(agent),
            }
            work.connection.execute(insert(sessions), values)
            work.record(owner, Entry(Event.SESSION_BEGUN, actor, factor_id=session_id))
            row = work.connection.execute(_FIND, {"of_digest": values["digest"]}).one()
            return secret, self._shown(row, work.now)

    def find(self, secret: Secret) -> Session | None:
        """Give the session of a secret; None if there is none or its time is over."""
        with self._units.database.read() as connection:
            row = connection.execute(_FIND, {"of_digest": _digest(secret)}).one_or_none()
        now = self._units.clock()
        if row is None or not self._is_alive(row, now):
            return None
        if abs(now - row.seen_at) >= self._seen_every:
            with self._units.begin() as work:
                work.connection.execute(_UPDATE, {"session_id": row.id, "seen_at": work.now})
        return self._shown(row, now)

    def rise(self, session: Session, actor: Actor) -> tuple[Secret, Session]:
        """Make a session full and confirmed, under a new secret: the old one opens nothing.

        NotFoundError if it has ended in the meantime, by its time or by what ends sessions.
        """
        secret = self._new_secret()
        with self._units.begin() as work:
            owner = work.ensure_account(session.account, actor)
            row = work.connection.execute(_BY_ID, {"session_id": session.id}).one_or_none()
            if row is None or not self._is_alive(row, work.now):
                raise NotFoundError(_missing(session.account, session.id))
            values = {
                "session_id": session.id,
                "digest": _digest(secret),
                "stage": Stage.FULL,
                "seen_at": work.now,
                "confirmed_at": work.now,
            }
            work.connection.execute(_UPDATE, values)
            work.record(owner, Entry(Event.SESSION_CONFIRMED, actor, factor_id=session.id))
            row = work.connection.execute(_FIND, {"of_digest": values["digest"]}).one()
            return secret, self._shown(row, work.now)

    def list(self, account: str) -> list[Session]:
        """List an account's living sessions, the last used first."""
        with self._units.database.read() as connection:
            rows = connection.execute(_OF, {"name": account}).all()
        now = self._units.clock()
        return [self._shown(row, now) for row in rows if self._is_alive(row, now)]

    def end(self, account: str, session_id: str, actor: Actor) -> None:
        """End one session; NotFoundError if the account has no such one."""
        with self._units.begin() as work:
            owner = work.account(account)
            values = {"session_id": session_id, "owner": owner.id if owner is not None else None}
            if owner is None or work.connection.execute(_DELETE, values).rowcount != 1:
                raise NotFoundError(_missing(account, session_id))
            work.record(owner, Entry(Event.SESSIONS_ENDED, actor, factor_id=session_id))

    def end_others(self, account: str, actor: Actor) -> None:
        """End every session of an account but the actor's own."""
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is not None:
                end_sessions(work, owner, actor)
                work.record(owner, Entry(Event.SESSIONS_ENDED, actor))

    def _is_alive(self, row: Row[Any], now: int) -> bool:
        minutes = 60_000
        longest = self._settings.max_hours * 60 * minutes
        if row.stage == Stage.CODE:
            longest = self._settings.code_minutes * minutes
        idle = self._settings.idle_minutes * minutes
        return (
            row.barred_at is None
            and abs(now - row.created_at) < longest
            and abs(now - row.seen_at) < idle
        )

    def _shown(self, row: Row[Any], now: int) -> Session:
        fresh = self._settings.confirmation_minutes * 60_000
        return Session(
            id=row.id,
            account=row.account,
            protocol=Protocol(row.protocol),
            stage=Stage(row.stage),
            created_at=from_milliseconds(row.created_at),
            seen_at=from_milliseconds(row.seen_at),
            confirmed=row.confirmed_at is not None and abs(now - row.confirmed_at) < fresh,
            address=row.address,
            agent=row.agent,
        )

    def _new_secret(self) -> Secret:
        return Secret.of(base62(int.from_bytes(self._randomness(32)), _SECRET_LENGTH))


def end_sessions(work: UnitOfWork, account: Account, actor: Actor | None = None) -> None:
    """End an account's sessions within a transaction, but for the one that the actor is in.

    Sign-ins that are under way begin none any more either.
    """
    kept = actor.session_id if actor is not None and actor.session_id is not None else ""
    work.connection.execute(_DELETE_OTHERS, {"owner": account.id, "kept": kept})
    account.generation += 1


def _digest(secret: Secret) -> bytes:
    # 256 random bits: nobody can try them all, so a plain hash is enough.
    return hashlib.sha256(secret.value).digest()


def _plain(agent: str) -> str:
    return "".join(character for character in agent if character.isprintable())[:_AGENT_LENGTH]


def _missing(account: str, session_id: str) -> str:
    return f"{account} has no session {session_id}"
