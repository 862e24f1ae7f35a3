"""What must be so before anything is changed, and what an operator should know."""

import grp
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pam_module import wire
from scripts.host import sshd, sshd_config
from scripts.host.clock import is_synchronised
from scripts.installation import layout
from store.settings import Settings

_SPACE = 16 * 1024 * 1024
_SERVICES = ("common-auth", "common-account", "common-session", "common-password")
_ASKS_FOR_ROOT = b"H1\0account\0sshd\0root\0localhost\0"
"""What the PAM module sends on its account line (pam_module/README.md)."""
_PATIENCE = 10.0
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that stands against an installation, or a warning."""

    text: str
    stops: bool = True


def of_machine(settings: sshd.Settings, *, opens_passwords: bool) -> Iterator[Obstacle]:
    """Look at the machine's own sshd."""
    yield from _include_line()
    methods = ("passwordauthentication", "kbdinteractiveauthentication")
    takes_none = all(sshd.value(settings, method) == "no" for method in methods)
    if takes_none and not layout.DROP_IN.exists() and not opens_passwords:
        yield Obstacle(
            "this machine takes no passwords over SSH. With sftp-mfa it would: a password alone "
            "from who has not adopted MFA. If that is wanted, say --open-passwords"
        )
    if sshd.value(settings, "usepam") == "no":
        yield Obstacle(
            "sshd did not use PAM (UsePAM no) and will: accounts, limits and sessions follow "
            "/etc/pam.d/sshd from now on",
            stops=False,
        )


def of_port(port: int, *, is_ours: bool) -> Iterator[Obstacle]:
    """Look whether an sshd of our own can have a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if not is_ours:
                yield Obstacle(f"port {port} cannot be used ({error.strerror}): name another one")


def of_everything() -> Iterator[Obstacle]:
    """Look at what every installation stands on."""
    for name in _SERVICES:
        if not (layout.PAM_SERVICES / name).is_file():
            yield Obstacle(
                f"{layout.PAM_SERVICES / name} is missing: this is not a PAM configuration as "
                "Debian and Ubuntu have it (apt install libpam-runtime)"
            )
    if module() is None:
        yield Obstacle("pam_sftp_mfa.so is not where libpam looks: install the package again")
    for folder in (layout.PAM_SERVICES, layout.BACKUPS, Path("/var/lib")):
        yield from _space(folder)
    yield from _groups()
    if is_synchronised() is False:
        yield Obstacle(
            "the clock is not synchronised: codes depend on the time (systemd-timesyncd, chrony)",
            stops=False,
        )


def helper_answers(settings: Settings, *, patience: float = _PATIENCE) -> bool:
    """Tell whether the helper serves the PAM module's socket, and can ask its store."""
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            probe.settimeout(patience)
            try:
                probe.connect(settings.pam.socket)
                probe.send(_ASKS_FOR_ROOT)
                return probe.recv(wire.MAX_PACKET) in {wire.GRANTED, wire.DENIED}
            except OSError:
                pass
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def _include_line() -> Iterator[Obstacle]:
    lines = sshd_config.read()
    place = next(
        (
            index
            for index, line in enumerate(lines)
            if line.keyword == "include"
            and not line.match
            and line.file == sshd_config.MAIN
            and f"{layout.DROP_INS}/" in f"{sshd_config.MAIN.parent / line.argument}"
        ),
        None,
    )
    advice = f"make `Include {layout.DROP_INS}/*.conf` the first line of {sshd_config.MAIN}"
    if place is None:
        yield Obstacle(f"sshd does not read {layout.DROP_INS}: {advice}")
        return
    ours = {"usepam", "kbdinteractiveauthentication", "challengeresponseauthentication"}
    earlier = [line for line in lines[:place] if line.keyword in ours and not line.match]
    for line in earlier:
        yield Obstacle(f"{line.where} wins against {layout.DROP_INS}, since it is first: {advice}")


def module() -> Path | None:
    """Find our module in the folder that has pam_unix.so."""
    known = [Path("/lib/security"), Path("/usr/lib/security"), Path("/usr/lib64/security")]
    for folder in (*Path("/usr/lib").glob("*-linux-*/security"), *known):
        if (folder / "pam_unix.so").is_file() and (folder / "pam_sftp_mfa.so").is_file():
            return folder / "pam_sftp_mfa.so"
    return None


def _space(folder: Path) -> Iterator[Obstacle]:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(there).free < _SPACE:
        yield Obstacle(f"less than {_SPACE // 1024 // 1024} MiB are free where {there} is")


def _groups() -> Iterator[Obstacle]:
    try:
        entry = grp.getgrnam(layout.BREAK_GLASS)
    except KeyError:
        yield Obstacle(
            f"there is no group {layout.BREAK_GLASS}: groupadd --system {layout.BREAK_GLASS}"
        )
        return
    if not entry.gr_mem:
        yield Obstacle(
            f"nobody is in the group {layout.BREAK_GLASS}: put an operator with a public key into "
            f"it (gpasswd --add NAME {layout.BREAK_GLASS}), who gets in whatever happens",
            stops=False,
        )
