"""Backup and restoration of a store: nothing is lost, and nothing of before counts twice."""

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness import sandbox
from harness.installation import ROOT as _ROOT
from harness.installation import Device, Installation
from harness.waiting import until

from store.audit_log import Filter
from store.decisions import Attempt, Denied, Granted, Protocol, Reason
from store.errors import TamperedError
from store.sealing import read_keys, replace_key_file
from store.secret import Secret

pytestmark = pytest.mark.system

ALICE = Attempt("alice", Protocol.SSH, "192.0.2.7")


@pytest.fixture
def host() -> Iterator[Installation]:
    """Make a host with a store of its own."""
    made = Installation()
    yield made
    made.close()


@pytest.fixture
def folder() -> Path:
    """Name a folder for a backup, where the service's user may not look."""
    place = sandbox.place() / "backups"
    place.mkdir(mode=0o700, exist_ok=True)
    return place / f"backup-{len(list(place.iterdir()))}-{id(place)}"


def try_code(host: Installation, code: str) -> object:
    """Let alice give a code behind a right password."""
    return host.store.authentication.check_code(ALICE, Secret.of(code))


def is_replay(decision: object) -> bool:
    """Tell whether a code was refused since it was used before."""
    return isinstance(decision, Denied) and decision.reason is Reason.CODE_REPLAYED


def back_up(host: Installation, folder: Path, *options: str) -> None:
    """Make a backup."""
    host.run("sftp-mfa", "back-up", str(folder), *options)


def restore(host: Installation, folder: Path, *options: str) -> str:
    """Close the store and put the backup in its place."""
    host.close()
    host._store = None  # noqa: SLF001 - opened anew at its next use
    return host.run("sftp-mfa", "restore", str(folder), "--force", *options).stdout


def enroll(host: Installation) -> Device:
    """Let alice adopt MFA."""
    return host.enroll("alice")


