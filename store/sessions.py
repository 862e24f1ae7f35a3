"""Sessions of web and API: random, only their digest stored, ended by time and by events."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import bindparam, delete, insert, select, update

from store import grace, integrity
from store.audit import Actor, Entry, Event
from store.base62 import base62
from store.clock import Randomness, from_milliseconds
from store.decisions import Attempt, Protocol
from store.errors import NotFoundError, OvertakenError
from store.schema import accounts, sessions
from store.secret import Secret
from store.settings import SessionSettings
from store.statements import Row, Statement
from store.unit_of_work import ROWS_KEY, Account, UnitOfWork, UnitsOfWork

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


_SESSION = select(sessions, accounts.c.name.label("account"), accounts.c.barred_at).join(
    accounts, accounts.c.id == sessions.c.account_id
)
_FIND = Statement(_SESSION.where(sessions.c.digest == bindparam("of_digest")))
_BY_ID = Statement(_SESSION.where(sessions.c.id == bindparam("session_id")))
_OF = Statement(
    _SESSION.where(accounts.c.name == bindparam("name")).order_by(
        sessions.c.seen_at.desc(), sessions.c.id
    )
)
_INSERT = Statement(insert(sessions))
_UPDATE = Statement(update(sessions).where(sessions.c.id == bindparam("session_id")))
_SEEN = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"), sessions.c.mac == bindparam("old_mac"))
    .values(seen_at=bindparam("now"), mac=bindparam("new_mac"))
)
"""Only if it is still as it was read: it may have risen meanwhile, under another secret."""
_DELETE = Statement(
    delete(sessions).where(
        sessions.c.id == bindparam("session_id"), sessions.c.account_id == bindparam("owner")
    )
)
_DELETE_OTHERS = Statement(
    delete(sessions).where(
        sessions.c.account_id == bindparam("owner"), sessions.c.id != bindparam("kept")
    )
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
            found = self._units.look_up(connection, account)
        return 0 if found is None else found.generation

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
            proven: dict[str, str | int | bytes | None] = {
                "id": session_id,
                "digest": _digest(secret),
                "protocol": attempt.protocol,
                "stage": stage,
                "created_at": work.now,
                "seen_at": work.now,
                "confirmed_at": work.now if stage is Stage.FULL else None,
            }
            mac = _mac(work.keys[ROWS_KEY], owner.name, *proven.values())
            others = {"account_id": owner.id, "address": attempt.address, "agent": _plain(agent)}
            _INSERT.run(work.connection, {**proven, **others, "mac": mac})
            work.record(owner, Entry(Event.SESSION_BEGUN, actor, factor_id=session_id))
            row = _FIND.one(work.connection, {"of_digest": proven["digest"]})
            return secret, self._shown(row, work.now)

    def find(self, secret: Secret) -> Session | None:
        """Give the session of a secret; None if there is none or its time is over."""
        with self._units.database.read() as connection:
            row = _FIND.one(connection, {"of_digest": _digest(secret)})
            if row is None:
                return None
            key = self._units.keys_over(connection)[ROWS_KEY]
            self._units.look_up(connection, row.account)  # it must not have been opened by others
        now = self._units.clock()
        if not is_proven(key, row) or not self._is_alive(row, now):
            return None
        if abs(now - row.seen_at) >= self._seen_every:
            self._note_seen(row)
        return self._shown(row, now)

    def _note_seen(self, row: Row) -> None:
        with self._units.begin() as work:
            fields = (row.id, row.digest, row.protocol, row.stage, row.created_at, work.now)
            mac = _mac(work.keys[ROWS_KEY], row.account, *fields, row.confirmed_at)
            values = {"session_id": row.id, "old_mac": row.mac, "now": work.now, "new_mac": mac}
            _SEEN.run(work.connection, values)

    def rise(self, session: Session, actor: Actor) -> tuple[Secret, Session]:
        """Make a session full and confirmed, under a new secret: the old one opens nothing.

        NotFoundError if it has ended in the meantime, by its time or by what ends sessions.
        """
        secret = self._new_secret()
        with self._units.begin() as work:
            owner = work.ensure_account(session.account, actor)
            row = _BY_ID.one(work.connection, {"session_id": session.id})
            if row is None or not self._is_alive(row, work.now):
                raise NotFoundError(_missing(session.account, session.id))
            key, digest = work.keys[ROWS_KEY], _digest(secret)
            integrity.require(is_proven(key, row), f"the session {row.id} of {row.account!r}")
            fields = (row.id, digest, row.protocol, Stage.FULL, row.created_at, work.now, work.now)
            values = {
                "session_id": session.id,
                "digest": digest,
                "stage": Stage.FULL,
                "seen_at": work.now,
                "confirmed_at": work.now,
                "mac": _mac(key, owner.name, *fields),
            }
            _UPDATE.run(work.connection, values)
            work.record(owner, Entry(Event.SESSION_CONFIRMED, actor, factor_id=session.id))
            row = _FIND.one(work.connection, {"of_digest": digest})
            return secret, self._shown(row, work.now)

    def list(self, account: str) -> list[Session]:
        """List an account's living sessions, the last used first."""
        with self._units.database.read() as connection:
            rows = _OF.all(connection, {"name": account})
        now = self._units.clock()
        return [self._shown(row, now) for row in rows if self._is_alive(row, now)]

    def end(self, account: str, session_id: str, actor: Actor) -> None:
        """End one session; NotFoundError if the account has no such one."""
        with self._units.begin() as work:
            owner = work.account(account)
            values = {"session_id": session_id, "owner": owner.id if owner is not None else None}
            if owner is None or _DELETE.run(work.connection, values) != 1:
                raise NotFoundError(_missing(account, session_id))
            work.record(owner, Entry(Event.SESSIONS_ENDED, actor, factor_id=session_id))

    def end_others(self, account: str, actor: Actor) -> None:
        """End every session of an account but the actor's own."""
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is not None:
                end_sessions(work, owner, actor)
                work.record(owner, Entry(Event.SESSIONS_ENDED, actor))

    def _is_alive(self, row: Row, now: int) -> bool:
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

    def _shown(self, row: Row, now: int) -> Session:
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

    Sign-ins that are under way begin none any more either, and no grace goes on.
    """
    kept = actor.session_id if actor is not None and actor.session_id is not None else ""
    _DELETE_OTHERS.run(work.connection, {"owner": account.id, "kept": kept})
    grace.end(work.connection, account.id)
    account.generation += 1


def is_proven(key: bytes, row: Row) -> bool:
    """Tell whether a session's row is as the store wrote it."""
    fields = (row.id, row.digest, row.protocol, row.stage, row.created_at, row.seen_at)
    return hmac.compare_digest(row.mac, _mac(key, row.account, *fields, row.confirmed_at))


def _mac(key: bytes, account: str, *fields: str | int | bytes | None) -> bytes:
    return integrity.row_mac(key, "session", account, *fields)


def _digest(secret: Secret) -> bytes:
    # 256 random bits: nobody can try them all, so a plain hash is enough.
    return hashlib.sha256(secret.value).digest()


def _plain(agent: str) -> str:
    return "".join(character for character in agent if character.isprintable())[:_AGENT_LENGTH]


def _missing(account: str, session_id: str) -> str:
    return f"{account} has no session {session_id}"
