"""What all commands share: their configuration, their errors, their exit codes."""

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from pam_module.errors import HelperError
from scripts import memory
from scripts.host.errors import HostError
from scripts.privileges import PrivilegeError
from store import settings as settings_module
from store.errors import RequestError, StoreError
from store.settings import AuditSettings, Settings, SettingsError
from web_admin.errors import ServeError

EXIT_REFUSED = 1
"""What was asked for cannot be done (no such account, a wrong code …)."""
EXIT_USAGE = 2
"""The command line is wrong; click's own."""
EXIT_BROKEN = 3
"""Configuration, key file, store or server cannot be used."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells tell it: 128 and the number of SIGINT."""

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=settings_module.DEFAULT_PATH,
    show_default=True,
    envvar="SFTP_MFA_CONFIG",
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print data for programs.")


_BROKEN = (SettingsError, StoreError, HelperError, PrivilegeError, ServeError, HostError)
"""The errors that are an operator's to mend."""


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what a command knows to itself; turn errors into one line on stderr and an exit code."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        memory.keep_private()
        try:
            return command(*arguments, **options)
        except RequestError as error:
            _leave(str(error), EXIT_REFUSED)
        except _BROKEN as error:
            _leave(str(error), EXIT_BROKEN)
        except KeyboardInterrupt:
            click.echo(err=True)
            sys.exit(EXIT_INTERRUPTED)

    return run


def load_settings(path: Path) -> Settings:
    """Read the configuration of a command."""
    return settings_module.load(path)


def print_json(value: object) -> None:
    """Print data for programs: one JSON document on one line."""
    click.echo(msgspec.json.encode(value).decode("utf-8"))


def start_log(settings: AuditSettings) -> None:
    """Send a service's log to its stderr, where the service manager reads it, and to syslog."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter("%(name)s: %(levelname)s: %(message)s"))
    if settings.syslog:
        from logging.handlers import SysLogHandler  # noqa: PLC0415 - large, and for services only

        syslog = SysLogHandler("/dev/log", SysLogHandler.LOG_AUTHPRIV)
        syslog.setFormatter(logging.Formatter(f"sftp-mfa[{os.getpid()}]: %(message)s"))
        handlers.append(syslog)
    logger = logging.getLogger("sftp_mfa")
    logger.setLevel(logging.INFO)
    for handler in handlers:
        logger.addHandler(handler)


def _leave(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
