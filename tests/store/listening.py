"""Hears each statement just before a store runs it, by SQLAlchemy or straight by the driver."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from store.opening import Store
from store.statements import Statement

Heard = Callable[[Any, str, Any], None]
"""Is given the driver's cursor, the statement and its values."""


@contextmanager
def listening(store: Store, heard: Heard) -> Iterator[None]:
    """Call for each statement on that store, but those that make and end transactions."""
    engine = store.units.database.engine
    execute = Statement._execute  # noqa: SLF001 - there is no other place where all pass

    def by_sqlalchemy(_connection: Any, cursor: Any, text: str, values: Any, *_: Any) -> None:
        heard(cursor, text, values)

    def by_driver(statement: Statement, connection: Any, values: Any) -> Any:
        if connection.engine.url == engine.url and connection.engine.pool is engine.pool:
            compiled = statement.compiled(connection.dialect, values)
            given = {**compiled.constants, **values}
            heard(connection.connection.cursor(), compiled.text, given)
        return execute(statement, connection, values)

    event.listen(engine, "before_cursor_execute", by_sqlalchemy)
    Statement._execute = by_driver  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield
    finally:
        Statement._execute = execute  # type: ignore[method-assign]  # noqa: SLF001
        event.remove(engine, "before_cursor_execute", by_sqlalchemy)
