"""Whether a server is the one that was meant: known_hosts, as OpenSSH keeps it."""

import base64
import hashlib
import hmac
import os
import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.names import show
from scripts.transfer.settings import Settings

_DEFAULT_PORT = 22
_USER_FILES = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_SYSTEM_FILES = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
Matched = tuple[
    Sequence[asyncssh.SSHKey],
    Sequence[asyncssh.SSHKey],
    Sequence[asyncssh.SSHKey],
    Sequence[object],
    Sequence[object],
    Sequence[object],
    Sequence[object],
]


@dataclass(frozen=True, slots=True)
class Trust:
    """What known_hosts says about one server."""

    name: str
    """What the server is looked up as."""
    port: int
    keys: tuple[asyncssh.SSHKey, ...]
    authorities: tuple[asyncssh.SSHKey, ...]
    revoked: tuple[asyncssh.SSHKey, ...]
    file: Path
    """Where a key that the user confirms is written to."""
    hashes_names: bool

    @property
    def is_known(self) -> bool:
        """Tell whether the server's key can be judged without asking."""
        return bool(self.keys or self.authorities)

    @property
    def entry(self) -> str:
        """Return the server's name in known_hosts."""
        return _entry(self.name, self.port)

    def matcher(self) -> Callable[..., Matched]:
        """Return what asyncssh is to know; an address alone is no proof of a name."""
        matched = (self.keys, self.authorities, self.revoked, (), (), (), ())
        return lambda *_where: matched

    def remember(self, key: asyncssh.SSHKey) -> None:
        """Write a key that the user has confirmed; raises OSError."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _hashed(self.entry) if self.hashes_names else self.entry
        words = key.export_public_key("openssh").decode("ascii").split()[:2]
        line = " ".join([name, *words]) + "\n"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with os.fdopen(os.open(self.file, flags, 0o600), "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(line.encode())


def load(settings: Settings) -> Trust:
    """Read the files of the configuration; a line that makes no sense is an error."""
    if settings.text("revokedhostkeys"):
        message = "RevokedHostKeys is not known here: use @revoked lines in known_hosts"
        raise TransferError(Exit.HOST_KEY, message)
    alias = settings.text("hostkeyalias").lower()
    name, port = (alias, _DEFAULT_PORT) if alias else (settings.host.lower(), settings.port)
    mine = _files(settings.text("userknownhostsfile", _USER_FILES))
    files = [*mine, *_files(settings.text("globalknownhostsfile", _SYSTEM_FILES))]
    text = "\n".join(map(_read, files))
    # An entry without a port counts where there is none with it: asyncssh sees to that.
    found = asyncssh.import_known_hosts(text).match(name, "", _port(port))
    revoked = asyncssh.import_known_hosts(_revoked_lines(text))
    home = mine[0] if mine else Path(_USER_FILES.partition(" ")[0]).expanduser()
    return Trust(
        name=name,
        port=port,
        keys=tuple(found[0]),
        authorities=tuple(found[1]),
        # Revoked is revoked, with the port or without: asyncssh would forget one of them.
        revoked=tuple(key for at in (_port(port), None) for key in revoked.match(name, "", at)[0]),
        file=home,
        hashes_names=settings.is_on("hashknownhosts", default=False),
    )


def _files(setting: str) -> list[Path]:
    return [Path(word).expanduser() for word in shlex.split(setting)]


def _port(port: int) -> int | None:
    return port if port != _DEFAULT_PORT else None


def _revoked_lines(text: str) -> str:
    """Give the keys of @revoked lines as if they were trusted, to look them up alike."""
    lines = (line.split(None, 1) for line in text.splitlines())
    return "\n".join(words[1] for words in lines if words[:1] == ["@revoked"] and words[1:])


def _read(file: Path) -> str:
    try:
        text = file.read_text(errors="replace")
        asyncssh.import_known_hosts(text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        message = f"cannot read {file}: {error.strerror}"
        raise TransferError(Exit.HOST_KEY, message) from error
    except ValueError as error:
        message = f"{file} has a line that makes no sense: {show(str(error))}"
        raise TransferError(Exit.HOST_KEY, message) from error
    return text


def _entry(name: str, port: int) -> str:
    return name if port == _DEFAULT_PORT else f"[{name}]:{port}"


def _hashed(entry: str) -> str:
    """Hide a name, as HashKnownHosts asks: an HMAC of it under a salt beside it."""
    salt = secrets.token_bytes(20)
    digest = hmac.digest(salt, entry.encode(), hashlib.sha1)
    return "|".join(["", "1", *(base64.b64encode(part).decode("ascii") for part in (salt, digest))])
