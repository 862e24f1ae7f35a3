"""Our half of a host: a configuration, a store and a running helper."""

import base64
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import moved_clock
from harness.moved_clock import MovedClock
from harness.processes import Process
from harness.sandbox import command, once_per_run, place
from store import otp
from store.audit import Actor
from store.clock import Clock, system_clock
from store.decisions import Protocol
from store.errors import EnrollmentError
from store.opening import Store, open_store
from store.secret import Secret
from store.settings import load

ROOT = Actor("root", Protocol.HOST)


@dataclass(frozen=True, slots=True)
class Device:
    """An authenticator app with one account in it."""

    factor_id: str
    secret: bytes = field(repr=False)
    clock: Clock = system_clock

    def code(self, steps: int = 0) -> str:
        """Show the code of now, or of so many time steps later."""
        return otp.code_at(self.secret, otp.step_at(self.clock()) + steps)

    def wrong_codes(self, count: int) -> list[str]:
        """Make up codes that are wrong now and for the next minutes."""
        now = otp.step_at(self.clock())
        right = {otp.code_at(self.secret, now + step) for step in range(-3, 20)}
        made_up = (f"{number:06d}" for number in range(100_000, 1_000_000, 1237))
        return [code for code in made_up if code not in right][:count]


class Installation:
    """A store and its helper; `start` runs the helper as the service would be run."""

    def __init__(
        self,
        url: str | None = None,
        more: str = "",
        *,
        keys_of: "Installation | None" = None,
        clock_stands: bool = False,
        fresh: bool = False,
        disk: Path | None = None,
    ) -> None:
        """Make configuration and store; an SQLite store unless there is a URL.

        Two hosts of one store have the same keys. A clock that stands is the test's to move. An
        SQLite store is a copy of the run's first one, unless it is to be fresh. `disk` is a folder
        for it that is not in memory, as the sandbox is.
        """
        # Not in pytest's folders, which the service's user may not enter.
        folder = place() / "hosts" / secrets.token_hex(5)
        folder.mkdir(parents=True)
        self.folder = folder
        self.config = folder / "config.toml"
        self.database = (disk or folder) / "store" / "store.db"
        self.keys = folder / "keys"
        self.socket = folder / "run" / "pam.sock"
        self.clock = MovedClock(folder / "clock") if clock_stands else None
        self.config.write_text(
            f"[store]\n"
            f'url = "{url or f"sqlite:///{self.database}"}"\n'
            f'key_file = "{self.keys}"\n'
            f"[pam]\n"
            f'socket = "{self.socket}"\n'
            f"{more}"
        )
        self.helper: Process | None = None
        self._store: Store | None = None
        if keys_of is not None:
            _copy(keys_of.keys, self.keys)
        if url is not None or fresh:
            self.run("sftp-mfa", "upgrade-store")
        else:
            first = Path(once_per_run("store", lambda: str(Installation(fresh=True).folder)))
            for item in (self.keys, self.database.parent):
                _copy(first / item.name, item)

    def run(
        self, name: str, *arguments: str, given: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of ours on this store."""
        ended = subprocess.run(
            [command(name), *arguments],
            env={"SFTP_MFA_CONFIG": str(self.config), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or ended.returncode == 0, ended.stderr
        return ended

    @property
    def serve(self) -> list[str]:
        """Return the command that serves."""
        if self.clock is not None:
            script = Path(moved_clock.__file__)
            return [sys.executable, "-P", str(script), str(self.config), str(self.clock.file)]
        return [command("sftp-mfa"), "serve-pam", "--config", str(self.config)]

    def start(self, argv: Sequence[str] = (), **options: Any) -> Process:
        """Start the helper and wait until it serves; `argv` and options replace the usual ones."""
        self.helper = Process(argv or self.serve, log=self.folder / "helper.log", **options)
        self.helper.wait_until_ready(self._serves)
        return self.helper

    def stop(self) -> None:
        """End the helper."""
        if self.helper is not None:
            self.helper.stop()
            self.helper = None

    def close(self) -> None:
        """End the helper and forget the store."""
        self.stop()
        if self._store is not None:
            self._store.close()

    @property
    def store(self) -> Store:
        """Open the store in this process, as another host would."""
        if self._store is None:
            self._store = open_store(load(self.config), self.clock or system_clock)
        return self._store

    def log(self) -> str:
        """Return what the helper has logged."""
        file = self.folder / "helper.log"
        return file.read_text() if file.exists() else ""

    def enroll(self, account: str, name: str = "phone") -> Device:
        """Complete a TOTP factor with the code before that of now, which stays unused."""
        factors = self.store.totp_factors
        enrollment = factors.begin(account, name, ROOT)
        secret = base64.b32decode(enrollment.secret.text())
        device = Device(enrollment.factor.id, secret, self.clock or system_clock)
        with suppress(EnrollmentError):  # a new step began just now
            factors.complete(account, device.factor_id, device.code(-1), ROOT)
            return device
        factors.complete(account, device.factor_id, device.code(-1), ROOT)
        return device

    def issue_token(self, account: str, **options: Any) -> Secret:
        """Make an access token for SFTP."""
        return self.store.access_tokens.issue(account, "job", ROOT, **options)[0]

    def wrong_codes(self, account: str) -> int:
        """Tell how many wrong codes in a row the store has counted."""
        return self.store.accounts.show(account).wrong_codes

    def reasons(self, account: str) -> list[str]:
        """Return why attempts on an account were granted or denied, as the log tells it."""
        lines = [line for line in self.log().splitlines() if f'account="{account}"' in line]
        words = [word for line in lines if "event=login_" in line for word in line.split()]
        return [word.partition("=")[2] for word in words if word.startswith("reason=")]

    def _serves(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder with its owners and modes."""
    subprocess.run(["cp", "-a", source, target], check=True)
