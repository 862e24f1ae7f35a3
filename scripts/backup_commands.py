"""The commands `back-up`, `restore` and `settle-restored-store`."""

from pathlib import Path

import click

from scripts.command_line import config_option, guarded

_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)
_revoke_tokens_option = click.option(
    "--revoke-tokens",
    is_flag=True,
    help="Revoke all access tokens: those that were revoked since the backup are valid again.",
)


@click.command("back-up")
@click.argument("folder", type=_FOLDER)
@click.option("--keys-to", type=_FILE, help="Put the keys into this new file, apart from the rest.")
@config_option
@guarded
def back_up_command(folder: Path, keys_to: Path | None, config: Path) -> None:
    """Copy store, keys and configuration into a new folder, while everything goes on.

    The copy is opened with its keys before it counts as made. For an SQLite store; PostgreSQL has
    pg_dump.

    \b
    Examples:
      sftp-mfa back-up /var/backups/sftp-mfa-2026-11-24
      sftp-mfa back-up /mnt/a/store --keys-to /mnt/b/store.keys
    """
    from scripts.backup import back_up  # noqa: PLC0415 - for this command only

    for line in back_up(config, folder.absolute(), keys_to and keys_to.absolute()):
        click.echo(line)


@click.command("restore")
@click.argument("folder", type=_FOLDER)
@click.option("--keys-from", type=_FILE, help="The file with the keys, where they were kept apart.")
@click.option("--force", is_flag=True, help="In the place of a store that is there, too.")
@_revoke_tokens_option
@config_option
@guarded
def restore_command(
    folder: Path,
    keys_from: Path | None,
    force: bool,  # noqa: FBT001 - click's
    revoke_tokens: bool,  # noqa: FBT001
    config: Path,
) -> None:
    """Put a backup in the store's place; services must be stopped.

    It is tried and its audit verified first. No code, recovery code or session that could have been
    used since the backup counts again. What was there is kept beside.

    \b
    Examples:
      sftp-mfa restore /var/backups/sftp-mfa-2026-11-24
      sftp-mfa restore /mnt/a/store --keys-from /mnt/b/store.keys --force --revoke-tokens
    """
    from scripts.restore import restore  # noqa: PLC0415 - for this command only

    for line in restore(
        config, folder.absolute(), keys_from, force=force, revoke_tokens=revoke_tokens
    ):
        click.echo(line)


@click.command("settle-restored-store")
@_revoke_tokens_option
@config_option
@guarded
def settle_command(revoke_tokens: bool, config: Path) -> None:  # noqa: FBT001 - click's
    """End what a restored database has brought back; before any service is started.

    For a PostgreSQL store after pg_restore (or a failover that lost commits): no code, recovery
    code or session that could have been used since counts again. `restore` does it by itself.

    \b
    Example:
      sftp-mfa settle-restored-store
    """
    from scripts.restore import settle  # noqa: PLC0415 - for this command only

    for line in settle(config, revoke_tokens=revoke_tokens):
        click.echo(line)
