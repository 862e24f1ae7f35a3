"""Keys are exchanged by the real command while everything goes on, and whatever breaks it off."""

import base64
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from bed import DATABASES, findings
from harness.installation import ROOT, Device, Installation
from harness.moved_clock import MovedClock
from harness.sandbox import command

from scripts.key_rotation import rotate
from store.audit_log import Filter
from store.decisions import Attempt, Granted, Protocol, Reason
from store.errors import StoreUnavailableError
from store.opening import open_store
from store.sealing import read_keys
from store.secret import Secret
from store.settings import load
from store.unit_of_work import KEY_NAMES

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
QUICK = "wait_seconds = 0.5\n"
"""The command waits twice as long for who sealed under the old key just before."""
KILLS = 30


@pytest.fixture(autouse=True)
def _secrets_stay_out_of_the_log() -> None:
    """Not here: of so many codes one is a part of some id by chance, and it takes long."""


@pytest.fixture(params=DATABASES)
def host(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Make a store with a clock of its own."""
    url = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = Installation(url, clock_stands=True)
    yield made
    made.close()


@pytest.fixture
def sqlite_host() -> Iterator[Installation]:
    """Make a store where the database makes no difference."""
    made = Installation()
    yield made
    made.close()


def lets_in(host: Installation, name: str, device: Device) -> bool:
    """Give the code of now."""
    attempt = Attempt(name, Protocol.SSH, "192.0.2.7")
    decision = host.store.authentication.check_code(attempt, Secret.of(device.code()))
    return decision == Granted(Reason.CODE_ACCEPTED, device.factor_id)


def key_events(host: Installation) -> list[str]:
    """Give the events of rotations, the oldest first."""
    events = host.store.audit_log.page(Filter(account=""), 1000).events
    return [event.event for event in reversed(events) if event.event.startswith("key_")]


def hasty_config(host: Installation) -> Path:
    """Let the command not wait long, where nobody else works on the store."""
    config = host.folder / "hasty.toml"
    config.write_text(host.config.read_text().replace("[store]\n", f"[store]\n{QUICK}"))
    return config


def rotate_quickly(host: Installation, step: str = "all") -> None:
    """Run the command."""
    host.run("sftp-mfa", "rotate-keys", "--step", step, "--config", str(hasty_config(host)))


class Traffic(threading.Thread):
    """A service that verifies and enrolls all the while, through a store it opened before."""

    def __init__(self, host: Installation, number: int) -> None:
        """Have somebody who has adopted MFA."""
        super().__init__(daemon=True)
        self.host = host
        # Of its own: with the clock moved by several, two might show one code.
        self.clock = MovedClock(host.folder / f"clock{number}")
        self.store = open_store(load(host.config), self.clock)
        self.name = f"user{number}"
        self.devices: list[Device] = []
        self.trouble: list[str] = []
        self.logins = 0
        self.ends = False
        self.enroll()

    def enroll(self) -> None:
        """Exchange the authenticator for a new one."""
        self.clock.forward(seconds=60)
        enrollment = self.store.totp_factors.begin(self.name, "phone", ROOT)
        secret = base64.b32decode(enrollment.secret.text())
        device = Device(enrollment.factor.id, secret, self.clock)
        self.store.totp_factors.complete(self.name, device.factor_id, device.code(), ROOT)
        old, self.devices = self.devices, [device]
        for other in old:
            self.store.totp_factors.delete(self.name, other.factor_id, ROOT)

    def run(self) -> None:
        """Go on until told to end; a refusal because the store is busy is one, and no more."""
        try:
            while not self.ends:
                time.sleep(0.002)  # or SQLite, which has no queue, might let one wait for ever
                with suppress(StoreUnavailableError):
                    self.log_in_and_enroll()
        except Exception as error:  # noqa: BLE001 - the test tells it
            self.trouble.append(repr(error))

    def log_in_and_enroll(self) -> None:
        """Use three codes of the authenticator, then exchange it."""
        attempt = Attempt(self.name, Protocol.SSH, "192.0.2.7")
        for _ in range(3):
            self.clock.forward(seconds=30)
            code = Secret.of(self.devices[0].code())
            decision = self.store.authentication.check_code(attempt, code)
            if not isinstance(decision, Granted):
                self.trouble.append(str(decision))
            self.logins += 1
        self.enroll()


@contextmanager
def traffic(host: Installation) -> Iterator[list[Traffic]]:
    """Let some services work during the block, and nothing go wrong with them."""
    services = [Traffic(host, number) for number in range(3)]
    for service in services:
        service.start()
    yield services
    before = [service.logins for service in services]
    deadline = time.monotonic() + 40
    while any(new.logins == old for new, old in zip(services, before, strict=True)):
        assert time.monotonic() < deadline, [service.trouble for service in services]
        time.sleep(0.01)
    for service in services:
        service.ends = True
    for service in services:
        service.join()
        service.store.close()
        assert service.trouble == []


def test_rotation_disturbs_nobody(host: Installation) -> None:
    """Logins and enrollments go on through all three steps, without a restart."""
    (old,) = read_keys(host.keys)
    device = host.enroll("alice")
    with traffic(host) as services:
        for step in ("add", "reseal", "retire"):
            done = host.run("sftp-mfa", "rotate-keys", "--step", step)
            assert len(done.stdout.splitlines()) == 1
    (new,) = read_keys(host.keys)
    assert new != old
    assert all(service.logins > 3 for service in services)
    assert host.store.key_rotation.uses(old) == 0
    assert lets_in(host, "alice", device)
    assert key_events(host) == ["key_added", "key_retired"]
    assert findings(host.store) == []


def test_rotation_in_one_go_can_be_repeated(host: Installation) -> None:
    """Each time there is one key, a new one; a copy of the one before opens nothing any more."""
    device = host.enroll("alice")
    before = host.keys.with_name("copy")
    shutil.copy2(host.keys, before)
    for _ in range(2):
        (old,) = read_keys(host.keys)
        rotate_quickly(host)
        assert old not in read_keys(host.keys)
    assert lets_in(host, "alice", device)
    shutil.copy2(before, host.keys)
    ended = host.run("sftp-mfa", "check-config", check=False)
    assert ended.returncode == 3
    assert "which the store uses" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def rotate_in_a_group(config: Path) -> None:
    """Do what the command does, so that the whole of it can be killed."""
    os.setsid()
    for _ in rotate(load(config), "all"):
        pass


def test_killed_rotation_goes_on_where_it_was(host: Installation) -> None:
    """Killed at any moment of any step, with SIGKILL, it ends well when it is run again."""
    devices = {f"alice{number}": host.enroll(f"alice{number}") for number in range(5)}
    hasty = hasty_config(host)
    processes = forked_from_a_warm_one()
    seen: Counter[str] = Counter()
    with traffic(host):
        for kills in range(KILLS):
            process = processes.Process(target=rotate_in_a_group, args=(hasty,))
            process.start()
            process.join(0.02 * 1.3 ** (kills % 15))
            seen["killed" if process.is_alive() else "ended"] += 1
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
            keys = read_keys(host.keys)
            seen[f"{len(keys)} keys"] += 1
            store = open_store(load(host.config))
            store.check()
            store.close()
        host.run("sftp-mfa", "rotate-keys")
    assert seen["2 keys"] >= 5, seen
    assert seen["killed"] > KILLS // 3
    (key,) = read_keys(host.keys)
    assert host.store.key_rotation.uses(key) >= len(devices) + len(KEY_NAMES) + 3
    assert all(lets_in(host, name, device) for name, device in devices.items())
    assert findings(host.store) == []


def forked_from_a_warm_one() -> Any:
    """Make processes from one that has read the program already, so that each begins at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_rotation", "sqlalchemy.dialects.postgresql.psycopg"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(sys.path))
        forkserver.ensure_running()
    return context


def test_two_rotations_at_once_leave_a_store_that_opens(host: Installation) -> None:
    """Two operators who do it at the same time harm nothing; one of them may have to repeat it."""
    device = host.enroll("alice")
    argv = [command("sftp-mfa"), "rotate-keys", "--config", str(hasty_config(host))]
    both = [
        subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)
    ]
    for process in both:
        process.communicate()
    rotate_quickly(host)
    assert len(read_keys(host.keys)) == 1
    assert lets_in(host, "alice", device)
    assert findings(host.store) == []


