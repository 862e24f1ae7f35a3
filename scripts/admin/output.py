"""How what was found is printed: a table for people, JSON or CSV for programs."""

import csv
import io
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Generic, TypeVar

import click
import msgspec
from msgspec import Struct

from scripts.admin.administration import Page

T = TypeVar("T", bound=Struct)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Form(Enum):
    """What is printed."""

    TABLE = auto()
    JSON = auto()
    CSV = auto()


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table."""

    head: str
    show: Callable[[T], str]


def print_items(
    form: Form, kind: type[T], items: Sequence[T], columns: Sequence[Column[T]]
) -> None:
    """Print a list in the form that was asked for."""
    match form:
        case Form.JSON:
            print_json(items)
        case Form.CSV:
            print_csv(kind, items)
        case Form.TABLE:
            heads = [column.head for column in columns]
            print_table(heads, [[column.show(item) for column in columns] for item in items])


def print_page(
    form: Form, kind: type[T], page: Page[T], columns: Sequence[Column[T]], option: str
) -> None:
    """Print a page likewise; beside JSON, which has it, tell the option that goes on behind it."""
    if form is Form.JSON:
        print_json(page)
        return
    print_items(form, kind, page.items, columns)
    if page.next_cursor is not None:
        note(f"more: {option} {page.next_cursor}")


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(msgspec.json.encode(value).decode("utf-8"))


def print_csv(kind: type[T], items: Sequence[T]) -> None:
    """Print a list as CSV (RFC 4180) under the names that JSON has; empty: nothing known.

    Names of tokens are chosen by whoever has an account, and administrators open such lists in
    spreadsheets. So a text that one of these would take for a formula gets an apostrophe in front;
    JSON has it as it is.
    """
    names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(names.values())
    for item in items:
        writer.writerow([csv_cell(getattr(item, name)) for name in names])
    click.echo(written.getvalue(), nl=False)


def csv_cell(value: Any) -> str:
    """Give a value as a spreadsheet may safely read it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case tuple() | list():
            text = " ".join(map(str, value))
        case _:
            text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their heads, each column as wide as it must be."""
    shown = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(_width(row[column]) for row in shown) for column in range(len(heads))]
    for row in shown:
        cells = (cell + " " * (wide - _width(cell)) for cell, wide in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Escape what a terminal would act on: names and words come from others."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def show_time(value: datetime | None) -> str:
    """Show a time to a person, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value is not None else "-"


def show_duration(seconds: int) -> str:
    """Show how long something takes, near enough for a person."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{-(-minutes // 60)} hours"  # noqa: PLR2004


def say(text: str) -> None:
    """Tell a person, in one line, what was asked for; names in it are others'."""
    click.echo(printable(text))


def note(text: str) -> None:
    """Tell a person, likewise, something that is no part of the data."""
    click.echo(printable(text), err=True)


def is_watched() -> bool:
    """Tell whether a person sees what is noted."""
    return sys.stderr.isatty()


def _width(text: str) -> int:
    """Count the columns that a terminal needs (Unicode Standard Annex 11)."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
