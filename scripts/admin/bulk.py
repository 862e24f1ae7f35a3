"""Works through many rows: one that fails does not stop the rest, none is done twice.

Restarted, it skips what was done, tries again what failed, and comes last to what was begun and not
finished: by then the server has surely done with it.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import click
from msgspec import Struct

from scripts.admin.administration import AccessError, Administration, NewToken, RoadError
from scripts.admin.bulk_results import Key, Result, Results, State, WriteError, key_of
from scripts.admin.bulk_rows import Row, read_rows
from scripts.admin.common import Source
from scripts.admin.output import Form, is_watched, note, print_json, printable, say
from scripts.admin.road import Wanted, administration_of
from scripts.command_line import EXIT_REFUSED
from store.errors import NotFoundError, RequestError

_BROKEN_IN_A_ROW = 3
"""After so many the server, and not the row, must be what is broken."""


class Task(Protocol):
    """What is done with a row."""

    @property
    def row(self) -> Row:
        """Give the row."""

    @property
    def key(self) -> Key:
        """Say what the row is known by."""

    def do(self, administration: Administration, account: str, results: Results) -> None:
        """Do it on the account that the row names, and write what came of it."""

    def redo(
        self, administration: Administration, account: str, results: Results, begun: Result
    ) -> None:
        """Do it where an earlier run has begun it and may have done it."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that may be done twice without harm."""

    row: Row
    act: Callable[[Administration, str], None]

    @property
    def key(self) -> Key:
        """Give the user."""
        return key_of(self.row.user)

    def do(self, administration: Administration, account: str, results: Results) -> None:
        """Act on the account."""
        self.act(administration, account)
        results.write(self.key, State.DONE, account=account)

    def redo(
        self, administration: Administration, account: str, results: Results, _begun: Result
    ) -> None:
        """Act again."""
        self.do(administration, account, results)


@dataclass(frozen=True, slots=True)
class Issue:
    """A token, of which there must be one in the end, and its secret in the file."""

    row: Row
    new: NewToken

    @property
    def key(self) -> Key:
        """Give the user and the token's name."""
        return key_of(self.row.user, self.new.name)

    def do(self, administration: Administration, account: str, results: Results) -> None:
        """Write down which tokens of this name there are, then issue one more."""
        there = " ".join(self._of_this_name(administration, account))
        results.write(self.key, State.BEGUN, account=account, detail=there)
        issued = administration.issue_token(account, self.new)
        results.write(
            self.key,
            State.DONE,
            account=account,
            token_id=issued.id,
            token=issued.token,
            expires_at=issued.expires_at,
        )

    def redo(
        self, administration: Administration, account: str, results: Results, begun: Result
    ) -> None:
        """Revoke what was issued and never written down, so that nobody has it; then issue."""
        _wait_until_settled(administration, begun)
        before = set(begun.detail.split())
        for token_id in self._of_this_name(administration, account):
            if token_id not in before:
                try:
                    administration.revoke_token(account, token_id)
                except NotFoundError:
                    continue  # somebody else was quicker
                note(f"{account}: revoked token {token_id}, whose secret was lost when it stopped")
        self.do(administration, account, results)

    def _of_this_name(self, administration: Administration, account: str) -> list[str]:
        return [one.id for one in administration.tokens(account) if one.name == self.new.name]


def act_on(
    act: Callable[[Administration, str], None],
    told: str,
    user: str | None,
    source: Source | None,
    wanted: Wanted,
) -> None:
    """Act on one account and say so in words that name it, or on each account of many rows."""
    if source is not None:
        run([Act(row, act) for row in read_rows(source.rows_from, ())], source, wanted)
    elif user is not None:
        with administration_of(wanted) as administration:
            account = administration.account(user)
            act(administration, account)
        say(told.replace("{}", account))


class Summary(Struct, frozen=True, rename="camel"):
    """What came of a run."""

    rows: int
    done: int
    done_before: int
    failed: int
    left: int
    """Not done, or nobody said what came of them: run it again."""
    results: str


