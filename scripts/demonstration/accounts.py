"""The accounts that the quickstart adds: one to log in with, and the services' own if missing.

An account is the quickstart's if its home is in the quickstart's folder. That holds however far
a start got, and nobody else's account can be taken for one of them.
"""

import os
import pwd
import secrets
from pathlib import Path

from scripts.demonstration import processes
from scripts.demonstration.commands import QuickstartError, run, say
from scripts.demonstration.layout import (
    ADMIN_ACCOUNT,
    ADMIN_GROUP,
    ADMIN_HOME,
    DEMO_ACCOUNT,
    HOME,
    PLACE,
    SERVICE_HOME,
    SERVICE_USER,
)

_INSTALLATION = Path("/etc/sftp-mfa")
_SYSTEMD = Path("/run/systemd/system")
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _GROUP_LENGTH = 4, 5
_NO_SHELL = "/usr/sbin/nologin"


def make_service_user() -> None:
    """Add the user that the services run as, unless the machine has it."""
    if find(SERVICE_USER) is None:
        _add(SERVICE_USER, SERVICE_HOME)


def make_demo_account() -> str:
    """Add the account to log in with, and give its password, a new one at each start."""
    return _make(DEMO_ACCOUNT, HOME)


def make_administrator() -> str:
    """Add the account that administers on the web pages, and give its password."""
    password = _make(ADMIN_ACCOUNT, ADMIN_HOME)
    run("groupadd", "--system", "--force", ADMIN_GROUP)
    run("gpasswd", "--add", ADMIN_ACCOUNT, ADMIN_GROUP)
    return password


def _make(name: str, home: Path) -> str:
    if find(name) is not None:
        message = f"this machine has an account {name}, not made by this script: remove it"
        raise QuickstartError(message)
    _add(name, home)
    entry = pwd.getpwnam(name)
    home.mkdir(mode=0o700)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    password = _random_password()
    run("chpasswd", given=f"{name}:{password}\n")
    return password


def remove() -> None:
    """Remove the accounts that the quickstart added."""
    run("/bin/sh", "-c", 'groupdel "$1" 2>/dev/null || :', "sh", ADMIN_GROUP)
    for name in (DEMO_ACCOUNT, ADMIN_ACCOUNT, SERVICE_USER):
        entry = find(name)
        if entry is None or not Path(entry.pw_dir).is_relative_to(PLACE):
            continue
        if name == SERVICE_USER and _INSTALLATION.exists():
            say(f"the user {name} stays: {_INSTALLATION} was made meanwhile, which relies on it")
            continue
        _end_processes(entry)
        run("userdel", "--force", name)  # also where a container has processes of that number


def find(name: str) -> pwd.struct_passwd | None:
    """Look an account up."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _add(name: str, home: Path) -> None:
    run("useradd", "--system", "--home-dir", str(home), "--shell", _NO_SHELL, name)


def _end_processes(entry: pwd.struct_passwd) -> None:
    if _SYSTEMD.exists():
        # It keeps a service manager and a folder for a user who logged in. No session: an error.
        run("/bin/sh", "-c", 'loginctl terminate-user "$1" 2>/dev/null || :', "sh", entry.pw_name)
    processes.end(processes.of_user(entry.pw_uid))


def _random_password() -> str:
    """Make one of 115 bits that can be typed; it never looks like one with a code at its end."""
    groups = [
        "".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    ]
    return "-".join(groups)
