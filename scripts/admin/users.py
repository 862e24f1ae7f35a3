"""Accounts."""

from collections.abc import Sequence

import click
import msgspec

from scripts.admin.administration import AccessToken, Account, AccountFilter, Totp
from scripts.admin.bulk import act_on
from scripts.admin.common import Source, administers, bulk, list_forms, one_form, user_argument
from scripts.admin.output import Column, Form, print_json, print_page, say, show_time
from scripts.admin.road import Wanted, administration_of

_COLUMNS: Sequence[Column[Account]] = (
    Column("NAME", lambda account: account.name),
    Column("MFA SINCE", lambda account: show_time(account.adopted_at)),
    Column("LOCKED UNTIL", lambda account: show_time(account.locked_until)),
    Column("BARRED SINCE", lambda account: show_time(account.barred_at)),
)


class Overview(Account, frozen=True):
    """An account with what it has."""

    totp: tuple[Totp, ...]
    access_tokens: tuple[AccessToken, ...]
    recovery_codes_left: int


@click.command("unlock-user")
@bulk
@administers
def unlock(user: str | None, source: Source | None, wanted: Wanted) -> None:
    """Open an account's code check again after wrong codes.

    \b
    Examples:
      sftp-mfa-admin unlock-user alice
      sftp-mfa-admin unlock-user --from-file names.txt
    """
    act_on(lambda road, account: road.unlock(account), "Unlocked {}.", user, source, wanted)


@click.command("bar-user")
@bulk
@administers
def bar(user: str | None, source: Source | None, wanted: Wanted) -> None:
    """Keep an account out on every way in, tokens and public keys included.

    \b
    Examples:
      sftp-mfa-admin bar-user mallory
      sftp-mfa-admin bar-user --from-file leavers.txt
    """
    act_on(lambda road, account: road.bar(account), "Barred {}.", user, source, wanted)


@click.command("unbar-user")
@bulk
@administers
def unbar(user: str | None, source: Source | None, wanted: Wanted) -> None:
    """Let a barred account in again.

    \b
    Examples:
      sftp-mfa-admin unbar-user mallory
      sftp-mfa-admin unbar-user --from-file returners.txt
    """
    act_on(lambda road, account: road.unbar(account), "{} may come in again.", user, source, wanted)


@click.command("forget-user")
@bulk
@administers
def forget(user: str | None, source: Source | None, wanted: Wanted) -> None:
    """Take all factors and sessions from an account, whose owner left: the name may go to another.

    What happened stays in the audit, and a bar stays.

    \b
    Examples:
      sftp-mfa-admin forget-user leaver
      sftp-mfa-admin forget-user --from-file leavers.txt
    """
    act_on(lambda road, account: road.forget(account), "Forgot {}.", user, source, wanted)


@click.command("show-user")
@user_argument
@one_form
@administers
def show(user: str, form: Form, wanted: Wanted) -> None:
    """Show an account's state and factors.

    \b
    Examples:
      sftp-mfa-admin show-user alice
      sftp-mfa-admin show-user me --server https://sftp.example.com
    """
    with administration_of(wanted) as administration:
        state = administration.show(administration.account(user))
        found = Overview(
            **msgspec.structs.asdict(state),
            totp=tuple(administration.totp(state.name)),
            access_tokens=tuple(administration.tokens(state.name)),
            recovery_codes_left=administration.recovery_codes_left(state.name),
        )
    if form is Form.JSON:
        print_json(found)
        return
    locked = f"until {show_time(found.locked_until)}" if found.locked_until else "no"
    say(found.name)
    click.echo(f"  MFA since:      {show_time(found.adopted_at)}")
    click.echo(f"  barred since:   {show_time(found.barred_at)}")
    click.echo(f"  codes locked:   {locked}")
    click.echo(f"  wrong codes:    {found.wrong_codes} in a row")
    click.echo(f"  authenticators: {len(found.totp)}")
    click.echo(f"  recovery codes: {found.recovery_codes_left} left")
    click.echo(f"  access tokens:  {len(found.access_tokens)}")


@click.command("list-users")
@click.argument("prefix", default="")
@click.option("--adopted/--not-adopted", default=None, help="Only who has adopted MFA, or not.")
@click.option("--locked", is_flag=True, help="Only those whose code check is locked.")
@click.option("--barred", is_flag=True, help="Only those who are barred.")
@click.option("--after", default="", help="Go on after this name, the last of the page before.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@list_forms
@administers
def list_users(
    prefix: str,
    after: str,
    limit: int,
    form: Form,
    wanted: Wanted,
    *,
    adopted: bool | None,
    locked: bool,
    barred: bool,
) -> None:
    """List the accounts that the store has met, by name; PREFIX narrows to names that begin so.

    \b
    Examples:
      sftp-mfa-admin list-users
      sftp-mfa-admin list-users --locked
      sftp-mfa-admin list-users svc- --not-adopted --json
    """
    with administration_of(wanted) as administration:
        page = administration.accounts(AccountFilter(prefix, adopted, locked, barred), limit, after)
    print_page(form, Account, page, _COLUMNS, "--after")


@click.command("report-adoption")
@one_form
@administers
def report_adoption(form: Form, wanted: Wanted) -> None:
    """Report how many of the accounts that the store has met have adopted MFA.

    Who has not: `list-users --not-adopted`.

    \b
    Examples:
      sftp-mfa-admin report-adoption
      sftp-mfa-admin report-adoption --json
    """
    with administration_of(wanted) as administration:
        adoption = administration.adoption()
    if form is Form.JSON:
        print_json(adoption)
        return
    share = 100 * adoption.adopted / adoption.accounts if adoption.accounts else 0
    click.echo(f"accounts met:   {adoption.accounts}")
    click.echo(f"  with MFA:     {adoption.adopted} ({share:.1f} %)")
    click.echo(f"  without MFA:  {adoption.accounts - adoption.adopted}")
    click.echo(f"  barred:       {adoption.barred}")
