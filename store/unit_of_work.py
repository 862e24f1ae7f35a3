"""One transaction over the store: accounts locked, events chained, the lines logged after it."""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store import audit, integrity
from store.audit import Actor, Entry, Event
from store.clock import Clock
from store.database import Database
from store.errors import KeyFileError
from store.lockout import OPEN, LockState
from store.schema import SYSTEM_ACCOUNT, accounts, audit_events, sealed_keys
from store.sealing import Keyring, Sealed
from store.statements import Row, Statement

_ONE = select(accounts).where(accounts.c.name == bindparam("name"))
_SELECT_ACCOUNT = Statement(_ONE)
LOCK_ACCOUNT = Statement(_ONE.with_for_update())
_INSERT_ACCOUNT = Statement(
    sqlite.insert(accounts).on_conflict_do_nothing().returning(accounts.c.id),
    postgresql.insert(accounts).on_conflict_do_nothing().returning(accounts.c.id),
)
_UPDATE_ACCOUNT = Statement(update(accounts).where(accounts.c.id == bindparam("account_id")))
_INSERT_EVENT = Statement(insert(audit_events).inline())
_LAST_EVENT = Statement(
    select(func.max(audit_events.c.sequence).label("sequence")).where(
        audit_events.c.account_id == bindparam("account")
    )
)
_SELECT_KEYS = Statement(select(sealed_keys))

AUDIT_KEY = "audit"
DIGEST_KEY = "digest"
ROWS_KEY = "rows"
KEY_NAMES = (AUDIT_KEY, DIGEST_KEY, ROWS_KEY)

NO_HOLDINGS = bytes(32)
"""Stands for no factors at all: see `store.holdings`."""


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
    holdings: bytes
    audit_sequence: int
    audit_head: bytes

    def mac(self, key: bytes) -> bytes:
        """Give the HMAC of the row as it is to be."""
        return integrity.row_mac(
            key,
            "account",
            self.name,
            self.created_at,
            self.barred_at,
            self.adopted_at,
            self.generation,
            self.lock.failures,
            self.lock.locks,
            self.lock.locked_at,
            self.lock.last_wrong,
            self.holdings,
            self.audit_sequence,
            self.audit_head,
        )


def account_of(row: Row) -> Account:
    """Give the account of a row, whoever wrote it."""
    return Account(
        row.id,
        row.name,
        row.created_at,
        row.barred_at,
        row.adopted_at,
        row.generation,
        LockState(row.failures, row.locks, row.locked_at, row.last_wrong),
        row.holdings,
        row.audit_sequence,
        row.audit_digest,
    )


def proven(row: Row, keys: dict[str, bytes]) -> Account:
    """Give the account of a row; TamperedError if the store did not write it."""
    account = account_of(row)
    right = hmac.compare_digest(row.mac, account.mac(keys[ROWS_KEY]))
    integrity.require(right, f"the row of the account {account.name!r}")
    return account


class UnitOfWork:
    """What a service does between begin and commit."""

    def __init__(self, connection: Connection, clock: Clock, keys: dict[str, bytes]) -> None:
        """Use `UnitsOfWork.begin`, which also commits."""
        self.connection = connection
        self._clock = clock
        self.now = clock()
        self.keys = keys
        self._accounts: dict[str, Account] = {}
        self._entries: list[tuple[str, int, Entry]] = []

    def account(self, name: str) -> Account | None:
        """Lock an account's row and give it; None if the store has never met the account.

        TamperedError if the row was written by somebody who has not the store's key.
        """
        known = self._accounts.get(name)
        if known is not None:
            return known
        row = self._lock(name)
        if row is None:
            return None
        account = self._accounts[name] = proven(row, self.keys)
        return account

    def account_as_found(self, name: str) -> tuple[Account, bool] | None:
        """Lock an account's row whoever wrote it; tell whether it is as the store left it.

        One that was put back as it was earlier is not. Its chain goes on behind its last event.
        """
        row = self._lock(name)
        if row is None:
            return None
        account = self._accounts[name] = account_of(row)
        is_proven = hmac.compare_digest(row.mac, account.mac(self.keys[ROWS_KEY]))
        last: Row = _LAST_EVENT.one(self.connection, {"account": account.id})
        if last.sequence is not None and last.sequence != account.audit_sequence:
            account.audit_sequence, is_proven = last.sequence, False
        return account, is_proven

    def _lock(self, name: str) -> Row | None:
        row = LOCK_ACCOUNT.one(self.connection, {"name": name})
        # Who waited for the lock must not judge by an older time, nor write it behind a newer one.
        self.now = max(self.now, self._clock())
        return row

    def ensure_account(self, name: str, actor: Actor) -> Account:
        """Lock an account's row, made now if the store has never met the account."""
        account = self.account(name)
        if account is not None:
            return account
        head = audit.first_head(self.keys[AUDIT_KEY], name)
        values = new_account(self.keys, name, self.now, head)
        # The row is asked for: of an INSERT, psycopg's rowcount does not tell.
        made = _INSERT_ACCOUNT.one(self.connection, values) is not None
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
        _INSERT_EVENT.run(
            self.connection,
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
        self._entries.append((account.name, account.audit_sequence, entry))

    def save(self) -> None:
        """Write the locked accounts back."""
        for account in self._accounts.values():
            _UPDATE_ACCOUNT.run(
                self.connection,
                {
                    "account_id": account.id,
                    "barred_at": account.barred_at,
                    "adopted_at": account.adopted_at,
                    "generation": account.generation,
                    "failures": account.lock.failures,
                    "locks": account.lock.locks,
                    "locked_at": account.lock.locked_at,
                    "last_wrong": account.lock.last_wrong,
                    "holdings": account.holdings,
                    "audit_sequence": account.audit_sequence,
                    "audit_digest": account.audit_head,
                    "mac": account.mac(self.keys[ROWS_KEY]),
                },
            )

    def write_log_lines(self) -> None:
        """Tell the log what was committed."""
        for account, sequence, entry in self._entries:
            audit.write_log_line(account, entry, sequence)


def new_account(keys: dict[str, bytes], name: str, created_at: int, head: bytes) -> dict[str, Any]:
    """Give the row of an account that has nothing yet."""
    account = Account(
        0, name, created_at, None, None, 0, OPEN, NO_HOLDINGS, audit_sequence=0, audit_head=head
    )
    return {
        "name": name,
        "created_at": created_at,
        "holdings": NO_HOLDINGS,
        "mac": account.mac(keys[ROWS_KEY]),
        "audit_digest": head,
        "audit_base_digest": audit.NO_HEAD,
    }


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
            work = UnitOfWork(connection, self.clock, self.keys_over(connection))
            yield work
            work.save()
        work.write_log_lines()

    def look_up(self, connection: Connection, name: str) -> Account | None:
        """Give an account as it is now, without locking it; None if the store never met it."""
        row = _SELECT_ACCOUNT.one(connection, {"name": name})
        return None if row is None else proven(row, self.keys_over(connection))

    def keys_over(self, connection: Connection) -> dict[str, bytes]:
        """Give the store's own keys, opened once for each connection of the pool."""
        keys: dict[str, bytes] | None = connection.info.get("keys")
        if keys is None:
            rows = _SELECT_KEYS.all(connection, {})
            keys = {
                row.name: self.keyring.open(Sealed(row.key_id, row.sealed), key_context(row.name))
                for row in rows
            }
            if set(keys) != set(KEY_NAMES):
                message = "the store has lost its keys: restore it from a backup"
                raise KeyFileError(message)
            connection.info["keys"] = keys
        return keys
