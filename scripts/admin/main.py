"""The command `sftp-mfa-admin`, put together."""

import click

from scripts.admin import audit, tokens, totp, users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sftp-mfa")
def main() -> None:
    """Administer accounts and their factors, as root on a host of the store."""


for _command in (
    totp.add_totp,
    totp.list_totp,
    totp.delete_totp,
    totp.renew_recovery_codes,
    tokens.add_token,
    tokens.list_tokens,
    tokens.delete_token,
    users.list_users,
    users.show,
    users.unlock,
    users.bar,
    users.unbar,
    audit.list_events,
    audit.verify,
    audit.prune,
):
    main.add_command(_command)
