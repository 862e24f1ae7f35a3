"""Access tokens."""

import re
from datetime import UTC, datetime, timedelta

import click

from scripts.admin.administration import SCOPES, AccessToken, NewToken
from scripts.admin.bulk import Issue, run
from scripts.admin.bulk_rows import Row, read_rows
from scripts.admin.common import (
    TOKEN_COLUMNS,
    Source,
    administers,
    bulk,
    id_argument,
    list_forms,
    one_form,
    user_argument,
)
from scripts.admin.output import Form, note, print_items, print_json, say
from scripts.admin.road import Wanted, administration_of
from store.errors import RequestError
from store.names import factor_name

_NUMBER = re.compile(r"[0-9]{1,5}")
_DAYS = range(1, 36_501)
_COLUMNS = ("name", "scopes", "networks", "days")


@click.command("add-auth-factor-access-token")
@bulk
@click.option("--name", default="token", show_default=True, help="What to call it.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=["sftp"],
    show_default=True,
    help="What it opens; may be given twice.",
)
@click.option("--network", "networks", multiple=True, help="Only from there (CIDR); repeatable.")
@click.option(
    "--days", type=click.IntRange(_DAYS[0], _DAYS[-1]), help="Its life; without, as configured."
)
@one_form
@administers
def add_token(
    user: str | None,
    source: Source | None,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
    form: Form,
    wanted: Wanted,
) -> None:
    """Issue an access token, for a job: given in place of the password, it needs no code.

    \b
    Examples:
      sftp-mfa-admin add-auth-factor-access-token backup --name nightly --days 90
      sftp-mfa-admin add-auth-factor-access-token backup --network 192.0.2.0/24
      sftp-mfa-admin add-auth-factor-access-token --from-file services.csv --days 365

    A file's columns are user, name, scopes, networks and days; what a row leaves empty, the
    options say. The new tokens are in the results, which are for your eyes alone.
    """
    new = NewToken(factor_name(name), scopes, networks, _expiry(days))
    if source is not None:
        rows = read_rows(source.rows_from, _COLUMNS)
        run([Issue(row, _of_row(row, new)) for row in rows], source, wanted, form)
    elif user is not None:
        _issue(user, new, form, wanted)


def _issue(user: str, new: NewToken, form: Form, wanted: Wanted) -> None:
    with administration_of(wanted) as administration:
        account = administration.account(user)
        issued = administration.issue_token(account, new)
    if form is Form.JSON:
        print_json(issued)
        return
    note(f"Access token {issued.id} of {account}, shown this once:")
    say(issued.token)


def _of_row(row: Row, default: NewToken) -> NewToken:
    """Read what a row asks for; RequestError with its line where that cannot be."""
    given = row.values
    days = given.get("days")
    if days is not None and not (_NUMBER.fullmatch(days) and int(days) in _DAYS):
        message = f"line {row.line}: days is a number from {_DAYS[0]} to {_DAYS[-1]}, not {days!r}"
        raise RequestError(message)
    scopes = tuple(given.get("scopes", "").split()) or default.scopes
    if not set(scopes) <= set(SCOPES):
        message = f"line {row.line}: scopes are {' and '.join(SCOPES)}, not {given['scopes']!r}"
        raise RequestError(message)
    try:
        name = factor_name(given.get("name", default.name))
    except RequestError as error:
        message = f"line {row.line}: {error}"
        raise RequestError(message) from error
    networks = tuple(given.get("networks", "").split()) or default.networks
    return NewToken(
        name, scopes, networks, default.expires_at if days is None else _expiry(int(days))
    )


def _expiry(days: int | None) -> datetime | None:
    return datetime.now(UTC) + timedelta(days=days) if days is not None else None


@click.command("list-auth-factor-access-token")
@user_argument
@list_forms
@administers
def list_tokens(user: str, form: Form, wanted: Wanted) -> None:
    """List an account's access tokens that are not revoked.

    \b
    Example:
      sftp-mfa-admin list-auth-factor-access-token backup
    """
    with administration_of(wanted) as administration:
        tokens = administration.tokens(administration.account(user))
    print_items(form, AccessToken, tokens, TOKEN_COLUMNS)


@click.command("delete-auth-factor-access-token")
@user_argument
@id_argument("token_id")
@administers
def delete_token(user: str, token_id: str, wanted: Wanted) -> None:
    """Revoke an access token.

    \b
    Example:
      sftp-mfa-admin delete-auth-factor-access-token backup Xh3kQ9zA
    """
    with administration_of(wanted) as administration:
        account = administration.account(user)
        administration.revoke_token(account, token_id)
    say(f"Revoked access token {token_id} of {account}.")
