"""A real sshd on loopback, with its own key, configuration and PAM service."""

import re
import socket
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Protocol, Self

from harness.processes import Process
from harness.sandbox import checkout, free_port

_SSHD = Path("/usr/sbin/sshd")
DROP_IN = "50-sftp-mfa.conf"


@cache
def version() -> tuple[int, int]:
    """Return the machine's OpenSSH version."""
    said = subprocess.run([_SSHD, "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    if found is None:
        message = f"cannot tell the version of sshd from {said!r}"
        raise RuntimeError(message)
    return int(found[1]), int(found[2])


class Sshd:
    """An sshd that is running."""

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        service: str,
        *,
        config: Iterable[str] = (),
        blocks: Iterable[str] = (),
        log_level: str = "VERBOSE",
        max_startups: str = "100:30:200",
    ) -> None:
        """Start it: `config` lines come before ours and so win, `blocks` (Match) after them."""
        self.port = free_port()
        self.folder = folder
        self.service = service
        self.host_key = folder / "host_key"
        self.config = folder / "sshd_config"
        folder.mkdir(parents=True, exist_ok=True)
        _make_key(self.host_key)
        ours = self._lines(log_level, max_startups)
        self.config.write_text("\n".join([*config, *ours, *blocks, ""]))
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {self.public_key}\n")
        self.process = Process(self._argv(), log=folder / "log")
        self.process.wait_until_ready(self._greets)

    @property
    def public_key(self) -> str:
        """Return the host's public key, as known_hosts has it."""
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """Return the host key's SHA-256 fingerprint."""
        said = subprocess.run(
            ["ssh-keygen", "-lf", self.host_key], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def log(self) -> str:
        """Return what it has logged."""
        return self.process.output()

    def stop(self) -> None:
        """End it, and every connection."""
        self.process.stop()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _lines(self, log_level: str, max_startups: str) -> list[str]:
        lines = [
            f"Include {checkout() / 'sshd_config' / DROP_IN}",
            f"ListenAddress {self.host}:{self.port}",
            f"HostKey {self.host_key}",
            "PidFile none",
            "UseDNS no",
            f"LogLevel {log_level}",
            f"MaxStartups {max_startups}",
            "Subsystem sftp internal-sftp",
        ]
        if version() >= (9, 8):
            lines += ["PerSourcePenalties no", f"PAMServiceName {self.service}"]
        return lines

    def _argv(self) -> list[str | Path]:
        """Build a command whose name is the PAM service: before 9.8 sshd takes it from there."""
        named = self.folder / self.service
        if not named.is_symlink():
            named.symlink_to(_SSHD)
        return [named, "-D", "-e", "-f", self.config]

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as connection:
                return connection.recv(8) == b"SSH-2.0-"
        except ConnectionError:
            return False


class StartSshd(Protocol):
    """Start an sshd that the test's end stops."""

    def __call__(
        self,
        service: str,
        *,
        folder: str = "sshd",
        config: Iterable[str] = (),
        blocks: Iterable[str] = (),
        log_level: str = "VERBOSE",
        max_startups: str = "100:30:200",
    ) -> Sshd:
        """Take what Sshd takes; two in one test need a folder each."""


def _make_key(path: Path) -> None:
    if not path.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True
        )
