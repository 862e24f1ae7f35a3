"""Which factors and recovery codes an account holds, as a digest in the account's own row.

Each row proves itself (see `store.integrity`); this proves that they are all there, and no others.
It is looked at where they change, and by `verify-audit-log`: a login stays as quick with many.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, delete, select

from store.audit import Actor, Entry, Event
from store.schema import access_tokens, recovery_codes, totp_factors
from store.statements import Statement
from store.unit_of_work import NO_HOLDINGS, Account, UnitOfWork

_ACCOUNT: BindParameter[int] = bindparam("account")
_TOTP = Statement(
    select(totp_factors.c.id).where(
        totp_factors.c.account_id == _ACCOUNT, totp_factors.c.completed_at.is_not(None)
    )
)
_TOKENS = Statement(
    select(access_tokens.c.id).where(
        access_tokens.c.account_id == _ACCOUNT, access_tokens.c.revoked_at.is_(None)
    )
)
_CODES = Statement(
    select(recovery_codes.c.digest).where(
        recovery_codes.c.account_id == _ACCOUNT, recovery_codes.c.used_at.is_(None)
    )
)
_DELETE_CODES = Statement(delete(recovery_codes).where(recovery_codes.c.account_id == _ACCOUNT))


@contextmanager
def changed(work: UnitOfWork, account: Account, actor: Actor) -> Iterator[None]:
    """Keep the digest true over a change of what the account holds.

    Where something was added or removed by somebody else that goes on record, and the recovery
    codes go: nobody knows any more which of them were used.
    """
    if not are_as_written(work.connection, account):
        delete_codes(work.connection, account)
        work.record(account, Entry(Event.TAMPERING_FOUND, actor))
    yield
    account.holdings = _digest(work.connection, account)


def are_as_written(connection: Connection, account: Account) -> bool:
    """Tell whether the account holds what the store gave to it."""
    return hmac.compare_digest(account.holdings, _digest(connection, account))


def delete_codes(connection: Connection, account: Account) -> int:
    """Delete an account's recovery codes and tell how many there were."""
    return _DELETE_CODES.run(connection, {"account": account.id})


def _digest(connection: Connection, account: Account) -> bytes:
    values = {"account": account.id}
    held = [
        sorted(row[0] for row in statement.all(connection, values))
        for statement in (_TOTP, _TOKENS, _CODES)
    ]
    return hashlib.sha256(msgspec.json.encode(held)).digest() if any(held) else NO_HOLDINGS
