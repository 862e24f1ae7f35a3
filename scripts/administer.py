"""`sftp-mfa-admin`: what an administrator does to accounts and their factors."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import qrcode

from scripts import privileges
from scripts.command_line import (
    config_option,
    guarded,
    json_option,
    load_settings,
    print_json,
)
from store.access_tokens import AccessToken, Scope
from store.accounts import canonical_name
from store.audit import Actor
from store.decisions import Protocol
from store.errors import EnrollmentError
from store.opening import Store, open_store
from store.secret import Secret
from store.totp_factors import Completion, Enrollment, TotpFactor

_TRIES = 3

user_argument = click.argument("user", callback=lambda _context, _option, typed: _account(typed))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sftp-mfa")
def main() -> None:
    """Administer accounts and their factors, as root on a host of the store."""


@main.command("add-auth-factor-totp")
@user_argument
@click.option("--name", default="authenticator", show_default=True, help="What to call it.")
@config_option
@json_option
@guarded
def add_totp(user: str, name: str, config: Path, *, as_json: bool) -> None:
    """Enroll an authenticator app: show its QR code, then ask for a code to complete.

    With --json, prints the secret as one object, reads the code as a line from standard input
    and prints the completed factor as a second object.

    \b
    Examples:
      sftp-mfa-admin add-auth-factor-totp alice
      sftp-mfa-admin add-auth-factor-totp alice --name "spare phone"
    """
    with _store(config) as store:
        enrollment = store.totp_factors.begin(user, name, _actor())
        if as_json:
            print_json(_enrollment(enrollment))
        else:
            _show_enrollment(user, enrollment)
        completion = _complete(store, user, enrollment, quiet=as_json)
    codes = [code.text() for code in completion.recovery_codes]
    if as_json:
        print_json({**_totp(completion.factor), "recoveryCodes": codes})
        return
    click.echo(f"Done: {user} is asked for a code from now on.")
    if codes:
        _show_recovery_codes(codes)


@main.command("list-auth-factor-totp")
@user_argument
@config_option
@json_option
@guarded
def list_totp(user: str, config: Path, *, as_json: bool) -> None:
    """List an account's authenticators.

    \b
    Example:
      sftp-mfa-admin list-auth-factor-totp alice
    """
    with _store(config) as store:
        factors = store.totp_factors.list(user)
    if as_json:
        print_json([_totp(factor) for factor in factors])
        return
    _table(
        ("ID", "NAME", "STATE", "CREATED", "LAST USED"),
        [
            (
                factor.id,
                factor.name,
                "active" if factor.completed_at else "pending",
                _time(factor.created_at),
                _time(factor.last_used_at),
            )
            for factor in factors
        ],
    )


@main.command("delete-auth-factor-totp")
@user_argument
@click.argument("factor_id")
@config_option
@guarded
def delete_totp(user: str, factor_id: str, config: Path) -> None:
    """Remove an authenticator; without its last one an account has left MFA.

    \b
    Example:
      sftp-mfa-admin delete-auth-factor-totp alice 1f0c3a5b7d9e
    """
    with _store(config) as store:
        store.totp_factors.delete(user, factor_id, _actor())
    click.echo(f"Removed authenticator {factor_id} of {user}.")


@main.command("add-auth-factor-access-token")
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
    with _store(config) as store:
        secret, token = store.access_tokens.issue(
            user,
            name,
            _actor(),
            scopes=tuple(Scope(scope) for scope in scopes),
            networks=networks,
            expires_at=expires_at,
        )
    if as_json:
        print_json({"token": secret.text(), **_token(token)})
        return
    click.echo(f"Access token {token.id} of {user}, shown this once:", err=True)
    click.echo(secret.text())


@main.command("list-auth-factor-access-token")
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
    with _store(config) as store:
        tokens = store.access_tokens.list(user)
    if as_json:
        print_json([_token(token) for token in tokens])
        return
    _table(
        ("ID", "NAME", "SCOPES", "NETWORKS", "CREATED", "EXPIRES", "LAST USED", "FROM"),
        [
            (
                token.id,
                token.name,
                " ".join(token.scopes),
                " ".join(token.networks) or "all",
                _time(token.created_at),
                _time(token.expires_at),
                _time(token.last_used_at),
                token.last_used_address or "-",
            )
            for token in tokens
        ],
    )


@main.command("delete-auth-factor-access-token")
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
    with _store(config) as store:
        store.access_tokens.revoke(user, token_id, _actor())
    click.echo(f"Revoked access token {token_id} of {user}.")


@main.command("unlock-user")
@user_argument
@config_option
@guarded
def unlock(user: str, config: Path) -> None:
    """Open an account's code check again after wrong codes.

    \b
    Example:
      sftp-mfa-admin unlock-user alice
    """
    with _store(config) as store:
        store.accounts.unlock(user, _actor())
    click.echo(f"Unlocked {user}.")


@main.command("bar-user")
@user_argument
@config_option
@guarded
def bar(user: str, config: Path) -> None:
    """Keep an account out on every way in, tokens and public keys included.

    \b
    Example:
      sftp-mfa-admin bar-user mallory
    """
    with _store(config) as store:
        store.accounts.bar(user, _actor())
    click.echo(f"Barred {user}.")


@main.command("unbar-user")
@user_argument
@config_option
@guarded
def unbar(user: str, config: Path) -> None:
    """Let a barred account in again.

    \b
    Example:
      sftp-mfa-admin unbar-user mallory
    """
    with _store(config) as store:
        store.accounts.unbar(user, _actor())
    click.echo(f"{user} may come in again.")


@main.command("show-user")
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
    with _store(config) as store:
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
                "totp": [_totp(factor) for factor in factors],
                "accessTokens": [_token(token) for token in tokens],
            }
        )
        return
    click.echo(f"{state.name}")
    click.echo(f"  MFA adopted:    {'yes' if adopted else 'no'}")
    click.echo(f"  barred since:   {_time(state.barred_at)}")
    click.echo(f"  codes locked:   {_until(state.locked_until)}")
    click.echo(f"  wrong codes:    {state.wrong_codes} in a row")
    click.echo(f"  authenticators: {len(factors)}")
    click.echo(f"  access tokens:  {len(tokens)}")


@contextmanager
def _store(config: Path) -> Iterator[Store]:
    settings = load_settings(config)
    privileges.become_service(settings)
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def _account(typed: str) -> str:
    """Turn what was typed into the account's one name."""
    name = canonical_name(typed)
    if name is None:
        message = f"there is no account {typed!r} on this host"
        raise click.UsageError(message)
    return name


