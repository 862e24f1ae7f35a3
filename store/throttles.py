"""Gates beside the code check that wrong answers close; shared by all hosts, in the store."""

from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from store.lockout import OPEN, LockState, remaining
from store.schema import throttles
from store.settings import GateSettings
from store.statements import Row, Statement

FORGOTTEN_AFTER = 24 * 3_600_000
"""Wrong answers are forgotten a day after the last one, or when a longer lock is over."""


class Gate(StrEnum):
    """What is throttled."""

    ONE_STRING = "one_string"
    """Password and code written as one answer; the subject is the account."""
    PASSWORD_OF_ACCOUNT = "password_of_account"
    PASSWORD_FROM_ADDRESS = "password_from_address"


_KEY = (throttles.c.gate == bindparam("of_gate"), throttles.c.subject == bindparam("of_subject"))
_UPDATE = Statement(update(throttles).where(*_KEY))
_DELETE = Statement(delete(throttles).where(*_KEY))
_KEY_COLUMNS = ["gate", "subject"]
_AS_IT_IS = {"gate": throttles.c.gate}
_LOCK = Statement(
    sqlite.insert(throttles)
    .on_conflict_do_update(index_elements=_KEY_COLUMNS, set_=_AS_IT_IS)
    .returning(throttles),
    postgresql.insert(throttles)
    .on_conflict_do_update(index_elements=_KEY_COLUMNS, set_=_AS_IT_IS)
    .returning(throttles),
)
"""Makes a gate's row or locks the one that is there, in one step: another may just delete it."""


def load(
    connection: Connection, gate: Gate, subject: str, now: int, policy: GateSettings
) -> LockState:
    """Lock a gate's row until the transaction ends, and give what is remembered of it."""
    row = {"gate": gate, "subject": subject, "failures": 0, "locks": 0, "counted_at": now}
    found: Row = _LOCK.one(connection, row)
    state = LockState(found.failures, found.locks, found.locked_at)
    is_old = now - found.counted_at > FORGOTTEN_AFTER
    return OPEN if is_old and not remaining(state, now, policy) else state


def save(connection: Connection, gate: Gate, subject: str, state: LockState, now: int) -> None:
    """Remember the state of a gate that was loaded in this transaction."""
    _UPDATE.run(
        connection,
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
    _DELETE.run(connection, {"of_gate": gate, "of_subject": subject})
