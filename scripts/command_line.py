"""What all commands share: their configuration, their errors, their exit codes."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from pam_module.helper import HelperError
from scripts.privileges import PrivilegeError
from store import settings as settings_module
from store.errors import RequestError, StoreError
from store.settings import Settings, SettingsError

EXIT_REFUSED = 1
"""What was asked for cannot be done (no such account, a wrong code …)."""
EXIT_BROKEN = 3
"""Configuration, key file or store cannot be used; 2 is a wrong command line."""

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=settings_module.DEFAULT_PATH,
    show_default=True,
    envvar="SFTP_MFA_CONFIG",
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print data for programs.")


@dataclass(frozen=True)
class Broken:
    """The errors that are an operator's to mend."""

    kinds = (SettingsError, StoreError, HelperError, PrivilegeError)


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors into one line on stderr and an exit code."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except RequestError as error:
            _leave(str(error), EXIT_REFUSED)
        except Broken.kinds as error:
            _leave(str(error), EXIT_BROKEN)

    return run


def load_settings(path: Path) -> Settings:
    """Read the configuration of a command."""
    return settings_module.load(path)


def print_json(value: object) -> None:
    """Print data for programs: one JSON document on one line."""
    click.echo(msgspec.json.encode(value).decode("utf-8"))


def log_to_stderr() -> None:
    """Send the log lines of a service to its stderr, where the service manager reads them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(levelname)s: %(message)s"))
    logger = logging.getLogger("sftp_mfa")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _leave(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
