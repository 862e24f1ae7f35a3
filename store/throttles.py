"""Gates beside the code check that wrong answers close; shared by all hosts, in the store."""

from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.lockout import OPEN, LockState
from store.schema import throttles

FORGOTTEN_AFTER = 24 * 3_600_000
"""Wrong answers are forgotten a day after the last one, if no lock is longer."""


class Gate(StrEnum):
    """What is throttled."""

    ONE_STRING = "one_string"
    """Password and code written as one answer; the subject is the account."""
    PASSWORD_OF_ACCOUNT = "password_of_account"
    PASSWORD_FROM_ADDRESS = "password_from_address"


_KEY = (throttles.c.gate == bindparam("of_gate"), throttles.c.subject == bindparam("of_subject"))
_LOCK = select(throttles).where(*_KEY).with_for_update()
_UPDATE = update(throttles).where(*_KEY)
_DELETE = delete(throttles).where(*_KEY)
_INSERT = {
    "sqlite": sqlite.insert(throttles).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(throttles).on_conflict_do_nothing(),
}


def load(connection: Connection, gate: Gate, subject: str, now: int) -> LockState:
    """Lock a gate's row until the transaction ends, and give what is remembered of it."""
    row = {"gate": gate, "subject": subject, "failures": 0, "locks": 0, "counted_at": now}
    connection.execute(_INSERT[connection.dialect.name], row)
    found = connection.execute(_LOCK, {"of_gate": gate, "of_subject": subject}).one()
    if now - found.counted_at > FORGOTTEN_AFTER:
        return OPEN
    return LockState(found.failures, found.locks, found.locked_at)


def save(connection: Connection, gate: Gate, subject: str, state: LockState, now: int) -> None:
    """Remember the state of a gate that was loaded in this transaction."""
    connection.execute(
        _UPDATE,
        {
            "of_gate": gate,
            "of_subject": subject,
            "failures": state.failures,
            "locks": state.locks,
            "locked_at": state.locked_at,
            "counted_at": now,
        },
    )


def clear(connection: Connection, gate: Gate, subject: str) -> None:
    """Forget the wrong answers at a gate."""
    connection.execute(_DELETE, {"of_gate": gate, "of_subject": subject})
