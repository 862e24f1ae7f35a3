"""Gates beside the code check that wrong answers close; shared by all hosts, in the store."""

from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store.lockout import OPEN, LockState
from store.schema import throttles


class Gate(StrEnum):
    """What is throttled."""

    ONE_STRING = "one_string"
    """Password and code written as one answer; the subject is the account."""


_KEY = (throttles.c.gate == bindparam("of_gate"), throttles.c.subject == bindparam("of_subject"))
_SELECT = select(throttles).where(*_KEY)
_DELETE = delete(throttles).where(*_KEY)


def load(connection: Connection, gate: Gate, subject: str) -> LockState:
    """Give what is remembered of a gate; the caller's transaction must have locked its subject."""
    row = connection.execute(_SELECT, {"of_gate": gate, "of_subject": subject}).one_or_none()
    return OPEN if row is None else LockState(row.failures, row.locks, row.locked_at)


def save(connection: Connection, gate: Gate, subject: str, state: LockState) -> None:
    """Remember the state of a gate."""
    values = {"failures": state.failures, "locks": state.locks, "locked_at": state.locked_at}
    row = {"gate": gate, "subject": subject, **values}
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(throttles).values(row)
        connection.execute(lite.on_conflict_do_update(index_elements=_PRIMARY, set_=values))
    else:
        large = postgresql.insert(throttles).values(row)
        connection.execute(large.on_conflict_do_update(index_elements=_PRIMARY, set_=values))


def clear(connection: Connection, gate: Gate, subject: str) -> None:
    """Forget the wrong answers at a gate."""
    connection.execute(_DELETE, {"of_gate": gate, "of_subject": subject})


_PRIMARY = ["gate", "subject"]
