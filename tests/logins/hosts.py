"""Whole hosts: sshd with the shipped PAM stack, helper and store."""

import os
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness import pam
from harness.accounts import Account
from harness.installation import Installation
from harness.pam import PamServices
from harness.processes import descendants
from harness.sshd import Sshd
from harness.waiting import until

SEQPACKET = "0005"
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Host:
    """An sshd and what our module asks."""

    installation: Installation
    sshd: Sshd

    def wait_until_quiet(self) -> None:
        """Wait until sshd has no child left, and the helper no connection."""
        until(lambda: not list(descendants(self.sshd.process.pid)), "no child of sshd left", 20)
        until(lambda: not self.conversations(), "no conversation of the helper left", 20)

    def conversations(self) -> int:
        """Count the connections that the helper holds."""
        helper = self.installation.helper
        if helper is None or not helper.is_running:
            return 0
        ours = {line[6] for line in unix_sockets() if line[7:] == [str(self.installation.socket)]}
        return len(ours & sockets_of(helper.pid)) - 1  # the one that it listens on

    def relays(self) -> int:
        """Count the connections to a helper in processes of sshd; no others are of packets."""
        ours = {line[6] for line in unix_sockets() if line[4] == SEQPACKET}
        held = [sockets_of(pid) for pid in descendants(self.sshd.process.pid)]
        return len(ours & set().union(*held))

    def footprint(self) -> "Footprint":
        """Measure what the helper holds."""
        assert self.installation.helper is not None
        process = Path(f"/proc/{self.installation.helper.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return Footprint(
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            kilobytes=int(status["VmRSS"].split()[0]),
        )


def unix_sockets() -> list[list[str]]:
    """Return the kernel's table: the fifth column is the type, the seventh the number."""
    return [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]


def sockets_of(pid: int) -> set[str]:
    """Return the numbers of a process's sockets."""
    found = set()
    with suppress(FileNotFoundError):  # it has ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    descriptors: int
    threads: int
    kilobytes: int


class Hosts:
    """The hosts that one test, or many, made."""

    def __init__(self, folder: Path) -> None:
        """Keep the sshds' files in a folder."""
        self._folder = folder
        self._count = 0
        self._running = ExitStack()
        self._services = PamServices()
        self._running.callback(self._services.remove_all)

    def make(
        self,
        *,
        start: bool = True,
        arguments: Iterable[str] = (),
        stack: Callable[[str], str] = str,
        sshd: dict[str, Any] | None = None,
        **options: Any,
    ) -> Host:
        """Make a host: options of Installation, arguments of our lines, a change to the stack."""
        installation = Installation(**options)
        self._running.callback(installation.close)
        if start:
            installation.start()
        text = stack(pam.shipped(installation.socket, arguments=arguments))
        self._count += 1
        folder = self._folder / f"sshd{self._count}"
        server = Sshd(folder, self._services.install(text), **(sshd or {}))
        return Host(installation, self._running.enter_context(server))

    def install_service(self, text: str) -> str:
        """Install a PAM service for a stack to lead to."""
        return self._services.install(text)

    def close(self) -> None:
        """Stop them all."""
        self._running.close()


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do the same with each item in a thread of its own, since logins mostly wait."""
    each = list(items)
    with ThreadPoolExecutor(max(1, len(each))) as threads:
        return list(threads.map(work, each))


def give_key(account: Account, folder: Path) -> list[str]:
    """Let an account in with a key of its own; return OpenSSH's options to use it."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / account.name
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    settings = account.home / ".ssh"
    settings.mkdir(exist_ok=True)
    (settings / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    for path in (settings, settings / "authorized_keys"):
        os.chown(path, account.uid, account.uid)
    return ["-i", str(key), "-oIdentitiesOnly=yes"]
