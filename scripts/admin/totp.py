"""Authenticators and recovery codes."""

import sys
from pathlib import Path
from typing import Any

import click
import qrcode

from scripts.admin.common import actor, print_table, show_time, store_of, totp_data, user_argument
from scripts.command_line import config_option, guarded, json_option, print_json
from store.errors import EnrollmentError
from store.opening import Store
from store.secret import Secret
from store.totp_factors import Completion, Enrollment

_TRIES = 3


@click.command("add-auth-factor-totp")
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
    with store_of(config) as store:
        enrollment = store.totp_factors.begin(user, name, actor())
        if as_json:
            print_json(_enrollment(enrollment))
        else:
            _show_enrollment(user, enrollment)
        completion = _complete(store, user, enrollment, quiet=as_json)
    codes = [code.text() for code in completion.recovery_codes]
    if as_json:
        print_json({**totp_data(completion.factor), "recoveryCodes": codes})
        return
    click.echo(f"Done: {user} is asked for a code from now on.")
    if codes:
        _show_recovery_codes(codes)


@click.command("list-auth-factor-totp")
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
    with store_of(config) as store:
        factors = store.totp_factors.list(user)
    if as_json:
        print_json([totp_data(factor) for factor in factors])
        return
    print_table(
        ("ID", "NAME", "STATE", "CREATED", "LAST USED"),
        [
            (
                factor.id,
                factor.name,
                "active" if factor.completed_at else "pending",
                show_time(factor.created_at),
                show_time(factor.last_used_at),
            )
            for factor in factors
        ],
    )


@click.command("delete-auth-factor-totp")
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
    with store_of(config) as store:
        store.totp_factors.delete(user, factor_id, actor())
    click.echo(f"Removed authenticator {factor_id} of {user}.")


@click.command("renew-recovery-codes")
@user_argument
@config_option
@json_option
@guarded
def renew_recovery_codes(user: str, config: Path, *, as_json: bool) -> None:
    """Make ten new recovery codes, in place of those that an account has.

    \b
    Example:
      sftp-mfa-admin renew-recovery-codes alice
    """
    with store_of(config) as store:
        codes = [code.text() for code in store.recovery_codes.renew(user, actor())]
    if as_json:
        print_json({"recoveryCodes": codes})
    else:
        _show_recovery_codes(codes)


def _complete(store: Store, user: str, enrollment: Enrollment, *, quiet: bool) -> Completion:
    for tries_left in reversed(range(_TRIES)):
        if not quiet:
            click.echo("Verification code: ", nl=False)
        code = sys.stdin.readline()
        if not code:
            message = "no code was given: the enrollment stays pending and ends by itself"
            raise EnrollmentError(message)
        try:
            return store.totp_factors.complete(user, enrollment.factor.id, code, actor())
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
        **totp_data(enrollment.factor),
        "secret": enrollment.secret.text(),
        "otpauthUri": enrollment.uri.text(),
    }
