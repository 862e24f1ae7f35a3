"""`sftp-mfa`: what the operator of a host runs."""

from pathlib import Path

import click

from scripts import backup_commands, completion, privileges
from scripts.command_line import config_option, guarded, load_settings, start_log
from scripts.doctor.commands import doctor_command
from scripts.installation.commands import install_command, recover_command, uninstall_command
from store.clock import system_clock, system_randomness
from store.database import sqlite_path
from store.errors import KeyFileError
from store.opening import open_store
from store.sealing import Keyring, create_key_file
from store.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sftp-mfa")
def main() -> None:
    """Run and look after sftp-mfa on this host."""


main.add_command(install_command)
main.add_command(uninstall_command)
main.add_command(recover_command)
main.add_command(doctor_command)
main.add_command(completion.operate)
main.add_command(backup_commands.back_up_command)
main.add_command(backup_commands.restore_command)
main.add_command(backup_commands.settle_command)


@main.command("serve-pam")
@config_option
@guarded
def serve_pam(config: Path) -> None:
    """Serve the PAM module of this host's sshd, in the foreground.

    Started as root, it goes on as the service's user.

    \b
    Example:
      sftp-mfa serve-pam --config /etc/sftp-mfa/config.toml
    """
    from pam_module.helper import listen, run  # noqa: PLC0415

    settings = load_settings(config)
    start_log(settings.audit)
    privileges.make_folder(Path(settings.pam.socket).parent, settings, 0o755)
    listener = listen(Path(settings.pam.socket))  # in a folder that may be root's
    privileges.become_service(settings)
    run(open_store(settings), settings, listener)


@main.command("serve-web")
@config_option
@guarded
def serve_web(config: Path) -> None:
    """Serve the web pages, in the foreground; SIGHUP reads the certificate again.

    Started as root, it goes on as the service's user. Passwords are checked by
    `sftp-mfa serve-passwords`, which has to run beside it.

    \b
    Example:
      sftp-mfa serve-web --config /etc/sftp-mfa/config.toml
    """
    from web_admin.server import run  # noqa: PLC0415 - large, and for this command only

    settings = load_settings(config)
    start_log(settings.audit)
    privileges.become_service(settings)
    run(settings)


@main.command("serve-passwords")
@config_option
@guarded
def serve_passwords(config: Path) -> None:
    """Ask PAM, for the web service only, whether a password is right, and change one.

    In the foreground and as root, since PAM tells nobody else. It reads nothing but its
    configuration and knows nothing of the store.

    \b
    Example:
      sftp-mfa serve-passwords --config /etc/sftp-mfa/config.toml
    """
    from web_admin.broker import run  # noqa: PLC0415 - loads libpam

    settings = load_settings(config)
    start_log(settings.audit)
    privileges.make_folder(Path(settings.passwords.socket).parent, settings, 0o755)
    account = privileges.service_account(settings)
    run(settings.passwords, account.pw_uid, account.pw_gid)


@main.command("check-config")
@config_option
@guarded
def check_config(config: Path) -> None:
    """Check configuration, key file and store, and say what is wrong.

    \b
    Example:
      sftp-mfa check-config --config /etc/sftp-mfa/config.toml
    """
    settings = load_settings(config)
    privileges.become_service(settings)
    store = open_store(settings)
    store.check()
    store.close()
    click.echo(f"{config}: good; the store answers and has the right schema")


@main.command("upgrade-store")
@click.option("--if-exists", is_flag=True, help="Where there is no store yet, make none.")
@config_option
@guarded
def upgrade_store(if_exists: bool, config: Path) -> None:  # noqa: FBT001 - click's
    """Make the store, or move its schema to this version's; safe to repeat.

    Run it once on one host after each upgrade of the program. Where there is no store yet, it
    makes the key file too. Keep a copy of that file in a safe place: without it the store's
    secrets are lost.

    \b
    Example:
      sftp-mfa upgrade-store --config /etc/sftp-mfa/config.toml
    """
    # Alembic is large, and needed by no other command.
    from store.upgrade import store_exists  # noqa: PLC0415
    from store.upgrade import upgrade_store as upgrade  # noqa: PLC0415

    settings = load_settings(config)
    if if_exists and not store_exists(settings.store):
        click.echo("there is no store yet")
        return
    _make_key_file(settings)
    path = sqlite_path(settings.store.url)
    if path is not None:
        privileges.make_folder(path.parent, settings, 0o700)
    privileges.become_service(settings)
    keyring = Keyring(Path(settings.store.key_file), system_randomness)
    before, after = upgrade(settings.store, keyring, system_clock, system_randomness)
    if before == after:
        click.echo(f"the store has schema {after} already")
    else:
        click.echo(f"the store now has schema {after} (before: {before or 'none'})")


@main.command("rotate-keys")
@click.option(
    "--step",
    type=click.Choice(["all", "add", "reseal", "retire"]),
    default="all",
    show_default=True,
    help="One step alone, for a store that several hosts share.",
)
@config_option
@guarded
def rotate_keys(step: str, config: Path) -> None:
    """Seal every secret under a new key, and end the old one; logins go on all the while.

    May be broken off and run again. Where several hosts share a store: `--step add` on one host,
    copy the key file to the others, `--step reseal` on one, then `--step retire` on one and copy
    the file once more.

    \b
    Examples:
      sftp-mfa rotate-keys
      sftp-mfa rotate-keys --step add
    """
    from scripts.key_rotation import rotate  # noqa: PLC0415 - for this command only

    for line in rotate(load_settings(config), step):
        click.echo(line)


def _make_key_file(settings: Settings) -> None:
    from store.upgrade import store_exists  # noqa: PLC0415

    path = Path(settings.store.key_file)
    if path.exists():
        return
    if store_exists(settings.store):
        message = f"{path} is missing, but there is a store already: restore the file from a copy"
        raise KeyFileError(message)
    create_key_file(path, privileges.service_account(settings).pw_gid, system_randomness)
    click.echo(f"made the key file {path}: keep a copy of it in a safe place")
