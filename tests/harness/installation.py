"""Our half of a host: a configuration, a store and a running helper."""

import base64
import secrets
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from harness.processes import Process
from harness.sandbox import command, place
from store import otp
from store.audit import Actor
from store.clock import system_clock
from store.decisions import Protocol
from store.opening import Store, open_store
from store.secret import Secret
from store.settings import load

ROOT = Actor("root", Protocol.HOST)


@dataclass(frozen=True, slots=True)
class Device:
    """An authenticator app with one account in it."""

    factor_id: str
    secret: bytes = field(repr=False)

    def code(self, steps: int = 0) -> str:
        """Show the code of now, or of so many time steps later."""
        return otp.code_at(self.secret, otp.step_at(system_clock()) + steps)

    def unused_code(self) -> str:
        """Show a code that is accepted and was not used by the enrollment: the next step's."""
        return self.code(1)

    def wrong_codes(self, count: int) -> list[str]:
        """Make up codes that are wrong now and for the next minutes."""
        now = otp.step_at(system_clock())
        right = {otp.code_at(self.secret, now + step) for step in range(-3, 20)}
        made_up = (f"{number:06d}" for number in range(100_000, 200_000, 1237))
        return [code for code in made_up if code not in right][:count]


class Installation:
    """A store and its helper; `start` runs the helper as the service would be run."""

    def __init__(self, url: str | None = None, more: str = "") -> None:
        """Make configuration and store; an SQLite store unless there is a URL."""
        # Not in pytest's folders, which the service's user may not enter.
        folder = place() / "hosts" / secrets.token_hex(5)
        folder.mkdir(parents=True)
        self.folder = folder
        self.config = folder / "config.toml"
        self.database = folder / "store" / "store.db"
        self.socket = folder / "run" / "pam.sock"
        self.config.write_text(
            f"[store]\n"
            f'url = "{url or f"sqlite:///{self.database}"}"\n'
            f'key_file = "{folder / "keys"}"\n'
            f"[pam]\n"
            f'socket = "{self.socket}"\n'
            f"{more}"
        )
        self.run("sftp-mfa", "upgrade-store")
        self.helper: Process | None = None
        self._store: Store | None = None

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

    def start(self, argv: list[str] | None = None) -> None:
        """Start the helper and wait until it serves."""
        started = argv or [command("sftp-mfa"), "serve-pam", "--config", str(self.config)]
        self.helper = Process(started, log=self.folder / "helper.log")
        self.helper.wait_until_ready(self._serves)

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
            self._store = open_store(load(self.config))
        return self._store

    def log(self) -> str:
        """Return what the helper has logged."""
        return (self.folder / "helper.log").read_text()

    def enroll(self, account: str, name: str = "phone") -> Device:
        """Complete a TOTP factor; the code of now is used up by that."""
        factors = self.store.totp_factors
        enrollment = factors.begin(account, name, ROOT)
        device = Device(enrollment.factor.id, base64.b32decode(enrollment.secret.text()))
        factors.complete(account, device.factor_id, device.code(), ROOT)
        return device

    def issue_token(self, account: str) -> Secret:
        """Make an access token for SFTP."""
        return self.store.access_tokens.issue(account, "job", ROOT)[0]

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
