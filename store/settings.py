"""The configuration: one TOML file, read in one place into a frozen, typed object."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

DEFAULT_PATH = Path("/etc/sftp-mfa/config.toml")
_MAX_BYTES = 256 * 1024

Prompt = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class SettingsError(Exception):
    """The file cannot be used; the text names file, key and what is allowed."""


class ServiceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the services run as."""

    user: Annotated[str, Meta(min_length=1, max_length=256)] = "sftp-mfa"


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the store is."""

    url: str = "sqlite:////var/lib/sftp-mfa/store.db"
    key_file: str = "/etc/sftp-mfa/store.keys"
    wait_seconds: Annotated[float, Meta(ge=0.1, le=4)] = 3.0
    """How long one operation waits for a locked or distant database before it refuses."""


class PamSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the helper talks with the PAM module and, through it, with people."""

    socket: str = "/run/sftp-mfa/pam.sock"
    password_prompt: Prompt = "Password: "
    code_prompt: Prompt = "Verification code: "
    prompt_seconds: Annotated[int, Meta(ge=10, le=3600)] = 300
    """How long a person may take to answer; sshd's LoginGraceTime is the shorter one."""
    max_conversations: Annotated[int, Meta(ge=10, le=100_000)] = 20_000


class TotpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of authenticator apps (RFC 6238)."""

    issuer: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^:\x00-\x1f]+$")] = "SFTP"
    window: Annotated[int, Meta(ge=0, le=2)] = 1
    """Time steps of 30 s that are accepted before and after the present one."""
    enrollment_minutes: Annotated[int, Meta(ge=1, le=60)] = 15


class LockoutSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When wrong codes lock an account's code check."""

    failures: Annotated[int, Meta(ge=1, le=20)] = 5
    minutes: Annotated[int, Meta(ge=1, le=1440)] = 15
    """The first lock; each further one without a success between is twice as long."""
    max_hours: Annotated[int, Meta(ge=1, le=168)] = 24


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    service: ServiceSettings = ServiceSettings()
    store: StoreSettings = StoreSettings()
    pam: PamSettings = PamSettings()
    totp: TotpSettings = TotpSettings()
    lockout: LockoutSettings = LockoutSettings()


def load(path: Path = DEFAULT_PATH) -> Settings:
    """Read the configuration; SettingsError where it is not safe or not valid."""
    try:
        document = tomllib.loads(read_guarded(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise SettingsError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not valid TOML: {error}"
        raise SettingsError(message) from error
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        message = f"{path}: {_plain(str(error))}"
        raise SettingsError(message) from error


def read_guarded(path: Path, limit: int, *, group_readable_only: bool = False) -> bytes:
    """Read a file that only root may have written; SettingsError if others could have.

    The file is opened without following a link in its last part and checked after that, so
    that nobody can exchange it in between. With group_readable_only others may not read it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        trouble = _trouble(status, limit, group_readable_only=group_readable_only)
        if trouble is not None:
            message = f"{path}: {trouble}"
            raise SettingsError(message)
        return file.read(limit)


def _trouble(status: os.stat_result, limit: int, *, group_readable_only: bool) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_uid != 0:
        return f"owned by uid {status.st_uid}; must be root's (chown root)"
    if status.st_mode & 0o022:
        return "writable by group or others; must not be (chmod go-w)"
    if group_readable_only and status.st_mode & 0o007:
        return "open to others; must not be (chmod o-rwx)"
    if status.st_size > limit:
        return f"larger than {limit} bytes"
    return None


def _plain(text: str) -> str:
    """Turn "… - at `$.store.url`" into "store.url: …"."""
    problem, separator, where = text.rpartition(" - at `$.")
    if not separator:
        return text
    return f"{where.rstrip('`')}: {problem}"
