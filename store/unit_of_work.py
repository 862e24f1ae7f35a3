"""One transaction over the store: accounts locked, events chained, the lines logged after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store import audit
from store.audit import Actor, Entry, Event
from store.clock import Clock
from store.database import Database
from store.errors import KeyFileError
from store.lockout import LockState
from store.schema import SYSTEM_ACCOUNT, accounts, audit_events, sealed_keys
from store.sealing import Keyring, Sealed

_SELECT_ACCOUNT = select(accounts).where(accounts.c.name == bindparam("name"))
_LOCK_ACCOUNT = _SELECT_ACCOUNT.with_for_update()
_UPDATE_ACCOUNT = update(accounts).where(accounts.c.id == bindparam("account_id"))
_INSERT_EVENT = insert(audit_events)
_SELECT_KEYS = select(sealed_keys)

AUDIT_KEY = "audit"
DIGEST_KEY = "digest"
KEY_NAMES = (AUDIT_KEY, DIGEST_KEY)


def key_context(name: str) -> str:
    """Name what a sealed key of the store is, so that it opens as nothing else."""
    return f"store {name}"


@dataclass(slots=True)
class Account:
    """An account's row, locked until the transaction ends; changes are saved with it."""

    id: int
    name: str
    created_at: int
    barred_at: int | None
    adopted_at: int | None
    generation: int
    lock: LockState
    audit_sequence: int
    audit_head: bytes


class UnitOfWork:
    """What a service does between begin and commit."""

    def __init__(self, connection: Connection, clock: Clock, keys: dict[str, bytes]) -> None:
        """Use `UnitsOfWork.begin`, which also commits."""
        self.connection = connection
        self._clock = clock
        self.now = clock()
        self.keys = keys
        self._accounts: dict[str, Account] = {}
        self._entries: list[tuple[str, Entry]] = []

    def account(self, name: str) -> Account | None:
        """Lock an account's row and give it; None if the store has never met the account."""
        known = self._accounts.get(name)
        if known is not None:
            return known
        row = self.connection.execute(_LOCK_ACCOUNT, {"name": name}).one_or_none()
        if row is None:
            return None
        # Who waited for the lock must not judge by an older time, nor write it behind a newer one.
        self.now = max(self.now, self._clock())
        lock = LockState(row.failures, row.locks, row.locked_at, row.last_wrong)
        account = Account(
            row.id,
            row.name,
            row.created_at,
            row.barred_at,
            row.adopted_at,
            row.generation,
            lock,
            row.audit_sequence,
            row.audit_digest,
        )
        self._accounts[name] = account
        return account

    def ensure_account(self, name: str, actor: Actor) -> Account:
        """Lock an account's row, made now if the store has never met the account."""
        account = self.account(name)
        if account is not None:
            return account
        head = audit.first_head(self.keys[AUDIT_KEY], name)
        values = {"name": name, "created_at": self.now, "audit_digest": head}
        values["audit_base_digest"] = audit.NO_HEAD
        # The row is asked for: of an INSERT, psycopg's rowcount does not tell.
        statement = (
            sqlite.insert(accounts).on_conflict_do_nothing().returning(accounts.c.id)
            if self.connection.dialect.name == "sqlite"
            else postgresql.insert(accounts).on_conflict_do_nothing().returning(accounts.c.id)
        )
        made = self.connection.execute(statement, values).first() is not None
        account = self.account(name)
        if account is None:
            message = f"account {name!r} could not be made"
            raise AssertionError(message)
        if made:
            # In the system's chain too: else a whole account could vanish unnoticed.
            self.record(self.system(), Entry(Event.ACCOUNT_CREATED, actor, subject=name))
        return account

    def system(self) -> Account:
        """Lock the row whose chain holds what concerns no account."""
        system = self.account(SYSTEM_ACCOUNT)
        if system is None:
            message = "the store has lost its system row: restore it from a backup"
            raise KeyFileError(message)
        return system

    def record(self, account: Account, entry: Entry) -> None:
        """Add an event to the account's chain; it is committed with what it records."""
        account.audit_sequence += 1
        key, head = self.keys[AUDIT_KEY], account.audit_head
        digest = audit.chain_digest(
            key, head, account.name, account.audit_sequence, self.now, entry
        )
        account.audit_head = audit.next_head(key, head, digest)
        self.connection.execute(
            _INSERT_EVENT,
            {
                "account_id": account.id,
                "sequence": account.audit_sequence,
                "at": self.now,
                "event": entry.event,
                "actor": entry.actor.name,
                "protocol": entry.actor.protocol,
                "address": entry.actor.address,
                "reason": entry.reason,
                "factor_id": entry.factor_id,
                "subject": entry.subject,
                "digest": digest,
            },
        )
        self._entries.append((account.name, entry))

    def save(self) -> None:
        """Write the locked accounts back."""
        for account in self._accounts.values():
            self.connection.execute(
                _UPDATE_ACCOUNT,
                {
                    "account_id": account.id,
                    "barred_at": account.barred_at,
                    "adopted_at": account.adopted_at,
                    "generation": account.generation,
                    "failures": account.lock.failures,
                    "locks": account.lock.locks,
                    "locked_at": account.lock.locked_at,
                    "last_wrong": account.lock.last_wrong,
                    "audit_sequence": account.audit_sequence,
                    "audit_digest": account.audit_head,
                },
            )

    def write_log_lines(self) -> None:
        """Tell the log what was committed."""
        for account, entry in self._entries:
            audit.write_log_line(account, entry)


class UnitsOfWork:
    """Begins units of work on one database."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        """Keep what every unit of work needs."""
        self.database = database
        self.keyring = keyring
        self.clock = clock

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """Run the block in one transaction; its events reach the log once it is committed."""
        with self.database.write() as connection:
            work = UnitOfWork(connection, self.clock, self._keys(connection))
            yield work
            work.save()
        work.write_log_lines()

    def keys(self) -> dict[str, bytes]:
        """Give the store's own keys, to who verifies with them."""
        with self.database.read() as connection:
            return self._keys(connection)

    def _keys(self, connection: Connection) -> dict[str, bytes]:
        """Give the store's own keys, opened once for each connection of the pool."""
        keys: dict[str, bytes] | None = connection.info.get("keys")
        if keys is None:
            rows = connection.execute(_SELECT_KEYS).all()
            keys = {
                row.name: self.keyring.open(Sealed(row.key_id, row.sealed), key_context(row.name))
                for row in rows
            }
            if set(keys) != set(KEY_NAMES):
                message = "the store has lost its keys: restore it from a backup"
                raise KeyFileError(message)
            connection.info["keys"] = keys
        return keys
