"""Names of unfinished files, which prove what they are parts of.

A name is an HMAC, under a key of the user's, of everything that makes a source what it is: nobody
else can foresee it, and a part of another source, or of an older version, has another name.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

PREFIX = b".sftp-mfa-"
SUFFIX = b".part"
_KEY_SIZE = 32


class PartNames:
    """Makes the names for one server and user."""

    def __init__(self, server: str) -> None:
        """Read the user's key, or make it; without a home, names last as long as this process."""
        self._server = server.encode()
        self._key = _key(_file())

    def name(self, *facts: bytes | int | None) -> bytes:
        """Return the name of the part of a source that these facts describe."""
        said = [self._server, *(b"%a" % fact for fact in facts)]
        digest = hmac.digest(self._key, b"\0".join(said), hashlib.sha256)
        return PREFIX + digest[:16].hex().encode("ascii") + SUFFIX


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    return folder / "sftp-mfa" / "parts.key"


def _key(file: Path) -> bytes:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, flags, 0o600), "r+b") as opened:
            found = os.fstat(opened.fileno())
            key = opened.read(_KEY_SIZE)
            if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
                if len(key) == _KEY_SIZE:
                    return key
                key = secrets.token_bytes(_KEY_SIZE)
                opened.seek(0)
                opened.write(key)
                return key
    except (OSError, RuntimeError):
        pass
    return secrets.token_bytes(_KEY_SIZE)
