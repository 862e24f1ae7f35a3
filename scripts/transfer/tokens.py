"""Access tokens: from the environment, a file, the keyring or standard input; never an argument."""

import os
import re
import stat
import sys
from pathlib import Path

from scripts.transfer.errors import local_error
from scripts.transfer.names import show

VARIABLE = "SFTP_MFA_TOKEN"
KEYRING_SERVICE = "sftp-mfa-cli"
_FORM = re.compile(r"smfa_[0-9A-Za-z]{57}")
_LONGEST = 1024
_KEYRING = "keyring"
_STDIN = "standard input"


def from_environment() -> str | None:
    """Take the token out of the environment, so that no program that we start inherits it."""
    text = os.environ.pop(VARIABLE, None)
    return None if text is None else _checked(text, VARIABLE)


def from_file(path: Path) -> str:
    """Read a token from a regular file of the caller's that nobody else can read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise local_error(str(path), f"cannot read the token: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        _require_private(os.fstat(descriptor), str(path))
        text = file.read(_LONGEST + 1)
    return _checked(text.decode("ascii", errors="replace"), str(path))


def from_standard_input() -> str:
    """Read a token from standard input, which is no terminal."""
    if sys.stdin.isatty():
        what = "is a terminal, which would show the token: pipe it in, or use --token-file"
        raise local_error(_STDIN, what)
    line = sys.stdin.buffer.readline(_LONGEST + 1)
    return _checked(line.decode("ascii", errors="replace"), _STDIN)


def from_keyring(account: str) -> str:
    """Read a token from the system's keyring; `account` is user@host, with the port if not 22."""
    import keyring  # noqa: PLC0415 - slow to import, and seldom used
    import keyring.errors  # noqa: PLC0415

    try:
        text = keyring.get_password(KEYRING_SERVICE, account)
    except (keyring.errors.KeyringError, OSError, RuntimeError) as error:
        raise local_error(_KEYRING, show(str(error))) from error
    if text is None:
        command = f"keyring set {KEYRING_SERVICE} {account}"
        raise local_error(_KEYRING, f"there is no token: run `{command}`")
    return _checked(text, _KEYRING)


def _require_private(found: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise local_error(name, "the token is not in a regular file")
    if found.st_uid != os.geteuid():
        raise local_error(name, "the file of the token is not yours: who put it there?")
    if found.st_mode & 0o077:
        raise local_error(name, "others can read the token: run `chmod 600` on it")


def _checked(text: str, source: str) -> str:
    token = text.strip()
    if not _FORM.fullmatch(token):
        raise local_error(source, "no access token: that is smfa_ and 57 letters and digits")
    return token
