"""The machine around: what was installed and what became of it, other doors, operators' road."""

import grp
import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scripts.doctor import stack
from scripts.doctor.findings import Finding, broken, info, ok, risk
from scripts.host import sshd
from scripts.host.errors import HostError
from scripts.installation import files, layout, pam_lines
from scripts.installation.state import State, unfinished

_LEFT_BY_PACKAGES = (".dpkg-dist", ".dpkg-new", ".ucf-dist")
_REMEDY = "`sftp-mfa install --dry-run` shows the difference, `sftp-mfa install` mends it"


def look_at_files(installed: State | None) -> Iterator[Finding]:
    """Compare what was written with what is there."""
    if unfinished() is not None:
        yield broken(
            "installation",
            "an installation was ended before its end",
            "`sftp-mfa recover-install` puts everything back",
        )
        return
    if installed is None:
        text = "`sftp-mfa install` has not been run here: there is nothing to compare files with"
        yield info("installation", text)
        return
    written = installed.written.items()
    changed = [Path(name) for name, content in written if files.digest(Path(name)) != content]
    for path in changed:
        yield _what_became_of(path)
    if not changed:
        yield ok("files", "all files are as `sftp-mfa install` has written them")
    for name in installed.written:
        for end in _LEFT_BY_PACKAGES:
            if Path(name + end).exists():
                text = f"{name}{end}: a package has a new version of this file"
                yield info("files.package", text, "compare them, and run `sftp-mfa install` again")


def _what_became_of(path: Path) -> Finding:
    if not path.exists():
        return broken("files.missing", f"{path}, which was written, is gone", _REMEDY)
    if path == layout.SSHDS_SERVICE and not pam_lines.has_ours(path.read_text(errors="replace")):
        text = f"{path} was written anew, by a package perhaps, and our lines are gone"
        return broken("files.rewritten", text, _REMEDY)
    text = f"{path} was changed since it was written"
    return risk("files.changed", text, f"{_REMEDY} (--overwrite-changed)")


def look_at_sshds(own: Path) -> Iterator[Finding]:
    """Look for sshds beside the one that sftp-mfa is installed for.

    One whose command line has settings is not as its configuration says, and so another one.
    """
    others = [one for one in sshd.listeners() if one.config != own or one.options]
    for one in others:
        ports = ", ".join(sorted({str(port) for _, port in one.sockets})) or "?"
        name = " ".join([str(one.config), *(f"-o {option}" for option in one.options)])
        if not _asks_for_codes(one):
            yield risk(
                "sshd.other",
                f"another sshd ({name}, port {ports}) takes the password alone, MFA or not",
                "give it our PAM service, or let it take public keys only, or stop it; if it is "
                "meant so: `--accept sshd.other`",
            )
        else:
            yield ok("sshd.other", f"another sshd ({name}, port {ports}) asks for codes too")


def look_at_break_glass(settings: sshd.Settings) -> Iterator[Finding]:
    """Look whether an operator gets in when nothing else works."""
    remedy = f"gpasswd --add NAME {layout.BREAK_GLASS}, and a key into ~NAME/.ssh/authorized_keys"
    try:
        members = grp.getgrnam(layout.BREAK_GLASS).gr_mem
    except KeyError:
        members = []
    if not members:
        text = f"nobody is in the group {layout.BREAK_GLASS}: if the helper fails, only the console"
        yield risk("break-glass", f"{text} is left", remedy)
        return
    with_keys = [name for name in members if _has_keys(name)]
    if sshd.value(settings, "pubkeyauthentication") == "no":
        text = f"the group {layout.BREAK_GLASS} needs public keys, which sshd does not take"
        yield risk("break-glass", text, "`PubkeyAuthentication yes` in a `Match Group` for it")
    elif not with_keys:
        text = f"nobody of the group {layout.BREAK_GLASS} has a public key in their home"
        yield risk("break-glass", text, remedy)
    else:
        yield ok("break-glass", f"{', '.join(with_keys)} get in by public key whatever happens")


def _asks_for_codes(other: sshd.Listener) -> bool:
    """Tell whether passwords lead to codes there, or are not taken at all."""
    try:
        settings = sshd.settings(other.config, options=other.options)
    except HostError:
        return False
    methods = ("passwordauthentication", "kbdinteractiveauthentication")
    if all(sshd.value(settings, method) == "no" for method in methods):
        return True
    service = sshd.pam_service(settings, other.program)
    return sshd.value(settings, "usepam") == "yes" and stack.asks_for_code(service)


def _has_keys(name: str) -> bool:
    with suppress(KeyError, OSError):
        file = Path(pwd.getpwnam(name).pw_dir, ".ssh", "authorized_keys")
        return file.stat().st_size > 0
    return False
