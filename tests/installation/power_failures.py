"""Runs in the system under test: each machine that a power failure would have left, one by one.

    power_failures.py FOLDER CONTENTS LOG_IN

FOLDER has a folder for each command, with what at_steps.py kept in it. The other two are
scripts. One JSON object a line tells of each: what sshd says of its configuration, whether somebody
without MFA gets in (once where it reads the same), and what is there after `recover-install`, and
after `uninstall` where something is installed then.
"""

import ctypes
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from scripts.installation.commands import recover_command, uninstall_command

_NEW_MOUNTS, _BIND, _PRIVATE = 0x00020000, 0x1000, 0x44000
"""CLONE_NEWNS, MS_BIND, MS_REC | MS_PRIVATE: unshare(2), mount(2)."""
_BACKUPS = Path("/var/backups/sftp-mfa")
_WHAT_SSHD_READS = (Path("/etc/pam.d"), Path("/etc/ssh/sshd_config.d"))
_libc = ctypes.CDLL(None, use_errno=True)


def main(folder: Path, contents: str, log_in: str) -> None:
    """Look at all of them."""
    seen: set[str] = set()
    for state in sorted(folder.glob("*/*")):
        kind = _digest(state)
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            _enter(state)
            os.write(writing, json.dumps(_look(contents, "" if kind in seen else log_in)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            sys.stdout.write(
                json.dumps(
                    {"step": f"{state.parent.name}: {state.name}", **json.loads(pipe.read())}
                )
                + "\n"
            )
        os.wait()
        seen.add(kind)


def _look(contents: str, log_in: str) -> dict[str, object]:
    found: dict[str, object] = {"sshd": _shell("/usr/sbin/sshd -t")}
    if log_in:
        found["login"] = _shell(log_in)
    found["journal"] = (_BACKUPS / "unfinished.json").exists()
    found["recovered"] = _run(recover_command)
    found["after"] = _shell(contents)
    found["installed"] = (_BACKUPS / "state.json").exists()
    if found["installed"]:
        found["uninstalled"] = _run(uninstall_command)
        found["after"] = _shell(contents)
    found["left"] = sorted(path.name for path in _BACKUPS.glob("*.json"))
    return found


def _run(command: click.Command) -> object:
    try:
        command.main([], prog_name="sftp-mfa")
    except SystemExit as error:
        return error.code
    return None


def _shell(script: str) -> str:
    ended = subprocess.run(
        ["/bin/sh", "-euc", script], capture_output=True, text=True, check=False, timeout=60
    )
    return ended.stdout + ended.stderr


def _digest(state: Path) -> str:
    """Tell apart what sshd and libpam read; they read no name that begins with a dot."""
    found = hashlib.sha256()
    for folder in _WHAT_SSHD_READS:
        for file in sorted((state / folder.relative_to("/")).glob("[!.]*")):
            found.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def _enter(state: Path) -> None:
    """See its files in the place of the system's."""
    _must(_libc.unshare(_NEW_MOUNTS))
    _must(_libc.mount(b"none", b"/", None, _PRIVATE, None))
    for path in _kept():
        source = bytes(state / path.relative_to("/"))
        _must(_libc.mount(source, bytes(path), None, _BIND, None))


def _kept() -> Iterator[Path]:
    yield Path("/etc")
    yield _BACKUPS


def _must(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
