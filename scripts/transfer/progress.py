"""Bars on standard error: one for everything, and one for each large file under way."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scripts.transfer.names import show

if TYPE_CHECKING:
    from tqdm import tqdm

_LARGE = 4_000_000
_NAME_WIDTH = 30
Advance = Callable[[int], None]


class Silent:
    """Shows no bar."""

    def expect(self, size: int) -> None:
        """Learn of a file to come."""

    @contextmanager
    def file(self, name: bytes, size: int, begun: int) -> Iterator[Advance]:
        """Follow one file."""
        del name, size, begun
        yield lambda _count: None

    def say(self, text: str) -> None:
        """Write a line to standard error."""
        sys.stderr.write(f"{text}\n")

    def close(self) -> None:
        """Do nothing."""


class Progress:
    """Shows them, where a person looks on."""

    def __init__(self) -> None:
        """Draw nothing before the first file."""
        from tqdm import tqdm  # noqa: PLC0415 - only where somebody looks on

        self._make = tqdm
        self._total: tqdm[Any] | None = None
        self._expected = 0
        self._free: list[int] = []
        self._positions = 1

    def expect(self, size: int) -> None:
        """Learn of a file to come."""
        self._expected += size
        if self._total is None:
            self._total = self._bar("in all", 0, 0)
        self._total.total = self._expected
        self._total.refresh()

    @contextmanager
    def file(self, name: bytes, size: int, begun: int) -> Iterator[Advance]:
        """Follow one file, of which so many bytes were there before."""
        total = self._total
        if total is not None and begun:
            total.update(begun)
        if size < _LARGE:
            yield lambda count: self._advance(count, None)
            return
        position = self._free.pop() if self._free else self._positions
        self._positions = max(self._positions, position + 1)
        bar = self._bar(show(name)[:_NAME_WIDTH], size, position)
        bar.update(begun)
        try:
            yield lambda count: self._advance(count, bar)
        finally:
            bar.close()
            self._free.append(position)

    def say(self, text: str) -> None:
        """Write a line to standard error, above the bars."""
        self._make.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar of everything as it stands."""
        if self._total is not None:
            self._total.close()

    def _advance(self, count: int, bar: "tqdm[Any] | None") -> None:
        if self._total is not None:
            self._total.update(count)
        if bar is not None:
            bar.update(count)

    def _bar(self, name: str, size: int, position: int) -> "tqdm[Any]":
        return self._make(
            desc=name,
            total=size,
            position=position,
            leave=position == 0,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            dynamic_ncols=True,
        )
