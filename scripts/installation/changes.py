"""The files that an installation wants, and how they differ from what is there."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.host import sshd
from scripts.installation import layout, pam_lines
from scripts.installation.errors import RefusedError

_DERIVED = """\
# {file}: the PAM stack of sshd with the lines of sftp-mfa.
# Made by `sftp-mfa install` from {source}; run it again after that file was changed.
"""
_OWN_SSHD = """\
# {file}: an sshd for SFTP alone, made by `sftp-mfa install --sftp-port {port}`. The machine's own
# sshd and its PAM stack are as they were.
Port {port}
{host_keys}
PidFile none
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication yes
{service}PermitRootLogin no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
DisableForwarding yes
PermitTTY no
PermitUserRC no
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it is to be."""

    path: Path
    content: bytes
    is_edited: bool = False
    """It is the machine's own, and everything in it but our lines stays."""
    link_to: Path | None = None
    """It is a symbolic link, and has no content."""

    def is_there(self) -> bool:
        """Tell whether nothing is to be done."""
        if self.link_to is not None:
            return self.path.is_symlink() and self.path.readlink() == self.link_to
        return present(self.path) == self.content

    def diff(self) -> str:
        """Show what would change, in the unified form of diff."""
        if self.link_to is not None:
            return f"link {self.path} -> {self.link_to}\n"
        before = present(self.path)
        old = (before or b"").decode(errors="replace").splitlines(keepends=True)
        new = self.content.decode(errors="replace").splitlines(keepends=True)
        name = str(self.path)
        return "".join(
            difflib.unified_diff(old, new, "/dev/null" if before is None else name, name)
        )


def for_machine(version: tuple[int, int], settings: sshd.Settings) -> list[Change]:
    """List what the machine's own sshd needs, in the order in which it is safe to write it.

    A file comes after those that it names. Up to 9.7 /etc/pam.d/sshd is edited; from 9.8 on sshd
    is given a service of our own.
    """
    changes = [*_companions()]
    drop_in = layout.SHIPPED_DROP_IN.read_text()
    if version >= sshd.NAMES_ITS_PAM_SERVICE:
        changes.append(_derived_service())
        drop_in = _with(drop_in, f"#PAMServiceName {layout.PAM_SERVICE}", uncommented=True)
    else:
        changes.append(_edited_service())
    if _machine_turns_it_off(settings):
        # Keyboard-interactive does without it.
        drop_in = _with(drop_in, "PasswordAuthentication yes", uncommented=False)
    return [*changes, Change(layout.DROP_IN, drop_in.encode())]


def for_own_sshd(version: tuple[int, int], settings: sshd.Settings, port: int) -> list[Change]:
    """List what an sshd of our own needs on a port of its own."""
    names_service = version >= sshd.NAMES_ITS_PAM_SERVICE
    text = _OWN_SSHD.format(
        file=layout.OWN_SSHD_CONFIG,
        port=port,
        host_keys="\n".join(f"HostKey {key}" for key in settings.get("hostkey", [])),
        service=f"PAMServiceName {layout.PAM_SERVICE}\n" if names_service else "",
    )
    return [
        *_companions(),
        _derived_service(),
        Change(layout.OWN_SSHD, b"", link_to=sshd.PROGRAM),
        Change(layout.OWN_SSHD_CONFIG, text.encode()),
    ]


def present(path: Path) -> bytes | None:
    """Read what is there; None if nothing is. RefusedError for what is no plain file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        message = f"{path} is not a plain file: sftp-mfa would not put it back as it was"
        raise RefusedError(message)
    return path.read_bytes() if path.exists() else None


def _companions() -> Iterator[Change]:
    for name in ("sftp-mfa-refused", "sftp-mfa-gate", "sftp-mfa-web"):
        yield Change(layout.PAM_SERVICES / name, (layout.SHIPPED_PAM / name).read_bytes())
    if layout.FILTERS.is_dir():
        yield Change(layout.FILTER, layout.SHIPPED_FILTER.read_bytes())


def _edited_service() -> Change:
    return Change(layout.SSHDS_SERVICE, _stack().encode("utf-8", "surrogateescape"), is_edited=True)


def _derived_service() -> Change:
    path = layout.PAM_SERVICES / layout.PAM_SERVICE
    text = _DERIVED.format(file=path, source=layout.SSHDS_SERVICE) + _stack()
    return Change(path, text.encode("utf-8", "surrogateescape"))


def _stack() -> str:
    machines = present(layout.SSHDS_SERVICE)
    if machines is None:
        message = f"{layout.SSHDS_SERVICE} is missing: install the openssh-server package"
        raise RefusedError(message)
    shipped = (layout.SHIPPED_PAM / layout.PAM_SERVICE).read_text()
    try:
        return pam_lines.put_in(machines.decode("utf-8", "surrogateescape"), shipped)
    except RefusedError as error:
        message = f"{layout.SSHDS_SERVICE}: {error}"
        raise RefusedError(message) from error


def _machine_turns_it_off(settings: sshd.Settings) -> bool:
    """Tell whether the `password` method is off, or was before our drop-in was written."""
    if layout.DROP_IN.exists():
        return "\n#PasswordAuthentication yes\n" in layout.DROP_IN.read_text()
    return sshd.value(settings, "passwordauthentication") == "no"


def _with(drop_in: str, line: str, *, uncommented: bool) -> str:
    """Put a line of the drop-in into force, or out of it."""
    other = line.removeprefix("#") if uncommented else f"#{line}"
    if f"\n{line}\n" not in drop_in:
        message = f"{layout.SHIPPED_DROP_IN} has no line {line!r}: install the package again"
        raise RefusedError(message)
    return drop_in.replace(f"\n{line}\n", f"\n{other}\n")
