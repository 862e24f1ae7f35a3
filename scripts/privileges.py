"""Root only as long as needed: commands go on as the service's user."""

import grp
import os
import pwd
from pathlib import Path

from scripts import memory
from store.settings import Settings


class PrivilegeError(Exception):
    """The command cannot run as who called it; the text says what to do."""


def service_account(settings: Settings) -> pwd.struct_passwd:
    """Look up the user that the services run as."""
    try:
        return pwd.getpwnam(settings.service.user)
    except KeyError as error:
        message = f"service.user: there is no user {settings.service.user!r} on this host"
        raise PrivilegeError(message) from error


def become_service(settings: Settings) -> None:
    """Give up root for the service's user, whose files the store's are; else must be that user."""
    account = service_account(settings)
    if os.geteuid() == 0 and account.pw_uid != 0:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        memory.keep_private()  # the kernel has set it anew
    elif os.geteuid() != account.pw_uid:
        message = f"run this as root or as {account.pw_name}"
        raise PrivilegeError(message)
    os.umask(0o077)
    os.chdir("/")


def make_folder(path: Path, settings: Settings, mode: int) -> None:
    """As root, make a folder of the service's user where it is missing."""
    if os.geteuid() != 0 or path.exists():
        return
    account = service_account(settings)
    path.mkdir(mode=mode)
    os.chown(path, account.pw_uid, grp.getgrgid(account.pw_gid).gr_gid)


def require_root() -> None:
    """Make sure that root runs this command."""
    if os.geteuid() != 0:
        message = "run this as root"
        raise PrivilegeError(message)
