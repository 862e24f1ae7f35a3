"""What runs: each service is started, awaited and ended in the same way."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.demonstration.commands import QuickstartError, last_lines, run
from scripts.demonstration.configuration import SSHD_BY_NAME
from scripts.demonstration.layout import (
    CONFIG,
    HOST,
    LOGS,
    PASSWORD_SOCKET,
    PRIVILEGE_SEPARATION,
    SOCKET,
    SSHD_CONFIG,
    VENV,
)
from scripts.demonstration.processes import Gated
from scripts.demonstration.record import Record

_PATIENCE = 60.0
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Service:
    """One of them."""

    name: str
    argv: tuple[str | Path, ...]
    is_ready: Callable[[], bool]

    @property
    def log(self) -> Path:
        """Name the file that its output goes to."""
        return LOGS / f"{self.name}.log"


def services(port: int, web_port: int) -> list[Service]:
    """List them in the order of their start."""
    ours = VENV / "bin" / "sftp-mfa"
    return [
        Service(
            "helper",
            (ours, "serve-pam", "--config", CONFIG),
            lambda: _answers(socket.AF_UNIX, socket.SOCK_SEQPACKET, str(SOCKET)),
        ),
        Service(
            "passwords",
            (ours, "serve-passwords", "--config", CONFIG),
            PASSWORD_SOCKET.is_socket,  # it hangs up on root, and would log that
        ),
        Service(
            "web",
            (ours, "serve-web", "--config", CONFIG),
            lambda: _answers(socket.AF_INET, socket.SOCK_STREAM, (HOST, web_port)),
        ),
        Service(
            "sshd",
            (SSHD_BY_NAME, "-D", "-e", "-f", SSHD_CONFIG),
            lambda: _answers(socket.AF_INET, socket.SOCK_STREAM, (HOST, port)),
        ),
    ]


def start(record: Record) -> None:
    """Make the store and start all services, each in the record before it begins."""
    run(VENV / "bin" / "sftp-mfa", "upgrade-store", "--config", CONFIG)
    if not PRIVILEGE_SEPARATION.exists():
        record.made_privilege_separation = True
        record.save()
        PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    LOGS.mkdir(mode=0o700)
    for service in services(record.port, record.web_port):
        gated = Gated(service.argv, service.log)
        record.processes[service.name] = gated.process
        record.save()
        gated.let_go()
        _wait(service, gated)


def require_free(port: int, option: str) -> None:
    """Refuse a port that somebody else has."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = (
                f"{HOST}:{port} cannot be used ({error.strerror}): name another with {option} N"
            )
            raise QuickstartError(message) from error


def logs() -> str:
    """Give the end of each log."""
    files = sorted(LOGS.glob("*.log"))
    return "\n".join(f"  {file}:\n{last_lines(file.read_text())}" for file in files)


def _wait(service: Service, gated: Gated) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not service.is_ready():
        if not gated.process.is_alive() or time.monotonic() > deadline:
            message = f"the {service.name} did not start; its log:\n{logs()}"
            raise QuickstartError(message)
        time.sleep(_PAUSE)


def _answers(family: int, kind: int, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, kind) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return True
