"""Running other programs, and telling a person what goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scripts.demonstration.processes import ENVIRONMENT, GATE, GO, Process, end

_SECONDS = 600
_LINES = 15


class QuickstartError(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def say(text: str) -> None:
    """Tell the person who waits, if the terminal is still there; standard output is for results."""
    with suppress(OSError):
        sys.stderr.write(f"quickstart: {text}\n")
        sys.stderr.flush()


def run(*argv: str | Path, given: str = "", environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and give what it printed; QuickstartError if it fails.

    It has a session of its own: Ctrl-C reaches this program, which then ends the other and all
    that it started. It does not begin before this one is ready for that.
    """
    with subprocess.Popen(  # noqa: S603 - the callers' lists are constant or checked
        [*GATE, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        cwd="/",
        env=ENVIRONMENT if environment is None else environment,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(f"{GO}{given}", timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            _end(process.pid)
            message = f"{argv[0]} was still running after {_SECONDS} s"
            raise QuickstartError(message) from error
        except BaseException:
            _end(process.pid)
            raise
    if process.returncode != 0:
        raise QuickstartError(_failure(argv, errors or output))
    return output


def _end(pid: int) -> None:
    """End a program with all that it started, and see them gone: their folder may go next."""
    program = Process.of(pid)
    try:
        if program is not None:
            end([program])
    finally:
        os.killpg(pid, signal.SIGKILL)  # also who has lost its parent, or who is not waited for


def callers_environment() -> dict[str, str]:
    """Give the caller's variables (proxies, pip's settings) without those that lead Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def last_lines(text: str) -> str:
    """Give the end of an output, indented."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-_LINES:])


def _failure(argv: Sequence[str | Path], output: str) -> str:
    return f"{' '.join(map(str, argv))} failed:\n{last_lines(output)}"
