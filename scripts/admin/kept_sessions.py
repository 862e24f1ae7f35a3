"""The session that `login` keeps for a server: in the system's keyring, or else in a 0600 file.

A small file says that there is a session at all, and whose, so that who never logged in is not
asked to open a keyring. It has the secret as well where no keyring can be used: on a server without
a desktop there is none.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from scripts.admin.private_files import read_private, write_private
from store.errors import RequestError
from store.secret import Secret

_SERVICE = "sftp-mfa"
_MOST_BYTES = 64 * 1024
_RECOMMENDED = 1
"""What keyring calls the priority of a backend that keeps secrets as it should."""


@dataclass(frozen=True, slots=True)
class KeptSession:
    """Who is logged in to a server."""

    server: str
    account: str
    secret: Secret


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds."""

    server: str
    account: str
    secret: str | None
    """None: it is in the keyring."""


def load(server: str) -> KeptSession | None:
    """Give the session that is kept for a server, if there is one."""
    path = _path(server)
    try:
        record = msgspec.json.decode(read_private(path, _MOST_BYTES), type=_Record)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        message = f"{path} is damaged: delete it, and log in anew"
        raise RequestError(message) from error
    secret = record.secret
    if secret is None:
        secret = _from_keyring(record)
    if secret is None or record.server != server:
        return None
    return KeptSession(server, record.account, Secret.of(secret))


def save(session: KeptSession) -> str:
    """Keep a session, in place of an earlier one; tell where it is."""
    in_keyring = _to_keyring(session)
    secret = None if in_keyring else session.secret.text()
    path = _path(session.server)
    write_private(path, msgspec.json.encode(_Record(session.server, session.account, secret)))
    return "the keyring" if in_keyring else str(path)


def forget(server: str) -> None:
    """Forget the session of a server."""
    path = _path(server)
    try:
        record = msgspec.json.decode(read_private(path, _MOST_BYTES), type=_Record)
    except (FileNotFoundError, RequestError, msgspec.DecodeError):
        record = None
    if record is not None and record.secret is None:
        _out_of_keyring(record)
    path.unlink(missing_ok=True)


def _path(server: str) -> Path:
    # XDG Base Directory Specification: what lasts, and is of no use to anybody else's machine.
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    name = hashlib.sha256(server.encode()).hexdigest()[:16]
    return base / "sftp-mfa" / f"session-{name}.json"


def _entry(session: KeptSession | _Record) -> str:
    return f"{session.account} at {session.server}"


def _from_keyring(record: _Record) -> str | None:
    import keyring.errors  # noqa: PLC0415 - slow, and only for who has logged in

    try:
        return keyring.get_password(_SERVICE, _entry(record))
    except keyring.errors.KeyringError as error:
        message = f"the keyring cannot be read ({error}): unlock it, or log in anew"
        raise RequestError(message) from error


def _to_keyring(session: KeptSession) -> bool:
    """Put the secret into the system's keyring; tell whether there is one that takes it.

    Backends that keyring does not recommend are no better than the file, and some are worse.
    """
    import keyring.errors  # noqa: PLC0415

    try:
        if keyring.get_keyring().priority < _RECOMMENDED:
            return False
        keyring.set_password(_SERVICE, _entry(session), session.secret.text())
        return keyring.get_password(_SERVICE, _entry(session)) == session.secret.text()
    except (keyring.errors.KeyringError, keyring.errors.InitError, RuntimeError):
        return False


def _out_of_keyring(record: _Record) -> None:
    import keyring.errors  # noqa: PLC0415

    try:
        keyring.delete_password(_SERVICE, _entry(record))
    except keyring.errors.PasswordDeleteError:
        pass  # it is gone already
    except keyring.errors.KeyringError as error:
        message = f"the keyring cannot be opened ({error}): unlock it, and log out again"
        raise RequestError(message) from error
