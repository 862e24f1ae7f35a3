"""Unix accounts of the sandbox's own /etc."""

import pwd
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.sandbox import exclusively

_CHPASSWD = ("chpasswd", "--crypt-method", "YESCRYPT", "--sha-rounds")


@dataclass(frozen=True, slots=True)
class Account:
    """A user that can log in."""

    name: str
    password: str = field(repr=False)
    uid: int
    home: Path


class Accounts:
    """The accounts that one test made."""

    def __init__(self) -> None:
        """Start without any."""
        self._names: list[str] = []

    def make(
        self,
        *,
        name: str | None = None,
        password: str | None = None,
        groups: Iterable[str] = (),
        shell: str = "/bin/sh",
        hash_cost: int = 1,
    ) -> Account:
        """Make an account with a name and a password of its own, and the groups that it needs.

        A check of its password costs a millisecond or two; with the system's cost of 5, nearly 50.
        """
        name = name or f"u{secrets.token_hex(5)}"
        password = password or secrets.token_urlsafe(12)
        wanted = sorted(groups)
        with exclusively("accounts"):
            for group in wanted:
                _run("groupadd", "--force", group)
            _run("useradd", "--create-home", "--shell", shell, "--groups", ",".join(wanted), name)
            _run(*_CHPASSWD, str(hash_cost), given=f"{name}:{password}\n")
        self._names.append(name)
        entry = pwd.getpwnam(name)
        return Account(name, password, entry.pw_uid, Path(entry.pw_dir))

    def forget(self, account: Account) -> None:
        """Delete an account and its home."""
        self._names.remove(account.name)
        _delete(account.name)

    def forget_all(self) -> None:
        """Delete what is left."""
        while self._names:
            _delete(self._names.pop())


def _delete(name: str) -> None:
    with exclusively("accounts"):
        _run("userdel", "--force", "--remove", name)


def _run(*argv: str, given: str = "") -> None:
    done = subprocess.run(argv, input=given, text=True, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
