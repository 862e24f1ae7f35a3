"""Grace: an accepted code may let the same account in again from the same address for a while.

For clients that open several connections; off unless configured.
"""

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store import integrity
from store.decisions import Attempt
from store.schema import graces
from store.settings import GraceSettings
from store.statements import Statement
from store.unit_of_work import ROWS_KEY, Account, UnitOfWork

_OF = (graces.c.account_id == bindparam("account"),)
_ONE = Statement(select(graces).where(*_OF, graces.c.address == bindparam("from_address")))
_KEY = ["account_id", "address"]
_REMEMBER = Statement(
    *(
        given.on_conflict_do_update(
            index_elements=_KEY,
            set_={"accepted_at": given.excluded.accepted_at, "mac": given.excluded.mac},
        )
        for given in (sqlite.insert(graces), postgresql.insert(graces))
    )
)
_END = Statement(delete(graces).where(*_OF))


def remember(work: UnitOfWork, account: Account, attempt: Attempt, settings: GraceSettings) -> None:
    """Note that a code was accepted, where grace is on and the peer has an address."""
    if not settings.seconds or attempt.address is None:
        return
    mac = integrity.row_mac(work.keys[ROWS_KEY], "grace", account.name, attempt.address, work.now)
    values = {"account_id": account.id, "address": attempt.address, "accepted_at": work.now}
    _REMEMBER.run(work.connection, {**values, "mac": mac})


def applies(work: UnitOfWork, account: Account, attempt: Attempt, settings: GraceSettings) -> bool:
    """Tell whether this attempt needs no code of its own."""
    if not settings.seconds or attempt.address is None:
        return False
    values = {"account": account.id, "from_address": attempt.address}
    row = _ONE.one(work.connection, values)
    return (
        row is not None
        and 0 <= work.now - row.accepted_at < settings.seconds * 1000
        and integrity.is_right(
            row.mac, work.keys[ROWS_KEY], "grace", account.name, row.address, row.accepted_at
        )
    )


def end(connection: Connection, account_id: int) -> None:
    """Let no attempt of the account go without a code any more."""
    _END.run(connection, {"account": account_id})