def test_backup_is_whole_and_roots_alone(host: Installation, folder: Path) -> None:
    """Made while the helper runs; every file is 0600, and the store in it is good."""
    enroll(host)
    host.start()
    back_up(host, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {
        file.name: (file.stat().st_uid, file.stat().st_mode & 0o777) for file in folder.iterdir()
    }
    assert modes == dict.fromkeys(
        ("store.db", "store.keys", "config.toml", "manifest.json"), (0, 0o600)
    )
    with closing(sqlite3.connect(folder / "store.db")) as database:
        assert database.execute("SELECT count(*) FROM totp_factors").fetchone() == (1,)
    assert {file.name for file in host.database.parent.iterdir()} <= {
        *("store.db", "store.db-wal", "store.db-shm")
    }


def test_keys_can_be_kept_apart(host: Installation, folder: Path) -> None:
    """Without them the copy is worth nothing; with them it is restored on a host without any."""
    device = enroll(host)
    keys = folder.with_name(f"{folder.name}.keys")
    back_up(host, folder, "--keys-to", str(keys))
    assert not (folder / "store.keys").exists()
    assert keys.stat().st_mode & 0o777 == 0o600
    other = Installation(fresh=True)
    try:
        refused = other.run("sftp-mfa", "restore", str(folder), "--force", check=False)
        assert refused.returncode == 3
        assert "which the store uses" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        other.keys.unlink()
        restore(other, folder, "--keys-from", str(keys))
        assert isinstance(try_code(other, device.code()), Denied)
        assert other.store.accounts.show("alice").adopted_at is not None
    finally:
        other.close()


def test_keys_that_are_rotated_meanwhile_are_no_backup(host: Installation, folder: Path) -> None:
    """The copy may have secrets under a key that the keys of before do not have."""
    enroll(host)
    host.close()
    host._store = None  # noqa: SLF001
    keys = folder.with_name(f"{folder.name}.keys")
    with closing(sqlite3.connect(host.database, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        started = subprocess.Popen(
            [sandbox.command("sftp-mfa"), "back-up", folder, "--keys-to", keys],
            env={"SFTP_MFA_CONFIG": str(host.config), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stderr=subprocess.PIPE,
            text=True,
        )
        until(host.database.with_name(".store.db.backup").exists, "a copy that waits", 30)
        present = read_keys(host.keys)
        group = host.keys.stat().st_gid
        replace_key_file(host.keys, {"0a0b0c0d": bytes(32), **present}, group)
        holder.execute("ROLLBACK")
    _, said = started.communicate(timeout=60)
    assert (started.returncode, "rotated in the meantime" in said) == (1, True)
    assert not folder.exists()
    assert not keys.exists()


def test_no_code_of_before_counts_again(host: Installation, folder: Path) -> None:
    """A code that was used after the backup, and those that could have been, are replays."""
    device = enroll(host)
    back_up(host, folder)
    code = device.code()
    assert isinstance(try_code(host, code), Granted)
    told = restore(host, folder)
    assert "codes of now and before count no more: 1 authenticators" in told
    for used in (code, device.code(), device.code(1)):
        assert is_replay(try_code(host, used))


def test_recovery_codes_and_sessions_of_before_are_ended(host: Installation, folder: Path) -> None:
    """Which were used, nobody knows any more."""
    enroll(host)
    (recovery, *_) = host.store.recovery_codes.renew("alice", _ROOT)
    back_up(host, folder)
    assert isinstance(try_code(host, recovery.text()), Granted)
    told = restore(host, folder)
    assert "would be good again: 10" in told
    assert not isinstance(try_code(host, recovery.text()), Granted)
    assert host.store.recovery_codes.left("alice") == 0


def test_tokens_revoked_since_are_told_of_and_can_all_be_revoked(
    host: Installation, folder: Path
) -> None:
    """The operator decides: the jobs of everybody, or tokens that may be a thief's."""
    enroll(host)
    token = host.issue_token("alice")
    back_up(host, folder)
    host.store.access_tokens.revoke_all("alice", _ROOT)
    told = restore(host, folder)
    assert "tokens that were revoked since are valid again" in told
    assert isinstance(try_token(host, token), Granted)
    told = restore(host, folder, "--revoke-tokens")
    assert "access tokens revoked: 1" in told
    assert isinstance(try_token(host, token), Denied)


def try_token(host: Installation, token: Secret) -> object:
    """Let alice's job give its token."""
    return host.store.authentication.check_token(ALICE, token)


def test_log_of_the_store_before_is_not_mixed_in(host: Installation, folder: Path) -> None:
    """What was there goes aside as a whole, its write-ahead log with it."""
    enroll(host)
    back_up(host, folder)
    host.store.accounts.bar("alice", _ROOT)
    host.close()
    host._store = None  # noqa: SLF001
    host.database.with_name("store.db-wal").write_bytes(b"of the store before")
    restore(host, folder)
    assert host.store.accounts.show("alice").barred_at is None
    assert list(host.store.audit_log.verify()) == []
    kept = sorted(file.name for file in host.database.parent.glob("store.db.before-*"))
    assert [name.endswith("-wal") for name in kept] == [False, True]
    events = [event.event for event in host.store.audit_log.page(Filter(account=""), 10).events]
    assert "store_restored" in events


def test_restore_refuses_while_the_store_is_used_or_there(host: Installation, folder: Path) -> None:
    """One line tells what to do, and nothing is changed."""
    enroll(host)
    back_up(host, folder)
    host.close()
    host._store = None  # noqa: SLF001
    there = host.run("sftp-mfa", "restore", str(folder), check=False)
    assert (there.returncode, "--force" in there.stderr) == (1, True)
    with closing(sqlite3.connect(host.database)) as user:
        user.execute("SELECT count(*) FROM accounts")
        used = host.run("sftp-mfa", "restore", str(folder), "--force", check=False)
    assert used.returncode == 1
    assert "stop all services first" in used.stderr
    assert len(used.stderr.splitlines()) == 1


def test_store_in_use_by_another_path_is_seen(host: Installation, folder: Path) -> None:
    """Such as where its folder is a link to another disk: the services would go on with it."""
    enroll(host)
    back_up(host, folder)
    host.close()
    host._store = None  # noqa: SLF001
    link = host.database.parent.with_name("link")
    link.symlink_to(host.database.parent)
    there, here = str(host.database.parent), str(link)
    config = host.config.with_name("linked.toml")
    config.write_text(host.config.read_text().replace(there, here))
    with closing(sqlite3.connect(host.database)) as user:
        user.execute("SELECT count(*) FROM accounts")
        words = ("restore", str(folder), "--force", "--config", str(config))
        used = host.run("sftp-mfa", *words, check=False)
    assert (used.returncode, "stop all services first" in used.stderr) == (1, True)


@pytest.mark.parametrize("what", ["changed", "cut off", "not there"])
def test_restore_refuses_what_is_no_whole_backup(
    host: Installation, folder: Path, what: str
) -> None:
    """The store of before stays in its place."""
    enroll(host)
    back_up(host, folder)
    copy = folder / "store.db"
    if what == "changed":
        copy.write_bytes(copy.read_bytes().replace(b"alice", b"mabel"))
    elif what == "cut off":
        copy.write_bytes(copy.read_bytes()[:4096])
    else:
        copy.unlink()
    host.close()
    host._store = None  # noqa: SLF001
    refused = host.run("sftp-mfa", "restore", str(folder), "--force", check=False)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert host.store.accounts.show("alice").adopted_at is not None


def test_backup_whose_audit_was_changed_is_restored_by_force_only_with_words(
    host: Installation, folder: Path
) -> None:
    """A backup that was edited, and its manifest too, is found by what only the store can write."""
    enroll(host)
    back_up(host, folder)
    edit(folder, "DELETE FROM audit_events WHERE event = 'totp_completed'")
    host.close()
    host._store = None  # noqa: SLF001
    host.database.unlink()
    refused = host.run("sftp-mfa", "restore", str(folder), check=False)
    assert refused.returncode == 3
    assert "audit does not verify" in refused.stderr
    assert not host.database.exists()


def edit(folder: Path, statement: str) -> None:
    """Change the store in a backup, and make its manifest fit."""
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as database:
        database.execute(statement)
    manifest = json.loads((folder / "manifest.json").read_text())
    made = subprocess.run(
        ["sha256sum", folder / "store.db"], capture_output=True, text=True, check=True
    )
    manifest["sha256"]["store.db"] = made.stdout.split()[0]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_one_changed_row_does_not_keep_everybody_from_being_restored(
    host: Installation, folder: Path
) -> None:
    """Whose account or authenticator it is stays refused, and all else is settled."""
    alice = enroll(host)
    bob, carol = host.enroll("bob"), host.enroll("carol")
    host.issue_token("alice")
    host.issue_token("bob")
    back_up(host, folder)
    edit(folder, "UPDATE accounts SET failures = 1 WHERE name = 'alice'")
    edit(
        folder,
        "UPDATE totp_factors SET last_used_step = -1 WHERE account_id = "
        "(SELECT id FROM accounts WHERE name = 'carol')",
    )
    told = restore(host, folder, "--revoke-tokens")
    assert "codes of now and before count no more: 1 authenticators" in told
    assert "would be good again: 20" in told
    assert "somebody else has changed, and that stay refused: 1" in told
    assert "access tokens revoked: 1" in told
    for device, name in ((alice, "alice"), (carol, "carol")):
        code = Secret.of(device.code())
        with pytest.raises(TamperedError):
            host.store.authentication.check_code(Attempt(name, Protocol.SSH, "192.0.2.7"), code)
    code = Secret.of(bob.code())
    attempt = Attempt("bob", Protocol.SSH, "192.0.2.7")
    assert is_replay(host.store.authentication.check_code(attempt, code))


def test_other_keys_that_were_there_are_kept(host: Installation, folder: Path) -> None:
    """The store that was there opens with no others: else nobody could undo a restoration."""
    back_up(host, folder)
    other = Installation(fresh=True)
    try:
        before = other.keys.read_bytes()
        told = restore(other, folder)
        (kept,) = other.keys.parent.glob("keys.before-*")
        assert kept.read_bytes() == before != other.keys.read_bytes()
        assert kept.stat().st_mode & 0o777 == 0o640
        assert f"are kept as {kept}" in told
        assert "its keys" not in restore(other, folder)
        assert list(other.keys.parent.glob("keys.before-*")) == [kept]
    finally:
        other.close()


def test_backup_never_overwrites_and_leaves_no_half(host: Installation, folder: Path) -> None:
    """A folder that is there, and a key that is not the store's, are refused."""
    back_up(host, folder)
    again = host.run("sftp-mfa", "back-up", str(folder), check=False)
    assert (again.returncode, again.stderr) == (1, f"error: {folder}: File exists\n")
    host.keys.write_text("other:" + "A" * 43 + "=\n")
    other = folder.with_name(f"{folder.name}-other")
    refused = host.run("sftp-mfa", "back-up", str(other), check=False)
    assert refused.returncode == 3
    assert not other.exists()


def test_full_disk_leaves_no_half_and_one_line(host: Installation, folder: Path) -> None:
    """Nobody is to take a part of a backup for one."""
    enroll(host)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", folder], check=True)
    try:
        done = host.run("sftp-mfa", "back-up", str(folder / "made"), check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [f"error: {folder / 'made'}: No space left on device"]
        assert not (folder / "made").exists()
    finally:
        subprocess.run(["umount", folder], check=True)


def test_settles_a_postgresql_store_that_its_own_tools_restored(postgres: str) -> None:
    """The rule is the same there; back-up and restore name those tools."""
    host = Installation(postgres)
    try:
        device = enroll(host)
        refused = host.run("sftp-mfa", "back-up", "/nowhere", check=False)
        assert (refused.returncode, "pg_dump" in refused.stderr) == (1, True)
        told = host.run("sftp-mfa", "settle-restored-store").stdout
        assert "1 authenticators" in told
        assert is_replay(try_code(host, device.code()))
    finally:
        host.close()
