"""Recovery codes: ten, single use, taken wherever a code is asked, for a device that is lost.

Each has 80 random bits, so that a keyed digest of it is safe to store without a slow hash.
"""

import base64
import hashlib
import hmac
import re

from sqlalchemy import bindparam, func, insert, select, update

from store import holdings
from store.audit import Actor, Entry, Event
from store.clock import Randomness
from store.errors import RequestError
from store.schema import accounts, recovery_codes
from store.secret import Secret
from store.statements import Row, Statement
from store.unit_of_work import DIGEST_KEY, Account, UnitOfWork, UnitsOfWork

COUNT = 10
_BYTES = 10
_GROUP = 4
_CODE = re.compile(r"[A-Z2-7]{16}")

_UNUSED = (
    recovery_codes.c.account_id == bindparam("account"),
    recovery_codes.c.digest == bindparam("of_digest"),
    recovery_codes.c.used_at.is_(None),
)
_FIND = Statement(select(recovery_codes.c.digest).where(*_UNUSED))
_USE = Statement(update(recovery_codes).where(*_UNUSED).values(used_at=bindparam("now")))
_INSERT = Statement(insert(recovery_codes))
_LEFT = Statement(
    select(func.count().label("left"))
    .select_from(recovery_codes)
    .join(accounts, accounts.c.id == recovery_codes.c.account_id)
    .where(accounts.c.name == bindparam("name"), recovery_codes.c.used_at.is_(None))
)


class RecoveryCodes:
    """Makes, counts and deletes the recovery codes of accounts."""

    def __init__(self, units: UnitsOfWork, randomness: Randomness) -> None:
        """Work on that store."""
        self._units = units
        self._randomness = randomness

    def renew(self, account: str, actor: Actor) -> tuple[Secret, ...]:
        """Make ten new codes in place of all earlier ones and give them this once.

        RequestError while the account has no active authenticator: codes that exist before MFA
        is on would be a way around it.
        """
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is None or owner.adopted_at is None:
                message = "recovery codes need an active authenticator first"
                raise RequestError(message)
            with holdings.changed(work, owner, actor):
                return make_codes(work, owner, actor, self._randomness)

    def left(self, account: str) -> int:
        """Count the codes that are not used yet."""
        with self._units.database.read() as connection:
            row: Row = _LEFT.one(connection, {"name": account})
            return int(row.left)

    def delete(self, account: str, actor: Actor) -> None:
        """Delete all codes of an account."""
        with self._units.begin() as work:
            owner = work.account(account)
            if owner is None:
                return
            with holdings.changed(work, owner, actor):
                if holdings.delete_codes(work.connection, owner):
                    work.record(owner, Entry(Event.RECOVERY_CODES_DELETED, actor))


def make_codes(
    work: UnitOfWork, owner: Account, actor: Actor, randomness: Randomness
) -> tuple[Secret, ...]:
    """Make an account's codes within a transaction that has it locked."""
    codes = tuple(_grouped(randomness(_BYTES)) for _ in range(COUNT))
    holdings.delete_codes(work.connection, owner)
    for code in codes:
        digest = _digest(work, owner, _squeezed(code))
        values = {"account_id": owner.id, "digest": digest, "created_at": work.now}
        _INSERT.run(work.connection, values)
    work.record(owner, Entry(Event.RECOVERY_CODES_MADE, actor))
    return tuple(Secret.of(code) for code in codes)


def parse(text: str) -> str | None:
    """Give a recovery code as it is kept, however it was typed; None if this is none."""
    squeezed = _squeezed(text)
    return squeezed if _CODE.fullmatch(squeezed) else None


def use(work: UnitOfWork, owner: Account, code: str, actor: Actor) -> bool:
    """Use a code up; tell whether it was one of the account's and not used before."""
    values = {"account": owner.id, "of_digest": _digest(work, owner, code), "now": work.now}
    if _FIND.one(work.connection, values) is None:
        return False
    with holdings.changed(work, owner, actor):
        return _USE.run(work.connection, values) == 1


def _squeezed(text: str) -> str:
    return re.sub(r"[\s-]", "", text).upper()


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode("ascii").lower()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def _digest(work: UnitOfWork, owner: Account, code: str) -> bytes:
    message = f"recovery {owner.name} {code}"
    return hmac.digest(work.keys[DIGEST_KEY], message.encode(), hashlib.sha256)
