"""sshd_config(5) as sshd reads it: included files in their place, Match blocks with their lines.

What holds in the end is sshd's to say (`sshd -T`). This tells where a setting stands, which blocks
there are, and gives the same configuration as one file.
"""

import glob
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAIN = Path("/etc/ssh/sshd_config")
_RELATIVE_TO = Path("/etc/ssh")
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One setting."""

    file: Path
    number: int
    keyword: str
    """In small letters."""
    text: str
    """The line as it stands, without spaces around it."""
    match: str
    """The criteria of the block that it is in; empty: it holds for all."""

    @property
    def argument(self) -> str:
        """Give what stands after the keyword."""
        return _split(self.text)[1]

    @property
    def where(self) -> str:
        """Name its place."""
        return f"{self.file}:{self.number}"


@dataclass(frozen=True, slots=True)
class Block:
    """A Match block."""

    criteria: str
    where: str


def read(file: Path = MAIN) -> list[Line]:
    """Read a configuration with all that it includes, Match lines and Include lines as well."""
    return list(_read(file, "", 0))


def blocks(lines: Iterable[Line]) -> list[Block]:
    """List the Match blocks in their order; `Match all` is none."""
    return [
        Block(line.match, line.where) for line in lines if line.keyword == "match" and line.match
    ]


def first(lines: Iterable[Line], keyword: str) -> Line | None:
    """Give the line that sets a keyword for all: the first one wins."""
    return next((line for line in lines if line.keyword == keyword and not line.match), None)


def as_one_file(lines: Iterable[Line], without: frozenset[str] = frozenset()) -> str:
    """Write the same configuration as one file, without some keywords.

    What holds for all comes first, then the blocks: sshd reads them apart, and in each of the two
    the first value wins, so that this order means the same.
    """
    common: list[str] = []
    blocked: list[str] = []
    present = ""
    for line in lines:
        if line.keyword in {"include", "match", *without}:
            continue
        if not line.match:
            common.append(line.text)
            continue
        if line.match != present:
            present = line.match
            blocked.append(f"Match {present}")
        blocked.append(line.text)
    return "\n".join([*common, *blocked, ""])


def criteria(match: str) -> list[tuple[str, str]]:
    """Split the criteria of a Match line: (name in small letters, its patterns)."""
    lexer = shlex.shlex(match, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:
        words = match.split()
    found = []
    while words:
        name, equals, value = words.pop(0).partition("=")
        name = name.lower()
        if not equals and name not in {"all", "invalid-user"}:
            value = words.pop(0) if words else ""
        found.append((name, value))
    return found


def _read(file: Path, match: str, depth: int) -> Iterator[Line]:
    if depth > _DEEPEST:  # sshd refuses that as well
        return
    outer = match
    for number, raw in enumerate(file.read_text(errors="surrogateescape").splitlines(), 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        keyword, argument = _split(text)
        if keyword == "match":
            match = _both(outer, argument)
        yield Line(file, number, keyword, text, match)
        if keyword == "include":
            for included in _included(argument):
                yield from _read(included, match, depth + 1)


def _both(outer: str, inner: str) -> str:
    """Join the criteria of a block with those of the block that its file is included in."""
    return " ".join(part for part in (outer, inner) if part.strip().lower() != "all").strip()


def _included(argument: str) -> Iterator[Path]:
    try:
        patterns = shlex.split(argument, comments=True)
    except ValueError:
        patterns = argument.split()
    for pattern in patterns:
        # As glob(3) has them: in the order of their names, hidden ones not.
        for name in sorted(glob.glob(str(_RELATIVE_TO / pattern))):  # noqa: PTH207 - absolute
            if Path(name).is_file():
                yield Path(name)


def _split(text: str) -> tuple[str, str]:
    """Split "Keyword argument" or "Keyword=argument"."""
    end = next((place for place, letter in enumerate(text) if letter in " \t="), len(text))
    rest = text[end:].lstrip(" \t")
    return text[:end].strip('"').lower(), rest.removeprefix("=").lstrip(" \t")
