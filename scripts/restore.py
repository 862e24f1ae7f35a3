"""`sftp-mfa restore`: a backup in the store's place, once it was tried, and nothing of it twice.

Everything is done beside the store and exchanged at the end. What was there is kept under another
name: a restoration can be undone by hand.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from scripts import privileges
from scripts.backup import CONFIG, KEYS, MANIFEST, STORE, digest, sqlite_file, try_out
from scripts.service_child import as_service
from store.audit import Actor
from store.clock import system_clock, system_randomness
from store.decisions import Protocol
from store.errors import RequestError, TamperedError
from store.opening import Store, open_store
from store.sealing import Keyring, read_keys, replace_key_file
from store.settings import Settings, load

_ROOT = Actor("root", Protocol.HOST)
_LOGS = ("-wal", "-shm")


def restore(
    config: Path, folder: Path, keys_from: Path | None, *, force: bool, revoke_tokens: bool
) -> Iterator[str]:
    """Put the backup in the store's place, and tell what is different from before."""
    privileges.require_root()
    settings = load(config)
    store = sqlite_file(settings)
    _check(folder)
    if store.exists() and not force:
        message = f"{store} is there: --force puts the backup in its place, and keeps it beside"
        raise RequestError(message)
    keys = _keys(settings, folder, keys_from, force=force)
    _refuse_while_used(store)
    os.umask(0o077)
    privileges.make_folder(store.parent, settings, 0o700)
    owner = privileges.service_account(settings)
    beside = store.with_name(f".{store.name}.restored")
    key_file = Path(settings.store.key_file)
    new_keys = key_file.with_name(f".{key_file.name}.restored")
    try:
        replace_key_file(new_keys, keys, owner.pw_gid)
        as_service(settings, lambda: _make_room(beside))
        _fill(folder / STORE, beside)
        said = as_service(
            settings, lambda: _prepare(settings, beside, new_keys, force, revoke_tokens)
        )
        _refuse_while_used(store)  # anew: the preparation may have taken a while
        kept_keys = _keep_keys(key_file, keys)
        new_keys.replace(key_file)
        kept = _exchange(store, beside)
    finally:
        for leftover in (new_keys, *(beside.with_name(beside.name + end) for end in ("", *_LOGS))):
            leftover.unlink(missing_ok=True)
    yield f"restored {store} as it was {_made_at(folder)}"
    if kept is not None:
        yield f"what was there is kept as {kept}"
    if kept_keys is not None:
        yield f"its keys, without which it is worth nothing, are kept as {kept_keys}"
    yield from said.splitlines()
    yield from _warnings(revoke_tokens=revoke_tokens)
    yield f"{config} stays as it is; the backup's is {folder / CONFIG}"


def settle(config: Path, *, revoke_tokens: bool) -> Iterator[str]:
    """End what an earlier state has brought back, in a store that other tools have restored."""
    privileges.require_root()
    settings = load(config)

    def work() -> str:
        opened = open_store(settings)
        try:
            return _settle(opened, revoke_tokens=revoke_tokens)
        finally:
            opened.close()

    yield from as_service(settings, work).splitlines()
    yield from _warnings(revoke_tokens=revoke_tokens)


def _check(folder: Path) -> None:
    """Refuse what is not a whole backup, as it was made."""
    try:
        wanted = json.loads((folder / MANIFEST).read_text())["sha256"]
        wrong = [name for name in wanted if digest(folder / name) != wanted[name]]
        complete = STORE in wanted
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{folder} is no whole backup of sftp-mfa: {error}"
        raise RequestError(message) from error
    if wrong or not complete:
        message = f"{folder}: {', '.join(wrong) or STORE} is not as the backup was made"
        raise RequestError(message)


def _keys(
    settings: Settings, folder: Path, keys_from: Path | None, *, force: bool
) -> dict[str, bytes]:
    """Give the keys that the backup is opened with: its own, those named, or the host's."""
    present = Path(settings.store.key_file)
    source = keys_from or (folder / KEYS if (folder / KEYS).exists() else present)
    keys = read_keys(source)
    if present.exists() and read_keys(present) != keys and not force:
        message = f"{present} has other keys than {source}: --force puts these in their place"
        raise RequestError(message)
    return keys


