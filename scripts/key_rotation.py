"""`sftp-mfa rotate-keys`: changes the key file as root, the store as the service's user."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts import privileges
from store.audit import Actor
from store.clock import system_randomness
from store.decisions import Protocol
from store.errors import KeyFileError
from store.opening import Store, open_store
from store.sealing import new_key, read_keys, replace_key_file
from store.settings import Settings

_ROOT = Actor("root", Protocol.HOST)


def rotate(settings: Settings, step: str) -> Iterator[str]:
    """Take the steps and tell of each."""
    privileges.require_root()
    if step in {"all", "add"}:
        yield _add(settings)
    if step in {"all", "reseal"}:
        yield _reseal(settings)
    if step in {"all", "retire"}:
        yield _retire(settings)


def _add(settings: Settings) -> str:
    path = Path(settings.store.key_file)
    keys = read_keys(path)
    if len(keys) > 1:
        return f"{path} has a new key already: an earlier rotation goes on"
    key_id, key = new_key(system_randomness)
    group = privileges.service_account(settings).pw_gid
    replace_key_file(path, {key_id: key, **keys}, group)
    _as_service(settings, lambda store: store.key_rotation.note_added(key_id, _ROOT))
    return f"added key {key_id} to {path}: new secrets are sealed under it"


def _reseal(settings: Settings) -> str:
    def work(store: Store) -> None:
        while store.key_rotation.reseal_batch():
            pass
        # A service that sealed under the old key just before the file changed commits within
        # twice the time that an operation may wait. It is met by the second pass.
        time.sleep(2 * settings.store.wait_seconds)
        while store.key_rotation.reseal_batch():
            pass

    _as_service(settings, work)
    return "sealed every secret under the new key"


def _retire(settings: Settings) -> str:
    path = Path(settings.store.key_file)
    keys = read_keys(path)
    newest, *old = keys

    def work(store: Store) -> None:
        for key_id in old:
            if store.key_rotation.uses(key_id):
                message = f"key {key_id} is still in use: run `rotate-keys --step reseal` first"
                raise KeyFileError(message)
            store.key_rotation.note_retired(key_id, _ROOT)

    if not old:
        return f"{path} has no old key"
    _as_service(settings, work)
    group = privileges.service_account(settings).pw_gid
    replace_key_file(path, {newest: keys[newest]}, group)
    return f"retired {', '.join(old)}; keep a copy of {path}, and old copies with old backups"


def _as_service(settings: Settings, work: Callable[[Store], None]) -> None:
    """Work on the store as the service's user, in a child: this process stays root."""
    child = os.fork()
    if child == 0:
        try:
            privileges.become_service(settings)
            store = open_store(settings)
            work(store)
            store.close()
        except Exception as error:  # noqa: BLE001 - told to who runs the command, by the parent
            os.write(2, f"error: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        message = "the rotation stopped; it goes on where it was when it is run again"
        raise KeyFileError(message)