def run(tasks: Sequence[Task], source: Source, wanted: Wanted, form: Form = Form.TABLE) -> None:
    """Work through the tasks, tell what came of them, and exit with 1 if any failed."""
    _check_unique(tasks)
    with (
        Results(source.results, source.action) as results,
        administration_of(wanted) as administration,
    ):
        work = _Work(administration, results)
        try:
            work.through(tasks)
        finally:
            summary = work.summary(len(tasks))
            _tell(summary, form)
    if summary.failed or summary.left:
        raise SystemExit(EXIT_REFUSED)


class _Work:
    """One run."""

    def __init__(self, administration: Administration, results: Results) -> None:
        self._administration = administration
        self._results = results
        self._counts = dict.fromkeys(("done", "done_before", "failed"), 0)
        self._broken_in_a_row = 0

    def through(self, tasks: Sequence[Task]) -> None:
        """Do each task that is not done."""
        from tqdm import tqdm  # noqa: PLC0415 - for long work only

        say = partial(tqdm.write, file=sys.stderr)  # above the bar
        known = [(task, self._results.of(task.key)) for task in tasks]
        left = [(task, last) for task, last in known if last is None or last.state != State.DONE]
        left.sort(key=lambda pair: pair[1] is not None and pair[1].state == State.BEGUN)
        self._counts["done_before"] = len(tasks) - len(left)
        with tqdm(total=len(left), disable=not is_watched(), leave=False, unit="row") as bar:
            for task, last in left:
                self._one(task, last, say)
                bar.update()

    def summary(self, rows: int) -> Summary:
        """Sum up."""
        left = rows - sum(self._counts.values())
        return Summary(rows=rows, left=left, results=str(self._results.path), **self._counts)

    def _one(self, task: Task, last: Result | None, say: Callable[[str], None]) -> None:
        try:
            account = self._account(task)
            if last is not None and last.state == State.BEGUN:
                task.redo(self._administration, account, self._results, last)
            else:
                task.do(self._administration, account, self._results)
        except (AccessError, WriteError):
            raise  # no other row would fare better
        except RequestError as error:
            if last is None or last.state != State.BEGUN or self._results.of(task.key) is not last:
                self._results.write(task.key, State.FAILED, detail=str(error))
            _tell_of(task, error, say)
            self._counts["failed"] += 1
            self._broken_in_a_row = 0
        except RoadError as error:
            _tell_of(task, error, say)
            self._broken_in_a_row += 1
            if self._broken_in_a_row == _BROKEN_IN_A_ROW:
                message = f"{error}; stopped: run it again when that is mended"
                raise RoadError(message) from error
        else:
            self._counts["done"] += 1
            self._broken_in_a_row = 0

    def _account(self, task: Task) -> str:
        """Give the one name of a row's account, which another row may have in another spelling."""
        account = self._administration.account(task.row.user)
        other = self._results.row_of(account, task.key)
        if other is not None:
            message = f"{account} has a row already, as {printable(other)}"
            raise RequestError(message)
        return account


def _tell_of(task: Task, error: Exception, say: Callable[[str], None]) -> None:
    say(f"line {task.row.line}: {printable(task.row.user)}: {error}")


def _check_unique(tasks: Sequence[Task]) -> None:
    lines: dict[Key, int] = {}
    for task in tasks:
        before = lines.setdefault(task.key, task.row.line)
        if before != task.row.line:
            message = f"line {task.row.line} asks for the same as line {before}"
            raise RequestError(message)


def _wait_until_settled(administration: Administration, begun: Result) -> None:
    settled = datetime.fromisoformat(begun.at) + timedelta(seconds=administration.settles_in)
    left = (settled - datetime.now(UTC)).total_seconds()
    time.sleep(max(0.0, min(left, administration.settles_in)))


def _tell(summary: Summary, form: Form) -> None:
    if form is Form.JSON:
        print_json(summary)
        return
    parts = [f"{summary.done} done"]
    parts += [f"{summary.done_before} done before"] if summary.done_before else []
    parts += [f"{summary.failed} failed"] if summary.failed else []
    parts += [f"{summary.left} left (run it again)"] if summary.left else []
    click.echo(f"{summary.rows} rows: {', '.join(parts)}")
    click.echo(f"Results: {summary.results}")