def test_key_that_is_still_used_is_not_retired(sqlite_host: Installation) -> None:
    """Retiring before everything is sealed anew is refused, and says what to do first."""
    host = sqlite_host
    host.enroll("alice")
    host.run("sftp-mfa", "rotate-keys", "--step", "add")
    ended = host.run("sftp-mfa", "rotate-keys", "--step", "retire", check=False)
    assert ended.returncode == 3
    assert "--step reseal" in ended.stderr
    assert len(read_keys(host.keys)) == 2


def test_other_host_takes_part(host: Installation) -> None:
    """The steps as the help tells them for several hosts: each host works after each of them."""
    other = Installation.__new__(Installation)
    other.__dict__.update(host.__dict__)
    other.keys = host.folder / "keys of the other"
    other.config = host.folder / "other.toml"
    shutil.copy2(host.keys, other.keys)
    other.config.write_text(host.config.read_text().replace(str(host.keys), str(other.keys)))
    other._store = None  # noqa: SLF001 - opened with its own key file
    devices = {"alice": host.enroll("alice"), "bob": other.enroll("bob")}
    assert host.clock is not None
    for step in ("add", "copy", "reseal", "retire", "copy"):
        if step == "copy":
            shutil.copy2(host.keys, other.keys.with_suffix(".new"))
            other.keys.with_suffix(".new").replace(other.keys)
        else:
            rotate_quickly(host, step)
        for where in (host, other):
            for name, device in devices.items():
                host.clock.forward(seconds=30)
                assert lets_in(where, name, device), step
        devices["carol"] = other.enroll("carol") if "carol" not in devices else devices["carol"]
    assert read_keys(host.keys) == read_keys(other.keys)
    other.close()


@pytest.mark.parametrize("kind", ["missing", "another's", "empty", "open to others"])
def test_wrong_key_file_is_found_at_the_start(sqlite_host: Installation, kind: str) -> None:
    """Nothing starts without the right key, and nobody makes a new one in its place."""
    host = sqlite_host
    host.enroll("alice")
    if kind == "missing":
        host.keys.unlink()
    elif kind == "another's":
        stranger = Installation(fresh=True)
        shutil.copy2(stranger.keys, host.keys)
        stranger.close()
    elif kind == "empty":
        host.keys.write_text("")
    else:
        host.keys.chmod(0o644)
    for arguments in (["check-config"], ["upgrade-store"], ["rotate-keys"]):
        if kind == "another's" and arguments == ["upgrade-store"]:
            continue  # it opens nothing sealed
        ended = host.run("sftp-mfa", *arguments, check=False)
        assert ended.returncode == 3, arguments
        assert str(host.keys) in ended.stderr or "does not open" in ended.stderr
        assert len(ended.stderr.splitlines()) <= 2
    assert host.keys.exists() is (kind != "missing")
