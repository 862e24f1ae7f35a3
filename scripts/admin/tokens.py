"""Access tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from scripts.admin.common import actor, print_table, show_time, store_of, token_data, user_argument
from scripts.command_line import config_option, guarded, json_option, print_json
from store.access_tokens import Scope


@click.command("add-auth-factor-access-token")
@user_argument
@click.option("--name", default="token", show_default=True, help="What to call it.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=[Scope.SFTP.value],
    show_default=True,
    help="What it opens; may be given twice.",
)
@click.option("--network", "networks", multiple=True, help="Only from there (CIDR); repeatable.")
@click.option("--days", type=click.IntRange(1, 36500), help="Its life; without, it has no end.")
@config_option
@json_option
@guarded
def add_token(
    user: str,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
    config: Path,
    *,
    as_json: bool,
) -> None:
    """Issue an access token, for a job: given in place of the password, it needs no code.

    \b
    Examples:
      sftp-mfa-admin add-auth-factor-access-token backup --name nightly --days 90
      sftp-mfa-admin add-auth-factor-access-token backup --network 192.0.2.0/24
    """
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    with store_of(config) as store:
        secret, token = store.access_tokens.issue(
            user,
            name,
            actor(),
            scopes=tuple(Scope(scope) for scope in scopes),
            networks=networks,
            expires_at=expires_at,
        )
    if as_json:
        print_json({"token": secret.text(), **token_data(token)})
        return
    click.echo(f"Access token {token.id} of {user}, shown this once:", err=True)
    click.echo(secret.text())


@click.command("list-auth-factor-access-token")
@user_argument
@config_option
@json_option
@guarded
def list_tokens(user: str, config: Path, *, as_json: bool) -> None:
    """List an account's access tokens that are not revoked.

    \b
    Example:
      sftp-mfa-admin list-auth-factor-access-token backup
    """
    with store_of(config) as store:
        tokens = store.access_tokens.list(user)
    if as_json:
        print_json([token_data(token) for token in tokens])
        return
    print_table(
        ("ID", "NAME", "SCOPES", "NETWORKS", "CREATED", "EXPIRES", "LAST USED", "FROM"),
        [
            (
                token.id,
                token.name,
                " ".join(token.scopes),
                " ".join(token.networks) or "all",
                show_time(token.created_at),
                show_time(token.expires_at),
                show_time(token.last_used_at),
                token.last_used_address or "-",
            )
            for token in tokens
        ],
    )


@click.command("delete-auth-factor-access-token")
@user_argument
@click.argument("token_id")
@config_option
@guarded
def delete_token(user: str, token_id: str, config: Path) -> None:
    """Revoke an access token.

    \b
    Example:
      sftp-mfa-admin delete-auth-factor-access-token backup Xh3kQ9zA
    """
    with store_of(config) as store:
        store.access_tokens.revoke(user, token_id, actor())
    click.echo(f"Revoked access token {token_id} of {user}.")
