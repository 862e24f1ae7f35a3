"""Grace: an accepted code may let the same account in again from the same address for a while.

For clients that open several connections; off unless configured.
"""

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store.decisions import Attempt
from store.schema import graces
from store.settings import GraceSettings
from store.unit_of_work import Account, UnitOfWork

_OF = (graces.c.account_id == bindparam("account"),)
_ONE = select(graces.c.accepted_at).where(*_OF, graces.c.address == bindparam("from_address"))
_KEY = ["account_id", "address"]
_IN_SQLITE = sqlite.insert(graces)
_IN_POSTGRESQL = postgresql.insert(graces)
_REMEMBER = {
    "sqlite": _IN_SQLITE.on_conflict_do_update(
        index_elements=_KEY, set_={"accepted_at": _IN_SQLITE.excluded.accepted_at}
    ),
    "postgresql": _IN_POSTGRESQL.on_conflict_do_update(
        index_elements=_KEY, set_={"accepted_at": _IN_POSTGRESQL.excluded.accepted_at}
    ),
}
_END = delete(graces).where(*_OF)


def remember(work: UnitOfWork, account: Account, attempt: Attempt, settings: GraceSettings) -> None:
    """Note that a code was accepted, where grace is on and the peer has an address."""
    if not settings.seconds or attempt.address is None:
        return
    values = {"account_id": account.id, "address": attempt.address, "accepted_at": work.now}
    work.connection.execute(_REMEMBER[work.connection.dialect.name], values)


def applies(work: UnitOfWork, account: Account, attempt: Attempt, settings: GraceSettings) -> bool:
    """Tell whether this attempt needs no code of its own."""
    if not settings.seconds or attempt.address is None:
        return False
    values = {"account": account.id, "from_address": attempt.address}
    accepted_at = work.connection.execute(_ONE, values).scalar_one_or_none()
    return accepted_at is not None and 0 <= work.now - accepted_at < settings.seconds * 1000


def end(connection: Connection, account_id: int) -> None:
    """Let no attempt of the account go without a code any more."""
    connection.execute(_END, {"account": account_id})
