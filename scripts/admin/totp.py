"""Authenticators and recovery codes."""

import sys
from collections.abc import Sequence

import click

from scripts.admin.administration import Administration, Completion, Enrollment, Totp
from scripts.admin.bulk import act_on
from scripts.admin.common import (
    TOTP_COLUMNS,
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
from store.errors import EnrollmentError
from store.names import factor_name

_TRIES = 3
_LONGEST_CODE = 100
_DIGITS = 6


@click.command("add-auth-factor-totp")
@user_argument
@click.option("--name", default="authenticator", show_default=True, help="What to call it.")
@one_form
@administers
def add_totp(user: str, name: str, form: Form, wanted: Wanted) -> None:
    """Enroll an authenticator app: show its QR code, then ask for a code to complete.

    With --json, prints the secret as one object, reads the code as a line from standard input
    and prints the completed factor as a second object.

    \b
    Examples:
      sftp-mfa-admin add-auth-factor-totp alice
      sftp-mfa-admin add-auth-factor-totp alice --name "spare phone"
    """
    with administration_of(wanted) as administration:
        account = administration.account(user)
        enrollment = administration.begin_totp(account, factor_name(name))
        if form is Form.JSON:
            print_json(enrollment)
        else:
            _show_enrollment(account, enrollment)
        completion = _complete(administration, account, enrollment, quiet=form is Form.JSON)
    if form is Form.JSON:
        print_json(completion)
        return
    say(f"Done: {account} is asked for a code from now on.")
    if completion.recovery_codes:
        _show_recovery_codes(completion.recovery_codes)


@click.command("list-auth-factor-totp")
@user_argument
@list_forms
@administers
def list_totp(user: str, form: Form, wanted: Wanted) -> None:
    """List an account's authenticators.

    \b
    Example:
      sftp-mfa-admin list-auth-factor-totp alice
    """
    with administration_of(wanted) as administration:
        factors = administration.totp(administration.account(user))
    print_items(form, Totp, factors, TOTP_COLUMNS)


@click.command("delete-auth-factor-totp")
@bulk
@id_argument("totp_id", required=False)
@click.option("--all", "whole", is_flag=True, help="All of them: the account leaves MFA.")
@administers
def delete_totp(
    user: str | None, totp_id: str | None, source: Source | None, *, whole: bool, wanted: Wanted
) -> None:
    """Remove an authenticator; without its last one an account has left MFA.

    \b
    Examples:
      sftp-mfa-admin delete-auth-factor-totp alice 1f0c3a5b7d9e
      sftp-mfa-admin delete-auth-factor-totp alice --all
      sftp-mfa-admin delete-auth-factor-totp --from-file names.txt --all
    """
    if (totp_id is None) is not whole or (source is not None and not whole):
        message = "give the authenticator's id, or --all"
        raise click.UsageError(message)
    if totp_id is None:
        told = "Removed every authenticator of {}."
        act_on(lambda road, account: road.delete_all_totp(account), told, user, source, wanted)
        return
    told = f"Removed authenticator {totp_id} of {{}}."
    act_on(lambda road, account: road.delete_totp(account, totp_id), told, user, source, wanted)


@click.command("renew-recovery-codes")
@user_argument
@one_form
@administers
def renew_recovery_codes(user: str, form: Form, wanted: Wanted) -> None:
    """Make ten new recovery codes, in place of those that an account has.

    \b
    Example:
      sftp-mfa-admin renew-recovery-codes alice
    """
    with administration_of(wanted) as administration:
        codes = administration.renew_recovery_codes(administration.account(user))
    if form is Form.JSON:
        print_json({"recoveryCodes": codes})
    else:
        _show_recovery_codes(codes)


def _complete(
    administration: Administration, account: str, enrollment: Enrollment, *, quiet: bool
) -> Completion:
    for tries_left in reversed(range(_TRIES)):
        if not quiet:
            click.echo("Verification code: ", nl=False)
        code = sys.stdin.readline(_LONGEST_CODE)
        if not code:
            message = "no code was given: the enrollment stays pending and ends by itself"
            raise EnrollmentError(message)
        try:
            return administration.complete_totp(account, enrollment.id, _code(code))
        except EnrollmentError as error:
            if quiet or not tries_left:
                raise
            note(f"{error}")
    raise AssertionError


def _code(typed: str) -> str:
    code = "".join(typed.split())
    if len(code) != _DIGITS or not code.isascii() or not code.isdigit():
        message = f"a code has {_DIGITS} digits"
        raise EnrollmentError(message)
    return code


def _show_enrollment(account: str, enrollment: Enrollment) -> None:
    import qrcode  # noqa: PLC0415 - for this command only

    drawn = qrcode.QRCode(border=2)
    drawn.add_data(enrollment.otpauth_uri)
    say(f"Scan this with the authenticator app of {account}:")
    click.echo()
    drawn.print_ascii(tty=False, invert=True)
    click.echo()
    say(f"or type the key:  {_grouped(enrollment.secret)}")
    say(f"or open the URI:  {enrollment.otpauth_uri}")
    click.echo()


def _show_recovery_codes(codes: Sequence[str]) -> None:
    click.echo(
        "\nRecovery codes, shown this once. Each is good for one login without the device:\n"
    )
    for code in codes:
        say(f"  {code}")


def _grouped(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
