"""`sftp-mfa back-up`: an SQLite store, while it is used, with its configuration and keys.

The copy is made and tried as the service's user, whose the store is: as root, SQLite would leave
files beside the store that the services may not open.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import msgspec

from scripts import privileges
from scripts.service_child import as_service
from store.clock import from_milliseconds, system_clock
from store.database import SCHEMA_VERSION, sqlite_path
from store.errors import RequestError, StoreError, StoreUnavailableError
from store.opening import open_store
from store.sealing import read_keys
from store.settings import Settings, load

STORE = "store.db"
KEYS = "store.keys"
CONFIG = "config.toml"
MANIFEST = "manifest.json"


def sqlite_file(settings: Settings) -> Path:
    """Give the store's file; RequestError for PostgreSQL, which has tools of its own."""
    path = sqlite_path(settings.store.url)
    if path is None:
        message = (
            "the store is in PostgreSQL: use pg_dump and pg_restore, and after a restore run "
            "`sftp-mfa settle-restored-store` before any service (scripts/README.md has the steps)"
        )
        raise RequestError(message)
    return path


def back_up(config: Path, folder: Path, keys_to: Path | None) -> Iterator[str]:
    """Make the folder, root's alone, and tell what is in it."""
    privileges.require_root()
    settings = load(config)
    store = sqlite_file(settings)
    os.umask(0o077)
    key_file = Path(settings.store.key_file)
    keys = read_keys(key_file)
    copy = store.with_name(f".{store.name}.backup")
    try:
        folder.mkdir(mode=0o700)
        if keys_to is not None:
            _put(key_file, keys_to)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise RequestError(message) from error
    try:
        as_service(settings, lambda: _copy(settings, store, copy))
        _put(copy, folder / STORE)
        if keys_to is None:
            _put(key_file, folder / KEYS)
        _require_same(keys, read_keys(key_file))
        _put(config, folder / CONFIG)
        _write_manifest(folder)
    except BaseException as error:
        shutil.rmtree(folder)  # nobody is to take a part of a backup for one
        if keys_to is not None:
            keys_to.unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = f"{error.filename or folder}: {error.strerror}"
            raise RequestError(message) from error
        raise
    finally:
        copy.unlink(missing_ok=True)
    yield f"{folder}: a copy of the store that was opened with its keys, and the configuration"
    if keys_to is None:
        yield f"{folder} has the keys too: who can read it can compute everybody's codes"
    else:
        yield f"{keys_to}: the keys, without which the copy is worth nothing; keep them apart"


def _require_same(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    if before != after:
        message = "the keys were rotated in the meantime, so they may not fit: run it again"
        raise RequestError(message)


def digest(path: Path) -> str:
    """Give a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def try_out(settings: Settings, store: Path, key_file: Path) -> None:
    """Open a copy with keys, as its services would; StoreError where that fails."""
    at = msgspec.structs.replace(settings.store, url=f"sqlite:///{store}", key_file=str(key_file))
    opened = open_store(msgspec.structs.replace(settings, store=at))
    try:
        opened.check()
    finally:
        opened.close()


def _copy(settings: Settings, store: Path, copy: Path) -> str:
    copy.unlink(missing_ok=True)
    try:
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            closing(sqlite3.connect(f"{store.as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            problem = target.execute("PRAGMA integrity_check").fetchone()[0]
    except (OSError, sqlite3.Error) as error:
        message = f"{store}: {error}"
        raise StoreUnavailableError(message) from error
    if problem != "ok":
        message = f"{store} is damaged: {problem}"
        raise StoreError(message)
    try_out(settings, copy, Path(settings.store.key_file))
    with closing(sqlite3.connect(copy)) as tried:
        tried.execute("PRAGMA journal_mode=DELETE")  # one file that is whole by itself
    return ""


def _put(source: Path, target: Path) -> None:
    """Copy a file to a new one that is root's alone, and on the disk when this returns."""
    read = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(read, "rb") as original, os.fdopen(write, "wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _write_manifest(folder: Path) -> None:
    manifest = {
        "version": version("sftp-mfa"),
        "schema": SCHEMA_VERSION,
        "madeAt": from_milliseconds(system_clock()).isoformat(),
        "sha256": {file.name: digest(file) for file in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
