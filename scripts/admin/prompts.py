"""Asks a person, at the terminal that the command was started from, whatever its input is."""

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scripts.admin.administration import AccessError
from store.secret import Secret

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def is_possible() -> bool:
    """Tell whether there is a terminal."""
    try:
        with open("/dev/tty", "rb+", buffering=0):  # noqa: PTH123 - no Path opens it so
            return True
    except OSError:
        return False


def ask(prompt: str) -> Secret:
    """Ask for a secret without showing it; the terminal is left as it was, however this ends.

    AccessError where nothing is given (Ctrl-D, or an empty line).
    """
    with _ended_orderly():
        try:
            answer = getpass.getpass(prompt)
        except EOFError:
            print(file=sys.stderr)  # noqa: T201 - the cursor stands behind the prompt
            answer = ""
        except UnicodeDecodeError:
            message = "what was typed is not UTF-8: set the terminal to UTF-8"
            raise AccessError(message) from None  # the error of Python has what was typed
    if not answer:
        message = "nothing was given"
        raise AccessError(message)
    return Secret.of(answer)


@contextmanager
def _ended_orderly() -> Iterator[None]:
    """Turn signals that end a process at once into an exception, so that getpass cleans up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in _ENDING}
    # Ctrl-Z would give the shell a terminal that shows nothing; it counts for nothing here.
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
