"""Stores to test with: their clock stands still until it is moved, nothing in them is random."""

import base64
import hashlib
import hmac
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store.audit import Actor
from store.clock import Randomness
from store.decisions import Attempt, Decision, Protocol
from store.errors import StoreUnavailableError
from store.opening import Store, open_store
from store.sealing import Keyring, create_key_file
from store.secret import Secret
from store.settings import Settings, StoreSettings
from store.upgrade import upgrade_store

START = 1_750_000_000_000
"""When a clock starts: 10 s into a time step of a day in June 2025."""
STEP = 30
SHORT = 5
"""A secret of so few characters would be found everywhere."""
ROOT = Actor("root", Protocol.HOST)
ADDRESS = "192.0.2.7"

OpenStore = Callable[..., Store]
"""Opens the test's store with other values in some sections, such as lockout={"failures": 1}."""

_chance = random.Random(0).randbytes  # noqa: S311 - a failure must be seen again

shown: set[str] = set()
"""Codes that phones have shown in this test: no log may hold one."""


class Clock:
    """A clock that stands still until it is moved; milliseconds since 1970."""

    def __init__(self, now: int = START) -> None:
        """Stand at that time."""
        self.now = now

    def __call__(self) -> int:
        """Tell the time."""
        return self.now

    def move(self, seconds: float = 0, *, steps: int = 0, hours: float = 0) -> None:
        """Go on, or back where this is negative."""
        self.now += round((seconds + steps * STEP + hours * 3600) * 1000)


@dataclass(frozen=True)
class Phone:
    """An authenticator app, which knows RFC 6238 by itself."""

    id: str
    """The factor's id in the store."""
    secret: str
    """Base32, as a person types it in."""
    clock: Clock

    def code(self, steps: int = 0) -> str:
        """Show the code of now, or of some steps earlier or later."""
        step = self.clock.now // 1000 // STEP + steps
        code = _one_time_password(self.secret, step)
        shown.add(code)
        return code

    def wrong(self, count: int) -> list[str]:
        """Give different codes that are none of this phone's near now."""
        right = {self.code(steps) for steps in range(-5, 6)}
        wrong = [code for code in map("{:06d}".format, range(count + 11)) if code not in right]
        shown.update(wrong)
        return wrong[:count]


def _one_time_password(secret: str, step: int) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def seeded(seed: int = 0) -> Randomness:
    """Give randomness that is the same in each run."""
    return random.Random(seed).randbytes  # noqa: S311 - a failure must be seen again


def make_key_file(path: Path, seed: int = 0) -> Path:
    """Make a key file that root owns."""
    create_key_file(path, 0, seeded(seed))
    return path


def make_store(settings: Settings, clock: Callable[[], int]) -> Settings:
    """Make the schema, as `sftp-mfa upgrade-store` does."""
    keyring = Keyring(Path(settings.store.key_file), seeded(1))
    upgrade_store(settings.store, keyring, clock, seeded(2))
    return settings


def make_sqlite(folder: Path, clock: Callable[[], int]) -> Settings:
    """Make a store and its key file in a folder."""
    key_file = make_key_file(folder / "store.keys")
    return make_store(settings_of(f"sqlite:///{folder / 'store.db'}", key_file), clock)


def settings_of(url: str, key_file: Path) -> Settings:
    """Give the default settings for a store that is elsewhere."""
    return Settings(store=StoreSettings(url=url, key_file=str(key_file)))


def with_changes(settings: Settings, **sections: dict[str, Any]) -> Settings:
    """Give the settings with other values in some sections, such as lockout={"failures": 1}."""
    changed = {
        name: msgspec.structs.replace(getattr(settings, name), **values)
        for name, values in sections.items()
    }
    return msgspec.structs.replace(settings, **changed)


@contextmanager
def opened(
    settings: Settings, clock: Callable[[], int], randomness: Randomness | None = None
) -> Iterator[Store]:
    """Open a store; every connection must have come home at the end."""
    store = open_store(settings, clock, randomness or _chance)
    try:
        yield store
        pool: Any = store.units.database.engine.pool
        assert pool.checkedout() == 0, "a connection was not given back"
    finally:
        store.close()


def attempt(
    account: str = "alice", protocol: Protocol = Protocol.SSH, address: str | None = ADDRESS
) -> Attempt:
    """Describe somebody who wants in."""
    return Attempt(account, protocol, address)


def try_code(store: Store, code: str, account: str = "alice", **how: Any) -> Decision:
    """Give a code after a right password."""
    return store.authentication.check_code(attempt(account, **how), Secret.of(code))


def waited_too_long(error: StoreUnavailableError) -> bool:
    """Tell whether an operation was refused only because others were before it for too long."""
    return any(word in str(error) for word in ("QueuePool", "locked", "busy", "timeout"))


def enroll(store: Store, clock: Clock, account: str = "alice", name: str = "phone") -> Phone:
    """Adopt MFA with the code of the step before, so that the code of now is still unused."""
    enrollment = store.totp_factors.begin(account, name, ROOT)
    phone = Phone(enrollment.factor.id, enrollment.secret.text(), clock)
    store.totp_factors.complete(account, phone.id, phone.code(-1), ROOT)
    return phone


@contextmanager
def secrets_kept_out_of(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail if a secret that was wrapped, or a code that was shown or tried, gets into the log."""
    wrapped: set[str] = set()
    wrap = Secret.__init__

    def note(self: Secret, value: bytes) -> None:
        wrapped.add(value.decode(errors="surrogateescape"))
        wrap(self, value)

    shown.clear()
    monkeypatch.setattr(Secret, "__init__", note)
    log.set_level("DEBUG", logger="sftp_mfa")
    yield
    secrets = {secret for secret in wrapped if len(secret) > SHORT} | shown
    for line in _lines(log):
        assert not [secret for secret in secrets if _stands_in(line, secret)]


def _stands_in(line: str, secret: str) -> bool:
    if secret not in line:
        return False
    # Six digits may stand in a factor's id by chance.
    word = rf"(?<![0-9A-Za-z]){secret}(?![0-9A-Za-z])"
    return not secret.isdecimal() or re.search(word, line) is not None


def _lines(log: pytest.LogCaptureFixture) -> Iterable[str]:
    for when in ("setup", "call"):
        for record in log.get_records(when):
            yield f"{record.getMessage()} {record.args!r} {record.exc_info!r}"
