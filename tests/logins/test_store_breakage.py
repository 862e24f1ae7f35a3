"""A store that is held, gone, full, of another schema: nobody gets in, and why is told."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from harness.accounts import Account, Accounts
from harness.installation import Device
from harness.postgres import Cluster
from harness.processes import descendants
from harness.sandbox import place
from harness.syslog import Syslog
from hosts import Host, Hosts, at_once
from store_lock import locked
from visitor import Visitor, gets_in

SOON = 14
"""One wait for the store (3 s) at each of two prompts, pam_unix's delay, and a busy machine."""


@contextmanager
def held(host: Host) -> Iterator[None]:
    """Let another program write without end."""
    with locked(host.installation.database):
        yield


@contextmanager
def gone(host: Host) -> Iterator[None]:
    """Take the store's folder away."""
    folder = host.installation.database.parent
    aside = folder.with_name("aside")
    folder.rename(aside)
    yield
    aside.rename(folder)


@contextmanager
def read_only(host: Host) -> Iterator[None]:
    """Take the right to write away; a helper that has the file open would not notice."""
    host.installation.stop()
    files = list(host.installation.database.parent.iterdir())
    for file in files:
        file.chmod(0o400)
    host.installation.database.parent.chmod(0o500)
    host.installation.start()
    yield
    host.installation.database.parent.chmod(0o700)
    for file in files:
        file.chmod(0o600)


def set_schema(host: Host, version: str) -> None:
    """Write another schema's number into the store."""
    with closing(sqlite3.connect(host.installation.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


@contextmanager
def of_another_schema(host: Host) -> Iterator[None]:
    """Upgrade the store under a helper of this version, and go back."""
    with closing(sqlite3.connect(host.installation.database)) as connection:
        ((version,),) = connection.execute("SELECT version_num FROM alembic_version")
    set_schema(host, "9999")
    yield
    set_schema(host, version)


@contextmanager
def no_store_at_all(host: Host) -> Iterator[None]:
    """Put another file in its place."""
    database = host.installation.database
    aside = database.with_name("aside")
    database.rename(aside)
    database.write_text("this is no database\n" * 500)
    shutil.chown(database, "sftp-mfa", "sftp-mfa")
    yield
    aside.replace(database)


@contextmanager
def full(host: Host) -> Iterator[None]:
    """Fill the disk that the store is on."""
    host.installation.stop()
    host.installation.store.close()
    folder = host.installation.database.parent
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", folder], check=True)
    try:
        for file in aside.iterdir():
            shutil.copy(file, folder)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "sftp-mfa", "sftp-mfa")
        host.installation.start()
        fill(folder / "filler")
        yield
        (folder / "filler").unlink()
        assert gets_in_again(host)
        host.installation.stop()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    host.installation.start()


def fill(file: Path) -> None:
    """Write until nothing fits any more."""
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 512)


def gets_in_again(host: Host) -> bool:
    """Tell whether the helper can write, by an account line of its own making."""
    host.installation.run("sftp-mfa-admin", "bar-user", "root")
    host.installation.run("sftp-mfa-admin", "unbar-user", "root")
    return True


Cause = Callable[[Host], Iterator[None]]
CAUSES: dict[str, tuple[Callable[[Host], object], str]] = {
    "held": (held, "database is locked.*end it or wait"),
    "gone": (gone, "unable to open.*check store.url"),
    "read-only": (read_only, "(readonly|unable to open).*(writable|may enter that folder)"),
    "of another schema": (of_another_schema, "has schema 9999.*upgrade-store"),
    "no store at all": (no_store_at_all, "not a database.*no store"),
    "full": (full, "full.*free disk space|disk I/O error.*full or failing disk"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_broken_store_refuses_and_tells_why(
    hosts: Hosts, accounts: Accounts, syslog: Syslog, cause: str
) -> None:
    """With MFA and without: asked as ever and refused soon; mended, the next login works."""
    spoil, advice = CAUSES[cause]
    host = hosts.make()
    with_mfa, without = accounts.make(), accounts.make()
    device = host.installation.enroll(with_mfa.name)
    assert gets_in(host.sshd, without, without.password)
    with spoil(host):  # type: ignore[attr-defined]
        check_refusals(host, with_mfa, without, device)
        assert_logged(host, syslog, advice)
    assert gets_in(host.sshd, with_mfa, with_mfa.password, device.code(1)), host.installation.log()
    assert gets_in(host.sshd, without, without.password)
    host.wait_until_quiet()


def check_refusals(host: Host, with_mfa: Account, without: Account, device: Device) -> None:
    """Log in as both, rightly, and be refused by the prompts of always."""
    cases = [(with_mfa, [with_mfa.password, device.code()]), (without, [without.password])]
    for prompts in at_once(lambda case: refused(host, *case), cases):
        assert prompts in (["Password: "], ["Password: ", "Verification code: "])


def refused(host: Host, account: Account, answers: list[str]) -> list[str]:
    """Log in rightly, be refused soon, and return the prompts."""
    started = time.monotonic()
    with Visitor(host.sshd, account.name) as visitor:
        assert not visitor.say(*answers)
    assert time.monotonic() - started < SOON
    return [prompt for _, _, prompts in visitor.requests for prompt, _ in prompts]


def assert_logged(host: Host, syslog: Syslog, advice: str) -> None:
    """Find what the operator needs: the cause in the helper's log, the way there in syslog."""
    pattern = re.compile(f"sftp_mfa.pam: ERROR: .*({advice}).*; refusing")
    assert pattern.search(host.installation.log()), host.installation.log()
    assert "Traceback" not in host.installation.log()
    syslog.wait_for(rf"the helper at {host.installation.socket} cannot decide: see its log")


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Start a PostgreSQL of the test's own."""
    cluster = Cluster.make(place() / f"postgres-{os.getpid()}")
    yield cluster
    with suppress(subprocess.CalledProcessError):
        cluster.stop("immediate")


def postmaster(cluster: Cluster) -> int:
    """Return the server's process id."""
    return int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])


def test_postgresql_that_is_down_or_frozen_refuses_until_it_is_back(
    own_cluster: Cluster, hosts: Hosts, accounts: Accounts, syslog: Syslog
) -> None:
    """The helper goes on by itself when the server is back: it is not restarted here."""
    host = hosts.make(url=own_cluster.make_database(), arguments=["timeout=4"])
    with_mfa, without = accounts.make(), accounts.make()
    devices = [host.installation.enroll(with_mfa.name, name) for name in ("one", "two")]
    assert gets_in(host.sshd, without, without.password)

    own_cluster.stop("immediate")
    check_refusals(host, with_mfa, without, devices[0])
    assert_logged(host, syslog, "check that the database server runs")
    own_cluster.start()
    assert gets_in(host.sshd, with_mfa, with_mfa.password, devices[0].code(1))

    family = [postmaster(own_cluster), *descendants(postmaster(own_cluster))]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    check_refusals(host, with_mfa, without, devices[1])
    for pid in family:
        os.kill(pid, signal.SIGCONT)
    assert gets_in(host.sshd, with_mfa, with_mfa.password, devices[1].code(1))
    assert gets_in(host.sshd, without, without.password)
    host.wait_until_quiet()
