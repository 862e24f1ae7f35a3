"""What came of each row, written at once: a run that was killed goes on where it was.

The file holds new tokens, so it is its owner's alone. A row of which nothing is known but that it
was begun may have been done: whoever goes on looks before doing it again.
"""

import csv
import fcntl
import io
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from scripts.admin.output import csv_cell, printable
from scripts.admin.private_files import trouble_of
from store.errors import RequestError

_FIELDS = (
    *("action", "user", "name", "state", "at", "account"),
    *("token_id", "token", "expires_at", "detail"),
)
_MOST_BYTES = 1 << 30


class State(StrEnum):
    """How far a row has come."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the file; the last one of a row counts."""

    action: str
    user: str
    name: str
    state: State
    at: str
    account: str = ""
    """The one name of whom the row's user is a spelling; empty: nobody has asked yet."""
    token_id: str = ""
    token: str = ""
    expires_at: str = ""
    detail: str = ""


Key = tuple[str, str]
"""A row's user and, for tokens, the name: as they stand in the file."""


def key_of(user: str, name: str = "") -> Key:
    """Give what a row is known by."""
    return csv_cell(user), csv_cell(name)


class Results:
    """The file, open and locked."""

    def __init__(self, path: Path, action: str) -> None:
        """Make it, or go on with what an earlier run of the same command has written.

        RequestError if it is open to others, another command's, or in use by another run.
        """
        self.path = path
        self._action = action
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            message = f"{path}: {error.strerror}"
            raise RequestError(message) from error
        try:
            self._found = self._take_over()
            self._rows = {
                (result.account, result.name): key
                for key, result in self._found.items()
                if result.account
            }
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def of(self, key: Key) -> Result | None:
        """Give what is known of a row."""
        return self._found.get(key)

    def row_of(self, account: str, key: Key) -> str | None:
        """Give the user of another row, done or begun, that is the same account's; None: none."""
        other = self._rows.get((csv_cell(account), key[1]))
        if other is None or other == key or self._found[other].state == State.FAILED:
            return None
        return other[0]

    def write(
        self,
        key: Key,
        state: State,
        *,
        account: str = "",
        token_id: str = "",
        token: str = "",
        expires_at: datetime | None = None,
        detail: str = "",
    ) -> None:
        """Write what came of a row; it is on the disk when this returns."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        expires, said = csv_cell(expires_at), csv_cell(printable(detail))
        result = Result(
            self._action, *key, state, at, csv_cell(account), token_id, token, expires, said
        )
        self._append([getattr(result, name) for name in _FIELDS])
        self._found[key] = result
        if account:
            self._rows[result.account, result.name] = key

    def _take_over(self) -> dict[Key, Result]:
        trouble = trouble_of(os.fstat(self._descriptor), _MOST_BYTES)
        if trouble is not None:
            message = f"{self.path}: {trouble}"
            raise RequestError(message)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{self.path}: another run is writing it"
            raise RequestError(message) from error
        data = os.pread(self._descriptor, _MOST_BYTES, 0)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # a line that was being written when the run was killed
            os.ftruncate(self._descriptor, len(whole))
        if not whole:
            self._append(_FIELDS)
            _sync_folder(self.path)
            return {}
        return self._parse(whole.decode("utf-8", "replace"))

    def _parse(self, text: str) -> dict[Key, Result]:
        try:
            head, *lines = csv.reader(io.StringIO(text))
            if tuple(head) != _FIELDS:
                raise ValueError(head)  # noqa: TRY301 - one of several signs of the same
            results = [
                Result(action, user, name, State(state), *rest)
                for action, user, name, state, *rest in lines
            ]
        except (csv.Error, ValueError, TypeError) as error:
            message = f"{self.path} holds something else: name another file with --results"
            raise RequestError(message) from error
        for result in results:
            if result.action != self._action:
                message = f"{self.path} holds the results of {result.action}: name another file"
                raise RequestError(message)
        return {(result.user, result.name): result for result in results}

    def _append(self, cells: "list[str] | tuple[str, ...]") -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        data = line.getvalue().encode("utf-8", "backslashreplace")
        try:
            if os.write(self._descriptor, data) != len(data):
                message = "the disk is full"
                raise OSError(None, message)  # noqa: TRY301 - as any other trouble of the disk
            os.fsync(self._descriptor)
        except OSError as error:
            message = f"{self.path}: {error.strerror}; stopped: run it again when that is mended"
            raise WriteError(message) from error


class WriteError(RequestError):
    """The results cannot be written, so nothing more may be done."""


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
