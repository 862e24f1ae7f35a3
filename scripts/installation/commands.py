"""The commands `install`, `uninstall` and `recover-install`."""

import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from scripts import privileges
from scripts.command_line import config_option, guarded
from scripts.installation import layout, state
from scripts.installation.errors import RefusedError
from store.database import sqlite_path
from store.settings import load

if TYPE_CHECKING:
    from scripts.installation.install import Plan

_PORTS = click.IntRange(1, 65535)


@click.command("install")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option(
    "--sftp-port",
    type=_PORTS,
    help="Leave the machine's sshd alone, and run one for SFTP on this port.",
)
@click.option(
    "--open-passwords",
    is_flag=True,
    help="Go on where the machine takes public keys only: passwords are taken from then on.",
)
@click.option(
    "--overwrite-changed",
    is_flag=True,
    help="Write files anew that were changed since the last installation.",
)
@config_option
@guarded
def install_command(
    dry_run: bool,  # noqa: FBT001 - click's
    sftp_port: int | None,
    open_passwords: bool,  # noqa: FBT001
    overwrite_changed: bool,  # noqa: FBT001
    config: Path,
) -> None:
    """Put sftp-mfa into this machine's sshd, prove it with logins, or put everything back.

    It checks first, copies every file that it changes to /var/backups/sftp-mfa, and logs in on
    loopback with two accounts that it makes for that and removes. If a login does not end as it
    must, or if it is ended before, all files are put back. Run again it changes what is new.

    \b
    Examples:
      sftp-mfa install --dry-run
      sftp-mfa install
      sftp-mfa install --sftp-port 2222
    """
    # It brings an SSH client, which no other command needs.
    from scripts.installation.install import Wishes, install, plan  # noqa: PLC0415

    privileges.require_root()
    wishes = Wishes(config, sftp_port, open_passwords, overwrite_changed)
    if dry_run:
        _show(plan(wishes))
        return
    with state.turn():
        _end_by_exception()
        _recover()
        planned = plan(wishes)
        _warn(planned)
        if planned.obstacles:
            raise RefusedError("; ".join(planned.obstacles))
        if not planned.changes:
            _say("everything is in its place: nothing was changed")
            return
        install(wishes, planned, _say)
        _say("installed. `sftp-mfa doctor` tells how this machine stands")


@click.command("uninstall")
@click.option("--purge", is_flag=True, help="Also delete configuration, keys and store; asks.")
@config_option
@guarded
def uninstall_command(purge: bool, config: Path) -> None:  # noqa: FBT001
    """Take sftp-mfa out of this machine's sshd and PAM again: every file as it was before.

    Configuration, keys and store stay, unless --purge is given and this machine's name is typed.

    \b
    Examples:
      sftp-mfa uninstall
      sftp-mfa uninstall --purge
    """
    from scripts.installation.uninstall import uninstall  # noqa: PLC0415

    privileges.require_root()
    if purge:
        _confirm()
    with state.turn():
        _recover()
        uninstall(_say)
    if purge:
        _purge(config)
    else:
        _say(f"{layout.CONFIG_FOLDER}, the store and {layout.BACKUPS} stay (--purge deletes them)")


@click.command("recover-install")
@guarded
def recover_command() -> None:
    """Put everything back if an installation was ended before its end, as by a power failure.

    systemd runs this at boot before sshd starts. It leaves alone an installation that is at work.

    \b
    Example:
      sftp-mfa recover-install
    """
    privileges.require_root()
    try:
        with state.turn():
            if state.unfinished() is None:
                _say("no installation was ended before its end")
            _recover()
    except state.BusyError as error:
        _say(f"nothing was done: {error}")


def _recover() -> None:
    from scripts.installation import recovery  # noqa: PLC0415 - for few commands only

    for line in recovery.recover():
        _say(f"an installation was ended before its end: {line}")


def _show(planned: "Plan") -> None:
    if state.unfinished() is not None:
        click.echo("note: an installation was ended before its end, and is undone first", err=True)
    _warn(planned)
    for obstacle in planned.obstacles:
        click.echo(f"stands against it: {obstacle}", err=True)
    for change in planned.changes:
        click.echo(change.diff(), nl=False)
    if not planned.changes:
        _say("everything is in its place: nothing would be changed")
        return
    _say(
        f"then: make configuration, key and store where missing; start {layout.HELPER_UNIT}; test "
        "and reload sshd; log in on loopback with two accounts made for it; remove these"
    )
    if planned.obstacles:
        message = "nothing would be done, because of what stands against it"
        raise RefusedError(message)


def _warn(planned: "Plan") -> None:
    for warning in planned.warnings:
        click.echo(f"note: {warning}", err=True)
    for change in planned.kept:
        click.echo(
            f"note: {change.path} was changed since it was written, and stays as it is "
            "(--overwrite-changed writes it anew)",
            err=True,
        )


def _say(line: str) -> None:
    click.echo(line)


def _end_by_exception() -> None:
    """Let a signal end this as an error does, which puts everything back."""

    def end(number: int, _frame: FrameType | None) -> None:
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)  # the way back is not to be interrupted
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)


def _confirm() -> None:
    name = socket.gethostname()
    click.echo("This deletes every factor of every account, for good.", err=True)
    if click.prompt(f"Type {name} to go on", err=True, default="", show_default=False) != name:
        message = "nothing was done"
        raise RefusedError(message)


def _purge(config: Path) -> None:
    """Delete what an uninstallation leaves; a PostgreSQL store is other hosts' too, and stays."""
    paths = [layout.CONFIG_FOLDER, layout.BACKUPS]
    if config.exists():
        settings = load(config)
        paths.append(Path(settings.store.key_file))
        path = sqlite_path(settings.store.url)
        if path is None:
            _say("the store is in PostgreSQL, where other hosts may use it: drop it there")
        else:
            paths += [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            with suppress(FileNotFoundError):
                path.unlink()
        _say(f"deleted {path}")
