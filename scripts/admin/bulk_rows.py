"""The rows that a command works through: CSV with a header, or one name a line."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.errors import RequestError

USER = "user"
STDIN = "-"
"""What is written for standard input."""
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One line of what was given."""

    line: int
    values: dict[str, str]
    """By column; what is empty is left away."""

    @property
    def user(self) -> str:
        """Give the account as it was typed."""
        return self.values[USER]


def read_rows(source: str, columns: Sequence[str]) -> list[Row]:
    """Read a file, or standard input for `-`; RequestError names the line that is wrong.

    It is CSV where the first line names the column `user`; it may name others of `columns`. Else
    each line is a name. Empty lines are skipped.
    """
    lines = _read(source).splitlines()
    head = next(iter(csv.reader(lines[:1])), [])
    if USER in [word.strip() for word in head]:
        return _with_header(lines, [word.strip() for word in head], columns)
    rows = [Row(at, {USER: line.strip()}) for at, line in enumerate(lines, 1) if line.strip()]
    for row in rows:
        if "," in row.user:
            message = f"line {row.line} has a comma, so the first line must name the columns: "
            raise RequestError(message + _named(columns))
    return rows


def _with_header(lines: list[str], head: list[str], columns: Sequence[str]) -> list[Row]:
    allowed = (USER, *columns)
    for word in head:
        if word not in allowed or head.count(word) > 1:
            message = f"line 1: the column {word!r} is not one of {_named(columns)}, each once"
            raise RequestError(message)
    rows = []
    reader = csv.reader(lines, strict=True)
    try:
        next(reader)
        for cells in reader:
            if len(cells) > len(head):
                message = f"line {reader.line_num} has {len(cells)} cells for {len(head)} columns"
                raise RequestError(message)
            pairs = zip(head, (cell.strip() for cell in cells), strict=False)
            values = {name: cell for name, cell in pairs if cell}
            if values and USER not in values:
                message = f"line {reader.line_num} names no user"
                raise RequestError(message)
            if values:
                rows.append(Row(reader.line_num, values))
    except csv.Error as error:
        message = f"line {reader.line_num} is not CSV: {error}"
        raise RequestError(message) from error
    return rows


def _read(source: str) -> str:
    try:
        if source == STDIN:
            data = sys.stdin.read(_MOST_BYTES + 1)
        else:
            with Path(source).open(encoding="utf-8-sig") as file:
                data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"{source}: {error.strerror}"
        raise RequestError(message) from error
    except UnicodeError as error:
        message = f"{source} is not UTF-8"
        raise RequestError(message) from error
    if len(data) > _MOST_BYTES:
        message = f"{source} has more than {_MOST_BYTES >> 20} MB: split it"
        raise RequestError(message)
    return data


def _named(columns: Sequence[str]) -> str:
    return ", ".join((USER, *columns))
