"""What the commands of `sftp-mfa-admin` share: their options and their columns."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from scripts.admin.administration import AccessToken, RoadError, Totp
from scripts.admin.output import Column, Form, show_time
from scripts.admin.road import road_options
from scripts.command_line import EXIT_BROKEN, guarded

user_argument = click.argument("user")


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
