"""Statements that are the same each time: compiled once, then run straight by the driver.

SQLAlchemy looks up, binds and wraps at each execution, which costs ten times what SQLite itself
needs for a row. A login is made of little else; statements that are put together anew for each
page of a list go through SQLAlchemy as usual (`fetch`).

Either way a value that is read has its column's type. SQLite keeps anything in any column, and who
can write to a database can alter its columns: what the store cannot have written is tampering.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Executable, ReturnsRows, Select
from sqlalchemy.sql.elements import CompilerElement

from store import integrity

Row = Any
"""A row with its columns as attributes."""


class _Columns:
    """What the columns of a result are called, and of which types their values may be."""

    def __init__(self, statement: Executable) -> None:
        """Take those of a statement; it has none where it returns no rows."""
        columns = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
        self._names = [str(one) if isinstance(one, Column) else one.key for one in columns]
        self._types = [_types_of(one) for one in columns]

    def check(self, rows: Sequence[Sequence[Any]]) -> None:
        """Raise a TamperedError unless each value is one that the store can have written."""
        for row in rows:
            if not all(map(isinstance, row, self._types)):
                kept = zip(self._names, row, self._types, strict=True)
                odd = next(name for name, value, types in kept if not isinstance(value, types))
                integrity.require(False, f"the column {odd}")  # noqa: FBT003 - as it is called


def _types_of(column: Any) -> tuple[type, ...]:
    kind = column.type.python_type
    kinds = (int if kind is bool else kind,)  # SQLite has no booleans
    return (*kinds, type(None)) if getattr(column, "nullable", True) else kinds


@dataclass(slots=True)
class _Compiled:
    """A statement as one database is told it."""

    text: str
    constants: dict[str, Any]
    columns: _Columns
    row: Callable[[Any], Row] | None = None
    """Wraps what the driver gives; made with the first result, which names the columns."""


class Statement:
    """One statement, in the words of either database.

    Its values are given by name. Errors are the driver's own, but for a TamperedError where a row
    holds what the store cannot have written.
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
        if found is None:
            return None
        compiled.columns.check([found])
        return _wrapper(compiled, cursor)(found)

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Run it and give all its rows."""
        cursor, compiled = self._execute(connection, values)
        found = cursor.fetchall()
        compiled.columns.check(found)
        return list(map(_wrapper(compiled, cursor), found))

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
            compiled = self._compiled[key] = _Compiled(str(made), constants, _Columns(statement))
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


def fetch(
    connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None
) -> Sequence[Row]:
    """Run a query that was put together for this once, and give all its rows."""
    rows = connection.execute(query, values or {}).all()
    _Columns(query).check(rows)
    return rows


def _wrapper(compiled: _Compiled, cursor: Any) -> Callable[[Any], Row]:
    if compiled.row is None:
        names = " ".join(column[0] for column in cursor.description)
        made: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - of any columns
        compiled.row = made._make
    return compiled.row
