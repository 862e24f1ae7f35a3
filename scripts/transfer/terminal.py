"""Questions on the user's terminal, as ssh asks them: on /dev/tty, whatever is piped."""

import asyncio
import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scripts.transfer.names import show

_LONGEST_LINE = 4096
Modes = list[int | list[bytes | int]]


class NoTerminalError(Exception):
    """There is nobody to ask."""


class GivenUpError(Exception):
    """The user ended the input instead of answering."""


class NotTextError(Exception):
    """What was typed is not UTF-8, which passwords are sent in (RFC 4252, 8)."""


class Terminal:
    """The terminal of this process; its modes are as before whenever no question is open."""

    def __init__(self, *, may_ask: bool) -> None:
        """Do not touch it yet; ask nothing at all unless that is allowed."""
        self._may_ask = may_ask

    async def ask(self, prompt: str, *, echo: bool = False) -> str:
        """Show a prompt, which may come from a server, and return the line that is typed.

        Raises NoTerminalError if nobody can be asked, GivenUpError at the end of input,
        NotTextError for what is not UTF-8.
        """
        with self._opened() as tty, _modes(tty, echo=echo) as reset:
            question = show(prompt)
            _write(tty, question)
            line = b""
            try:
                with _stops(tty, reset, question):
                    line = await _read_line(tty)
            finally:  # whatever is said next stands on a line of its own
                if not echo or not line.endswith(b"\n"):
                    _write(tty, "\n")
        if not line:
            raise GivenUpError
        try:
            return line.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            raise NotTextError from None  # the error of Python has what was typed

    def tell(self, text: str) -> None:
        """Show what a server says, line by line, if there is a terminal."""
        with suppress(NoTerminalError), self._opened() as tty:
            for line in text.splitlines():
                _write(tty, f"{show(line)}\n")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if not self._may_ask:
            raise NoTerminalError
        try:
            tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise NoTerminalError from error
        try:
            yield tty
        finally:
            os.close(tty)


class _Reset:
    """Two states of a terminal to change between."""

    def __init__(self, tty: int, *, echo: bool) -> None:
        self._tty = tty
        self._before: Modes = termios.tcgetattr(tty)
        self._asking: Modes = termios.tcgetattr(tty)
        if not echo:
            local = self._asking[3]
            assert isinstance(local, int)  # noqa: S101 - termios says so; for the type checker
            self._asking[3] = local & ~termios.ECHO & ~termios.ECHONL

    def to_asking(self) -> None:
        # What was typed before the question was there is no answer to it.
        termios.tcsetattr(self._tty, termios.TCSAFLUSH, self._asking)

    def to_before(self) -> None:
        termios.tcsetattr(self._tty, termios.TCSADRAIN, self._before)


@contextmanager
def _modes(tty: int, *, echo: bool) -> Iterator[_Reset]:
    reset = _Reset(tty, echo=echo)
    try:
        reset.to_asking()
        yield reset
    finally:
        with suppress(termios.error):  # the terminal has gone
            reset.to_before()


@contextmanager
def _stops(tty: int, reset: _Reset, question: str) -> Iterator[None]:
    """Let Ctrl-Z stop the program with the terminal as it was, and ask again when it goes on."""

    def stop() -> None:
        reset.to_before()
        os.kill(os.getpid(), signal.SIGSTOP)
        reset.to_asking()
        _write(tty, question)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)


async def _read_line(tty: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(tty, readable.set)
    try:
        await readable.wait()
        return os.read(tty, _LONGEST_LINE)  # a terminal gives one line, or nothing at its end
    finally:
        loop.remove_reader(tty)


def _write(tty: int, text: str) -> None:
    data = text.encode("utf-8", errors="backslashreplace")
    with suppress(OSError):  # the terminal has gone
        while data:
            data = data[os.write(tty, data) :]
