"""Forms are sent once: pressed twice or sent again later, they change nothing more."""

import hashlib

from sqlalchemy.dialects import postgresql, sqlite

from store.schema import used_forms
from store.statements import Statement
from store.unit_of_work import UnitsOfWork

KEPT_FOR = 7 * 24 * 3_600_000
"""As long as the longest session, in which alone a form could be sent again."""

# The row is asked for: of an INSERT, psycopg's rowcount does not tell.
_USE = Statement(
    sqlite.insert(used_forms).on_conflict_do_nothing().returning(used_forms.c.digest),
    postgresql.insert(used_forms).on_conflict_do_nothing().returning(used_forms.c.digest),
)


class Forms:
    """Remembers which forms were sent, for all hosts together."""

    def __init__(self, units: UnitsOfWork) -> None:
        """Work on that store."""
        self._units = units

    def use(self, token: str) -> bool:
        """Use up the token of a form; tell whether it was not used before."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        with self._units.begin() as work:
            return _USE.one(work.connection, {"digest": digest, "used_at": work.now}) is not None
