"""Running the machine's own programs."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.host.errors import HostError

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""Nothing of the caller's own settings reaches a program."""

_SECONDS = 60
_LONGEST = 300


def attempt(
    argv: Sequence[str | Path],
    *,
    given: str = "",
    user: str | None = None,
    group: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, whatever that is; HostError if it is missing or takes a minute.

    As `user` it has only that user's group: `group`.
    """
    try:
        return subprocess.run(  # noqa: S603 - the callers' lists are constant or checked
            argv,
            input=given,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
            timeout=_SECONDS,
            cwd="/",
            env=ENVIRONMENT,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    except OSError as error:
        message = f"{argv[0]}: {error.strerror}"
        raise HostError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{argv[0]} was still running after {_SECONDS} s"
        raise HostError(message) from error


def run(
    argv: Sequence[str | Path],
    *,
    given: str = "",
    user: str | None = None,
    group: int | None = None,
) -> str:
    """Run a program and give what it printed; HostError if it fails."""
    ended = attempt(argv, given=given, user=user, group=group)
    if ended.returncode != 0:
        message = f"{argv[0]} failed: {one_line(ended.stderr or ended.stdout)}"
        raise HostError(message)
    return ended.stdout


def one_line(text: str) -> str:
    """Fold an output into one line that is not too long."""
    return " ".join(text.split())[:_LONGEST]