def _refuse_while_used(store: Path) -> None:
    """Refuse while any process has the store open: it would go on with what was there."""
    files = [store.with_name(store.name + end) for end in ("", *_LOGS)]
    wanted = [file for file in files if file.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        if any(_is_open_in(process, file) for file in wanted):
            name = _name_of(process)
            message = (
                f"process {process.name} ({name}) has {store} open: stop all services first "
                "(systemctl stop sftp-mfa-pam.socket sftp-mfa-pam sftp-mfa-web)"
            )
            raise RequestError(message)


def _is_open_in(process: Path, file: Path) -> bool:
    """Tell whether a process has it open, by whatever path that leads there."""
    descriptors: list[Path] = []
    with suppress(OSError):  # it has ended
        descriptors += (process / "fd").iterdir()
    for descriptor in descriptors:
        with suppress(OSError):  # it was closed in the meantime: look at the others
            if descriptor.readlink().name == file.name and descriptor.samefile(file):
                return True
    return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "ended just now"


def _make_room(beside: Path) -> str:
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return ""


def _fill(source: Path, beside: Path) -> None:
    """Write into the file that the service's user made, so that it is its own."""
    descriptor = os.open(beside, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with source.open("rb") as original, os.fdopen(descriptor, "wb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        os.fsync(copy.fileno())


def _prepare(
    settings: Settings,
    beside: Path,
    key_file: Path,
    force: bool,  # noqa: FBT001 - as it is told on the command line
    revoke_tokens: bool,  # noqa: FBT001
) -> str:
    """Bring it to this version's schema, prove it, and end what must not count again."""
    from store.upgrade import upgrade_store  # noqa: PLC0415 - Alembic is large

    at = msgspec.structs.replace(settings.store, url=f"sqlite:///{beside}", key_file=str(key_file))
    upgrade_store(at, Keyring(key_file, system_randomness), system_clock, system_randomness)
    try_out(settings, beside, key_file)
    opened = open_store(msgspec.structs.replace(settings, store=at))
    try:
        findings = list(opened.audit_log.verify())
        if findings and not force:
            first = findings[0]
            message = (
                f"the backup's audit does not verify ({len(findings)} findings, the first: account "
                f"{first.account!r}, event {first.sequence}: {first.problem}); --force restores it"
            )
            raise RequestError(message)
        proof = f"its audit has {len(findings)} findings" if findings else "its audit verifies"
        return f"{proof}\n{_settle(opened, revoke_tokens=revoke_tokens)}"
    finally:
        opened.close()


def _settle(store: Store, *, revoke_tokens: bool) -> str:
    settled = store.restoration.settle(_ROOT)
    lines = [
        f"codes of now and before count no more: {settled.authenticators} authenticators",
        "(the first codes that count come within two minutes)",
        f"recovery codes ended, since used ones would be good again: {settled.recovery_codes}",
        "sessions and graces ended: all",
    ]
    if settled.tampered:
        lines.append(
            f"accounts that somebody else has changed, and that stay refused: {settled.tampered} "
            "(`sftp-mfa-admin verify-audit-log` names them)"
        )
    if revoke_tokens:
        lines.append(f"access tokens revoked: {_revoke_tokens(store)}")
    return "\n".join(lines)


def _revoke_tokens(store: Store) -> int:
    revoked = 0
    after = ""
    while page := store.accounts.list(after=after):
        for one in page:
            with suppress(TamperedError):  # refused, and their tokens with them
                revoked += store.access_tokens.revoke_all(one.name, _ROOT)
        after = page[-1].name
    return revoked


def _keep_keys(key_file: Path, keys: dict[str, bytes]) -> Path | None:
    """Keep other keys than those that come: the store that was there opens with no others."""
    if not key_file.exists() or read_keys(key_file) == keys:
        return None
    kept = key_file.with_name(f"{key_file.name}.before-{_now()}")
    os.link(key_file, kept)
    return kept


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _exchange(store: Path, beside: Path) -> Path | None:
    """Put it in the store's place; the one of before and its logs move aside together."""
    kept = None
    if store.exists():
        kept = store.with_name(f"{store.name}.before-{_now()}")
        for end in ("", *_LOGS):
            old = store.with_name(store.name + end)
            if old.exists():
                old.rename(kept.with_name(kept.name + end))
    for end in _LOGS:
        store.with_name(store.name + end).unlink(missing_ok=True)
    beside.rename(store)
    descriptor = os.open(store.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return kept


def _made_at(folder: Path) -> str:
    return str(json.loads((folder / MANIFEST).read_text()).get("madeAt", "then"))


def _warnings(*, revoke_tokens: bool) -> Iterator[str]:
    yield "what happened since the backup is not known any more. Look after it before you start:"
    if not revoke_tokens:
        yield "- access tokens that were revoked since are valid again (--revoke-tokens ends all)"
    yield "- accounts that were barred since are not; authenticators deleted since are back"
    yield "- who has adopted MFA since gets in with the password alone until they enroll anew"
