"""The machine's OpenSSH server: its version, what its configuration means, who runs it."""

import ipaddress
import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.host.errors import HostError
from scripts.host.programs import attempt, one_line
from scripts.host.sshd_config import MAIN

PROGRAM = Path("/usr/sbin/sshd")
NAMES_ITS_PAM_SERVICE = (9, 8)
"""The first version that has PAMServiceName; earlier ones take the name they were started by."""

_OWN_FOLDER = Path("/run/sshd")
"""Empty; its unprivileged part locks itself up there. Fixed when sshd is compiled."""
_LISTENING = "0A"
"""The state of a socket in /proc/net/tcp (the kernel's TCP_LISTEN)."""

Settings = dict[str, list[str]]
"""What holds, by keyword in small letters; some keywords have several values."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A running sshd that takes connections."""

    pid: int
    title: str
    """Its command line, as it shows itself."""
    sockets: tuple[tuple[str, int], ...]
    """Addresses and ports."""
    inodes: frozenset[str]
    """They change when it is reloaded."""

    @property
    def config(self) -> Path:
        """Name its configuration."""
        words = self.title.split()
        for place, word in enumerate(words):
            if word == "-f" and place + 1 < len(words):
                return Path(words[place + 1])
            if word.startswith("-f/"):
                return Path(word[2:])
        return MAIN

    @property
    def options(self) -> list[str]:
        """Give the settings that it was started with (-o), which win against its configuration."""
        found: list[list[str]] = []
        is_setting = False
        for word in self.title.split():
            if word.startswith("-"):
                is_setting = word.startswith("-o")
                if is_setting:
                    found.append([word[2:]])
            elif is_setting:
                found[-1].append(word)
        return [" ".join(words).strip() for words in found]

    @property
    def program(self) -> str:
        """Give the name that it was started by."""
        words = self.title.removeprefix("sshd: ").split()
        return Path(words[0]).name if words else ""


def version() -> tuple[int, int]:
    """Tell the version; HostError if there is no OpenSSH server."""
    said = attempt([PROGRAM, "-V"]).stderr  # 9.2 knows no -V, and says who it is
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    if found is None:
        message = f"{PROGRAM} does not tell its version: {one_line(said)}"
        raise HostError(message)
    return int(found[1]), int(found[2])


def make_own_folder() -> None:
    """Make the folder that sshd and `sshd -t` need, and that whoever starts it makes otherwise."""
    _OWN_FOLDER.mkdir(mode=0o755, exist_ok=True)


def trouble(config: Path = MAIN, program: Path = PROGRAM) -> str | None:
    """Say what `sshd -t` has against a configuration; None if nothing."""
    make_own_folder()
    tested = attempt([program, "-t", "-f", config])
    if tested.returncode == 0:
        return None
    return one_line(tested.stderr) or f"sshd -t ended with {tested.returncode}"


def settings(
    config: Path = MAIN, connection: str | None = None, options: Sequence[str] = ()
) -> Settings:
    """Tell what holds, for a connection as `-C` describes it; HostError if sshd cannot tell.

    `options` are settings of its command line.
    """
    more = [] if connection is None else ["-C", connection]
    more += [f"-o{option}" for option in options]
    make_own_folder()
    shown = attempt([PROGRAM, "-T", "-f", config, *more])
    if shown.returncode != 0:
        message = f"sshd -T -f {config} failed: {one_line(shown.stderr)}"
        raise HostError(message)
    found: Settings = {}
    for line in shown.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def value(found: Settings, keyword: str) -> str:
    """Give the one value of a keyword in small letters; empty if this sshd does not know it."""
    return found.get(keyword, [""])[0].lower()


def pam_service(found: Settings, started_as: str) -> str:
    """Tell which PAM service is asked: the one that is named, or the name of the program."""
    return found.get("pamservicename", [started_as])[0]


def listeners() -> list[Listener]:
    """List the sshds of this machine that take connections; containers' own are left out."""
    listening = _listening_sockets()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
            if "[listener]" not in title or not _is_of_this_machine(folder):
                continue
            if (folder / "exe").readlink().name.removesuffix(" (deleted)") != PROGRAM.name:
                continue
            inodes = frozenset(_sockets_of(folder) & listening.keys())
        except OSError:  # it has ended
            continue
        sockets = tuple(sorted(listening[inode] for inode in inodes))
        command = title.partition(" [listener]")[0]
        found.append(Listener(int(folder.name), command, sockets, inodes))
    return sorted(found, key=lambda listener: listener.pid)


def machines_own() -> Listener | None:
    """Find the one that serves the machine's own configuration."""
    return next((one for one in listeners() if one.config == MAIN), None)


def _sockets_of(process: Path) -> set[str]:
    names = (str(entry.readlink()) for entry in (process / "fd").iterdir())
    return {name[8:-1] for name in names if name.startswith("socket:[")}


def _is_of_this_machine(process: Path) -> bool:
    return all(
        (process / view).stat().st_ino == Path("/proc/self", view).stat().st_ino
        for view in ("ns/mnt", "ns/pid", "root")
    )


def _listening_sockets() -> dict[str, tuple[str, int]]:
    found = {}
    for name in ("tcp", "tcp6"):
        table = Path("/proc/net", name)
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                found[fields[9]] = (_address(address), int(port, 16))
    return found


def _address(text: str) -> str:
    """Read an address as /proc/net has it: words of 32 bits in the machine's own order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(words) == 1:
        return socket.inet_ntop(socket.AF_INET, packed)
    return str(ipaddress.IPv6Address(packed))
