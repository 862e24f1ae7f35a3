"""Which server, and who one is there: options, the environment, and named profiles in a file.

`~/.config/sftp-mfa/config.toml` (or under XDG_CONFIG_HOME):

    default = "office"                 # the profile where nothing else is said; may be left out

    [profiles.office]
    server = "https://sftp.example.com"
    account = "ruth"                   # who signs in; else the name on this machine
    ca_file = "/etc/ssl/house.pem"     # authorities that are trusted beside the system's
    token_file = "/home/ruth/token"    # an access token in place of signing in

It says where passwords go, so nobody else may have written it.
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from store.errors import RequestError

_MOST_BYTES = 256 * 1024
_Text = Annotated[str, Meta(min_length=1, max_length=4096)]


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """A server, and who one is there."""

    server: _Text
    account: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    ca_file: _Text | None = None
    token_file: _Text | None = None


class Profiles(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    default: str | None = None
    profiles: dict[str, Profile] = {}


def profiles_path() -> Path:
    """Say where the file is (XDG Base Directory Specification)."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".config"
    return base / "sftp-mfa" / "config.toml"


def load_profiles() -> Profiles:
    """Read the file, if there is one; RequestError where it is not safe or not valid."""
    path = profiles_path()
    try:
        content = _read(path)
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise RequestError(message) from error
    try:
        found = msgspec.convert(tomllib.loads(content.decode("utf-8")), Profiles)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not valid TOML: {error}"
        raise RequestError(message) from error
    except msgspec.ValidationError as error:
        message = f"{path}: {_plain(str(error))}"
        raise RequestError(message) from error
    if found.default is not None and found.default not in found.profiles:
        message = f"{path}: default: there is no profile {found.default!r}{_known(found)}"
        raise RequestError(message)
    return found


def find_profile(name: str) -> Profile:
    """Give a profile by its name; RequestError if there is none."""
    found = load_profiles()
    if name not in found.profiles:
        message = f"{profiles_path()}: there is no profile {name!r}{_known(found)}"
        raise RequestError(message)
    return found.profiles[name]


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        trouble = None
        if not stat.S_ISREG(status.st_mode):
            trouble = "not a regular file"
        elif status.st_uid not in {0, os.geteuid()}:
            trouble = f"owned by uid {status.st_uid}; must be your own"
        elif status.st_mode & 0o022:
            trouble = "writable by group or others; must not be (chmod go-w)"
        elif status.st_size > _MOST_BYTES:
            trouble = f"larger than {_MOST_BYTES} bytes"
        if trouble is not None:
            message = f"{path}: {trouble}"
            raise RequestError(message)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES)
    finally:
        os.close(descriptor)


def _known(found: Profiles) -> str:
    return f"; known are {', '.join(sorted(found.profiles))}" if found.profiles else ""


def _plain(text: str) -> str:
    """Turn "… - at `$.profiles[...]`" into "profiles: …", and name what is allowed."""
    problem, separator, where = text.rpartition(" - at `$.")
    problem, where = (problem, where.rstrip("`")) if separator else (text, "")
    where = where.replace("[...]", ".NAME")
    if "unknown field" in problem:
        kind = Profile if where.startswith("profiles") else Profiles
        problem += f"; known are {', '.join(kind.__struct_fields__)}"
    return f"{where}: {problem}" if where else problem
