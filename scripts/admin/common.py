"""What the commands of `sftp-mfa-admin` share: their options and their columns."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from scripts.admin.administration import AccessToken, RoadError, Totp
from scripts.admin.bulk_rows import STDIN
from scripts.admin.output import Column, Form, show_time
from scripts.admin.road import road_options
from scripts.command_line import EXIT_BROKEN, guarded

user_argument = click.argument("user")
_ID = re.compile(r"[0-9A-Za-z]{1,64}")


def id_argument(name: str, *, required: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """Give a command an argument that is the id of something that an account has."""

    def check(
        _context: click.Context, _parameter: click.Parameter, typed: str | None
    ) -> str | None:
        if typed is not None and not _ID.fullmatch(typed):
            message = f"{typed!r} is no id: they have letters and digits only"
            raise click.BadParameter(message)
        return typed

    return click.argument(name, required=required, callback=check)


def administers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command one that goes a road: its options, and its errors in one line each."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except RoadError as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(EXIT_BROKEN) from error

    return road_options(guarded(run))


def forms(*allowed: Form) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that choose what is printed, as its argument `form`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(*arguments: Any, **options: Any) -> Any:
            chosen = [form for form in allowed if options.pop(f"as_{form.name.lower()}")]
            if len(chosen) > 1:
                message = "give --json or --csv, not both"
                raise click.UsageError(message)
            return command(*arguments, form=chosen[0] if chosen else Form.TABLE, **options)

        for form in reversed(allowed):
            run = click.option(
                f"--{form.name.lower()}",
                f"as_{form.name.lower()}",
                is_flag=True,
                help=_HELP[form],
            )(run)
        return run

    return decorate


def bulk(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the choice between one user and a file, as its argument `source`."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        from_file, results = options.pop("from_file"), options.pop("results")
        if (options["user"] is None) is (from_file is None):
            message = "give a user, or --from-file"
            raise click.UsageError(message)
        if from_file == STDIN and options["token_stdin"]:
            message = "--from-file - and --token-stdin both read standard input: give one a file"
            raise click.UsageError(message)
        if results is not None and from_file is None:
            message = "--results is for --from-file"
            raise click.UsageError(message)
        source = _source(from_file, results) if from_file is not None else None
        return command(*arguments, source=source, **options)

    for option in (_RESULTS, _FROM_FILE, click.argument("user", required=False)):
        run = option(run)
    return run


@dataclass(frozen=True, slots=True)
class Source:
    """Many rows, and where the results go."""

    action: str
    """The command's name."""
    rows_from: str
    results: Path


def _source(from_file: str, results: Path | None) -> Source:
    command = str(click.get_current_context().info_name)
    if results is None and from_file == STDIN:
        message = "say with --results which file the results go to"
        raise click.UsageError(message)
    return Source(command, from_file, results or Path(f"{from_file}.{command}.csv"))


_FROM_FILE = click.option(
    "--from-file",
    metavar="FILE",
    help="Many users: CSV with a header, or one name a line; - is standard input.",
)
_RESULTS = click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What came of each row, for a restart too; else FILE.COMMAND.csv.",
)
_HELP = {Form.JSON: "Print JSON, for programs.", Form.CSV: "Print CSV, for spreadsheets."}
list_forms = forms(Form.JSON, Form.CSV)
one_form = forms(Form.JSON)

TOKEN_COLUMNS: Sequence[Column[AccessToken]] = (
    Column("ID", lambda token: token.id),
    Column("NAME", lambda token: token.name),
    Column("SCOPES", lambda token: " ".join(token.scopes)),
    Column("NETWORKS", lambda token: " ".join(token.networks) or "all"),
    Column("CREATED", lambda token: show_time(token.created_at)),
    Column("EXPIRES", lambda token: show_time(token.expires_at)),
    Column("LAST USED", lambda token: show_time(token.last_used_at)),
    Column("FROM", lambda token: token.last_used_address or "-"),
)
TOTP_COLUMNS: Sequence[Column[Totp]] = (
    Column("ID", lambda factor: factor.id),
    Column("NAME", lambda factor: factor.name),
    Column("STATE", lambda factor: factor.status),
    Column("CREATED", lambda factor: show_time(factor.created_at)),
    Column("LAST USED", lambda factor: show_time(factor.last_used_at)),
)