def _actor() -> Actor:
    """Say who does it: root, and through whose hands where sudo tells."""
    caller = os.environ.get("SUDO_USER")
    return Actor(f"root ({caller})" if caller else "root", Protocol.HOST)


def _complete(store: Store, user: str, enrollment: Enrollment, *, quiet: bool) -> Completion:
    for tries_left in reversed(range(_TRIES)):
        if not quiet:
            click.echo("Verification code: ", nl=False)
        code = sys.stdin.readline()
        if not code:
            message = "no code was given: the enrollment stays pending and ends by itself"
            raise EnrollmentError(message)
        try:
            return store.totp_factors.complete(user, enrollment.factor.id, code, _actor())
        except EnrollmentError as error:
            if quiet or not tries_left:
                raise
            click.echo(f"{error}", err=True)
    raise AssertionError


def _show_enrollment(user: str, enrollment: Enrollment) -> None:
    code = qrcode.QRCode(border=2)
    code.add_data(enrollment.uri.text())
    click.echo(f"Scan this with the authenticator app of {user}:\n")
    code.print_ascii(tty=False, invert=True)
    click.echo(f"\nor type the key:  {_grouped(enrollment.secret)}")
    click.echo(f"or open the URI:  {enrollment.uri.text()}\n")


def _show_recovery_codes(codes: list[str]) -> None:
    click.echo(
        "\nRecovery codes, shown this once. Each is good for one login without the device:\n"
    )
    for code in codes:
        click.echo(f"  {code}")


def _grouped(secret: Secret) -> str:
    text = secret.text()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def _enrollment(enrollment: Enrollment) -> dict[str, Any]:
    return {
        **_totp(enrollment.factor),
        "secret": enrollment.secret.text(),
        "otpauthUri": enrollment.uri.text(),
    }


def _totp(factor: TotpFactor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "name": factor.name,
        "status": "active" if factor.completed_at else "pending",
        "createdAt": factor.created_at,
        "lastUsedAt": factor.last_used_at,
    }


def _token(token: AccessToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "networks": token.networks,
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "lastUsedAt": token.last_used_at,
        "lastUsedAddress": token.last_used_address,
    }


def _time(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if value is not None else "-"


def _until(value: datetime | None) -> str:
    return f"until {_time(value)}" if value is not None else "no"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
