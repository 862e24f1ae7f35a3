"""Accounts."""

from pathlib import Path

import click

from scripts.admin.common import (
    actor,
    print_table,
    show_time,
    store_of,
    token_data,
    totp_data,
    user_argument,
)
from scripts.command_line import config_option, guarded, json_option, print_json
from store.accounts import AccountState


@click.command("unlock-user")
@user_argument
@config_option
@guarded
def unlock(user: str, config: Path) -> None:
    """Open an account's code check again after wrong codes.

    \b
    Example:
      sftp-mfa-admin unlock-user alice
    """
    with store_of(config) as store:
        store.accounts.unlock(user, actor())
    click.echo(f"Unlocked {user}.")


@click.command("bar-user")
@user_argument
@config_option
@guarded
def bar(user: str, config: Path) -> None:
    """Keep an account out on every way in, tokens and public keys included.

    \b
    Example:
      sftp-mfa-admin bar-user mallory
    """
    with store_of(config) as store:
        store.accounts.bar(user, actor())
    click.echo(f"Barred {user}.")


@click.command("unbar-user")
@user_argument
@config_option
@guarded
def unbar(user: str, config: Path) -> None:
    """Let a barred account in again.

    \b
    Example:
      sftp-mfa-admin unbar-user mallory
    """
    with store_of(config) as store:
        store.accounts.unbar(user, actor())
    click.echo(f"{user} may come in again.")


@click.command("show-user")
@user_argument
@config_option
@json_option
@guarded
def show(user: str, config: Path, *, as_json: bool) -> None:
    """Show an account's state and factors.

    \b
    Example:
      sftp-mfa-admin show-user alice
    """
    with store_of(config) as store:
        state = store.accounts.show(user)
        factors = store.totp_factors.list(user)
        tokens = store.access_tokens.list(user)
    adopted = any(factor.completed_at for factor in factors)
    if as_json:
        print_json(
            {
                "name": state.name,
                "mfaAdopted": adopted,
                "barredAt": state.barred_at,
                "wrongCodes": state.wrong_codes,
                "lockedUntil": state.locked_until,
                "totp": [totp_data(factor) for factor in factors],
                "accessTokens": [token_data(token) for token in tokens],
            }
        )
        return
    click.echo(f"{state.name}")
    click.echo(f"  MFA adopted:    {'yes' if adopted else 'no'}")
    click.echo(f"  barred since:   {show_time(state.barred_at)}")
    locked = f"until {show_time(state.locked_until)}" if state.locked_until else "no"
    click.echo(f"  codes locked:   {locked}")
    click.echo(f"  wrong codes:    {state.wrong_codes} in a row")
    click.echo(f"  authenticators: {len(factors)}")
    click.echo(f"  access tokens:  {len(tokens)}")


@click.command("list-users")
@click.argument("prefix", default="")
@click.option("--adopted/--not-adopted", default=None, help="Only who has adopted MFA, or not.")
@click.option("--locked", is_flag=True, help="Only those whose code check is locked.")
@click.option("--barred", is_flag=True, help="Only those who are barred.")
@click.option("--after", default="", help="Go on after this name, the last of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@config_option
@json_option
@guarded
def list_users(
    prefix: str,
    after: str,
    limit: int,
    config: Path,
    *,
    adopted: bool | None,
    locked: bool,
    barred: bool,
    as_json: bool,
) -> None:
    """List the accounts that the store has met, by name; PREFIX narrows to names that begin so.

    \b
    Examples:
      sftp-mfa-admin list-users
      sftp-mfa-admin list-users --locked
      sftp-mfa-admin list-users svc- --not-adopted --json
    """
    with store_of(config) as store:
        states = store.accounts.list(
            prefix=prefix,
            after=after,
            limit=limit,
            adopted=adopted,
            locked=locked,
            barred=barred,
        )
    if as_json:
        print_json([_state(state) for state in states])
        return
    print_table(
        ("NAME", "MFA SINCE", "LOCKED UNTIL", "BARRED SINCE"),
        [
            (
                state.name,
                show_time(state.adopted_at),
                show_time(state.locked_until),
                show_time(state.barred_at),
            )
            for state in states
        ],
    )


def _state(state: AccountState) -> dict[str, object]:
    return {
        "name": state.name,
        "mfaAdopted": state.adopted_at is not None,
        "barredAt": state.barred_at,
        "wrongCodes": state.wrong_codes,
        "lockedUntil": state.locked_until,
    }
