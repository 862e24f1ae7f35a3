"""The two accounts of the proof, which nobody else can use."""

import pwd
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from scripts.host.programs import attempt, run
from scripts.host.service_manager import ServiceManager
from scripts.installation.errors import RefusedError
from scripts.installation.layout import MFA_USER, PLAIN_USER

NAMES = (PLAIN_USER, MFA_USER)
_MARK = "made by sftp-mfa install, removed at its end"
_DAYS = 2
"""If nobody removed them they would be of no use after that."""


def make(manager: ServiceManager) -> dict[str, str]:
    """Make them, with a random password each; the accounts' passwords by their names."""
    remove(manager)
    remaining = [name for name in NAMES if _entry(name) is not None]
    if remaining:
        message = f"there is an account {remaining[0]}, not made by this command: remove it"
        raise RefusedError(message)
    end = (datetime.now(UTC) + timedelta(days=_DAYS)).strftime("%Y-%m-%d")
    passwords = {}
    for name in NAMES:
        run(
            [
                *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/"),
                *("--shell", "/usr/sbin/nologin", "--expiredate", end, "--comment", _MARK, name),
            ]
        )
        passwords[name] = secrets.token_urlsafe(24)
    # Not by PAM, whose rules for passwords are for those that people make up.
    given = "".join(f"{name}:{password}\n" for name, password in passwords.items())
    run(["chpasswd", "--crypt-method", "YESCRYPT"], given=given)
    return passwords


def remove(manager: ServiceManager) -> None:
    """Remove those of them that are there; HostError if one stays."""
    for name in NAMES:
        entry = _entry(name)
        if entry is None or entry.pw_gecos != _MARK:
            continue
        manager.forget_user(entry.pw_uid)
        # It names a mail spool that is missing, and a process that is about to end, as errors.
        attempt(["userdel", "--force", name])
        if _entry(name) is not None:
            run(["userdel", "--force", name])


def _entry(name: str) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    return None
