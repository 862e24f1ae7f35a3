"""Access tokens."""

from datetime import UTC, datetime, timedelta

import click

from scripts.admin.administration import SCOPES, AccessToken, NewToken
from scripts.admin.common import TOKEN_COLUMNS, administers, list_forms, one_form, user_argument
from scripts.admin.output import Form, note, print_items, print_json
from scripts.admin.road import Wanted, administration_of
from store.names import factor_name


@click.command("add-auth-factor-access-token")
@user_argument
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
@click.option("--days", type=click.IntRange(1, 36500), help="Its life; without, as configured.")
@one_form
@administers
def add_token(
    user: str,
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
    """
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    new = NewToken(factor_name(name), scopes, networks, expires_at)
    with administration_of(wanted) as administration:
        account = administration.account(user)
        issued = administration.issue_token(account, new)
    if form is Form.JSON:
        print_json(issued)
        return
    note(f"Access token {issued.id} of {account}, shown this once:")
    click.echo(issued.token)


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
@click.argument("token_id")
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
    click.echo(f"Revoked access token {token_id} of {account}.")
