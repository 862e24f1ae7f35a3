"""Key rotation without downtime: a new key first, then every secret sealed anew, then the old out.

Each part can be repeated and continued after a kill. Running services read the key file again
when it has changed, so none needs a restart.
"""

from sqlalchemy import Connection, bindparam, func, select, update

from store.audit import Actor, Entry, Event
from store.schema import accounts, sealed_keys, totp_factors
from store.sealing import Keyring, Sealed
from store.statements import Statement
from store.totp_factors import sealing_context
from store.unit_of_work import UnitsOfWork, key_context

_BATCH = 200

_STALE_FACTORS = Statement(
    select(totp_factors, accounts.c.name.label("account"))
    .join(accounts, accounts.c.id == totp_factors.c.account_id)
    .where(totp_factors.c.key_id == bindparam("old"))
    .limit(_BATCH)
)
_RESEAL_FACTOR = Statement(
    update(totp_factors).where(
        totp_factors.c.id == bindparam("factor_id"), totp_factors.c.key_id == bindparam("old_key")
    )
)
_STALE_KEYS = Statement(select(sealed_keys).where(sealed_keys.c.key_id == bindparam("old")))
_RESEAL_KEY = Statement(update(sealed_keys).where(sealed_keys.c.name == bindparam("key_name")))


class KeyRotation:
    """Seals anew under the key file's first key; the file itself is the caller's to change."""

    def __init__(self, units: UnitsOfWork, keyring: Keyring) -> None:
        """Work on that store."""
        self._units = units
        self._keyring = keyring

    def note_added(self, key_id: str, actor: Actor) -> None:
        """Put the new key on record."""
        self._note(Entry(Event.KEY_ADDED, actor, subject=key_id))

    def note_retired(self, key_id: str, actor: Actor) -> None:
        """Put the end of an old key on record."""
        self._note(Entry(Event.KEY_RETIRED, actor, subject=key_id))

    def reseal_batch(self) -> int:
        """Seal some secrets anew, in one transaction; give how many, 0 when none is left."""
        old = self._keyring.old_key_ids()
        if not old:
            return 0
        with self._units.begin() as work:
            return sum(
                self._reseal_keys(work.connection, key_id)
                + self._reseal_factors(work.connection, key_id)
                for key_id in old
            )

    def uses(self, key_id: str) -> int:
        """Count what is still sealed under a key."""
        with self._units.database.read() as connection:
            return sum(
                connection.execute(
                    select(func.count()).where(table.c.key_id == key_id)
                ).scalar_one()
                for table in (totp_factors, sealed_keys)
            )

    def _reseal_factors(self, connection: Connection, old: str) -> int:
        rows = _STALE_FACTORS.all(connection, {"old": old})
        for row in rows:
            context = sealing_context(row.account, row.id)
            plain = self._keyring.open(Sealed(row.key_id, row.sealed_secret), context)
            sealed = self._keyring.seal(plain, context)
            values = {"factor_id": row.id, "old_key": row.key_id}
            new = {"key_id": sealed.key_id, "sealed_secret": sealed.data}
            _RESEAL_FACTOR.run(connection, values | new)
        return len(rows)

    def _reseal_keys(self, connection: Connection, old: str) -> int:
        rows = _STALE_KEYS.all(connection, {"old": old})
        for row in rows:
            context = key_context(row.name)
            sealed = self._keyring.seal(
                self._keyring.open(Sealed(row.key_id, row.sealed), context), context
            )
            values = {"key_name": row.name, "key_id": sealed.key_id, "sealed": sealed.data}
            _RESEAL_KEY.run(connection, values)
        return len(rows)

    def _note(self, entry: Entry) -> None:
        with self._units.begin() as work:
            work.record(work.system(), entry)
