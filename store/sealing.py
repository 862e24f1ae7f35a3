"""Secrets at rest: AES-256-GCM under a key from a file outside the database."""

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.clock import Randomness
from store.errors import KeyFileError
from store.settings import SettingsError, read_guarded

KEY_BYTES = 32
_NONCE_BYTES = 12
_MAX_BYTES = 64 * 1024
_LINE = re.compile(r"(?P<id>[A-Za-z0-9_-]{1,32}):(?P<key>[A-Za-z0-9+/]{43}=)")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext and the id of the key that it is under."""

    key_id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Keys:
    """What one version of the file holds; exchanged as a whole, since threads share a keyring."""

    file: tuple[int, int, int] | None
    sealing: str
    ciphers: dict[str, AESGCM] = field(repr=False)


class Keyring:
    """The keys of the key file: the first one seals, every one opens.

    A file that was exchanged since it was read is read again, so that a rotation of keys needs no
    restart.
    """

    def __init__(self, path: Path, randomness: Randomness) -> None:
        """Read the file; KeyFileError if it is not safe or not valid."""
        self._path = path
        self._randomness = randomness
        self._keys = self._read()

    def seal(self, plain: bytes, context: str) -> Sealed:
        """Encrypt under the first key, bound to its context (account name and factor id)."""
        keys = self._current()
        nonce = self._randomness(_NONCE_BYTES)
        data = keys.ciphers[keys.sealing].encrypt(nonce, plain, _bound(context))
        return Sealed(keys.sealing, nonce + data)

    def open(self, sealed: Sealed, context: str) -> bytes:
        """Decrypt; KeyFileError when the key is not in the file or the data was changed."""
        keys = self._keys if sealed.key_id in self._keys.ciphers else self._current()
        cipher = keys.ciphers.get(sealed.key_id)
        if cipher is None:
            message = f"{self._path} has no key {sealed.key_id!r}, which the store uses"
            raise KeyFileError(message)
        nonce, data = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, data, _bound(context))
        except (InvalidTag, ValueError) as error:
            message = (
                f"key {sealed.key_id!r} does not open {context!r}: another key or changed data"
            )
            raise KeyFileError(message) from error

    def old_key_ids(self) -> list[str]:
        """Name the keys that only open."""
        keys = self._current()
        return [key_id for key_id in keys.ciphers if key_id != keys.sealing]

    def _current(self) -> _Keys:
        if _identity(self._path) != self._keys.file:
            self._keys = self._read()
        return self._keys

    def _read(self) -> _Keys:
        file = _identity(self._path)
        keys = read_keys(self._path)
        ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        return _Keys(file, next(iter(keys)), ciphers)


def read_keys(path: Path) -> dict[str, bytes]:
    """Read a key file, `id:base64` a line, the sealing key first; KeyFileError if unusable."""
    try:
        text = read_guarded(path, _MAX_BYTES, group_readable_only=True).decode("ascii")
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise KeyFileError(message) from error
    except (SettingsError, UnicodeDecodeError) as error:
        message = str(error) if isinstance(error, SettingsError) else f"{path}: not ASCII"
        raise KeyFileError(message) from error
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key_id, key = _parse(path, number, line.strip())
        if key_id in keys:
            message = f"{path}: line {number}: key {key_id!r} stands there twice"
            raise KeyFileError(message)
        keys[key_id] = key
    if not keys:
        message = f"{path}: holds no key"
        raise KeyFileError(message)
    return keys


def create_key_file(path: Path, group: int, randomness: Randomness) -> None:
    """Write a key file with one new key, readable by root and that group only.

    FileExistsError rather than a second one in its place.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    _write(descriptor, [new_key(randomness)], group)
    _make_durable(path.parent)


def replace_key_file(path: Path, keys: dict[str, bytes], group: int) -> None:
    """Put other keys into the file, in one step that a crash leaves done or not done."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    _write(descriptor, list(keys.items()), group)
    beside.replace(path)
    _make_durable(path.parent)


def new_key(randomness: Randomness) -> tuple[str, bytes]:
    """Make a key with its id."""
    return randomness(4).hex(), randomness(KEY_BYTES)


def _write(descriptor: int, keys: list[tuple[str, bytes]], group: int) -> None:
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("# sftp-mfa seals its secrets under the first key. Keep a copy of this file.\n")
        for key_id, key in keys:
            file.write(f"{key_id}:{base64.b64encode(key).decode('ascii')}\n")
        file.flush()
        os.fchown(descriptor, 0, group)
        os.fchmod(descriptor, 0o640)
        os.fsync(descriptor)


def _make_durable(folder: Path) -> None:
    """Let a name in a folder outlive a loss of power, before secrets are sealed under its keys."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bound(context: str) -> bytes:
    return context.encode("utf-8", "surrogateescape")


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _parse(path: Path, number: int, line: str) -> tuple[str, bytes]:
    match = _LINE.fullmatch(line)
    try:
        if match is not None:
            return match["id"], base64.b64decode(match["key"], validate=True)
    except binascii.Error:
        pass
    message = f"{path}: line {number}: must be an id, a colon and 32 bytes in base64"
    raise KeyFileError(message)
