"""Statements that are the same each time: compiled once, then run straight by the driver.

SQLAlchemy looks up, binds and wraps at each execution, which costs ten times what SQLite itself
needs for a row. A login is made of little else; statements that are put together anew for each
page of a list go through SQLAlchemy as usual.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.sql.elements import CompilerElement

Row = Any
"""A row with its columns as attributes."""


@dataclass(slots=True)
class _Compiled:
    """A statement as one database is told it."""

    text: str
    constants: dict[str, Any]
    row: Callable[[Any], Row] | None = None
    """Wraps what the driver gives; made with the first result, which names the columns."""


class Statement:
    """One statement, in the words of either database.

    Its values are given by name. Errors are the driver's own.
    """

    def __init__(self, sqlite: Executable, postgresql: Executable | None = None) -> None:
        """Take it as SQLAlchemy writes it; a second time where PostgreSQL has other words."""
        others = sqlite if postgresql is None else postgresql
        self._statements = {"sqlite": sqlite, "postgresql": others}
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it and give how many rows it changed."""
        cursor, _ = self._execute(connection, values)
        return int(cursor.rowcount)

    def one(self, connection: Connection, values: Mapping[str, Any]) -> Row | None:
        """Run it and give its first row; None if it has none."""
        cursor, compiled = self._execute(connection, values)
        found = cursor.fetchone()
        return None if found is None else _wrapper(compiled, cursor)(found)

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Run it and give all its rows."""
        cursor, compiled = self._execute(connection, values)
        return list(map(_wrapper(compiled, cursor), cursor.fetchall()))

    def compiled(self, dialect: Any, values: Mapping[str, Any]) -> _Compiled:
        """Give the statement for a database and the columns that are to be written."""
        key = (dialect.name, *values)
        compiled = self._compiled.get(key)
        if compiled is None:
            statement = self._statements[dialect.name]
            if not isinstance(statement, CompilerElement):
                raise TypeError
            made = statement.compile(dialect=dialect, column_keys=list(values))
            constants = {name: value for name, value in made.params.items() if value is not None}
            compiled = self._compiled[key] = _Compiled(str(made), constants)
        return compiled

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, _Compiled]:
        compiled = self.compiled(connection.dialect, values)
        if compiled.constants:
            values = {**compiled.constants, **values}
        driver: Any = connection.connection.dbapi_connection
        try:
            return driver.execute(compiled.text, values), compiled
        except connection.dialect.loaded_dbapi.Error as error:
            # The next one must not be lent a connection that is dead.
            if connection.dialect.is_disconnect(error, driver, None):
                connection.invalidate(error)
            raise


def _wrapper(compiled: _Compiled, cursor: Any) -> Callable[[Any], Row]:
    if compiled.row is None:
        names = " ".join(column[0] for column in cursor.description)
        made: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - of any columns
        compiled.row = made._make
    return compiled.row
