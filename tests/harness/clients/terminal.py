"""A program in a pseudo-terminal, answered as a person at a keyboard would answer it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect  # type: ignore[import-untyped]  # it ships no types

from harness.clients.common import TIMEOUT, Answer, Outcome, text_of

_QUIET = 0.03  # a prompt is written in one piece; nothing more comes until it is answered


def converse(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    answers: Sequence[Answer],
    *,
    ready: str,
    errands: Sequence[str],
) -> Outcome:
    """Start a program, answer its prompts and, once it is ready, type the errands."""
    terminal = _Terminal(argv, environment)
    started = time.monotonic()
    is_in = terminal.log_in(answers, ready)
    seconds = time.monotonic() - started
    if is_in:
        for line in errands:
            terminal.type(line)
        terminal.read_to_the_end()
    code = terminal.hang_up()
    return Outcome(is_in, tuple(terminal.prompts), terminal.output, code, seconds)


class _Terminal:
    """A running program and all that its screen has shown."""

    def __init__(self, argv: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        program, *arguments = map(str, argv)
        self.prompts: list[str] = []
        self._shown = b""
        self._since_answer = b""
        self._has_ended = False
        self._child = pexpect.spawn(program, arguments, env=dict(environment), dimensions=(50, 400))
        self._child.delaybeforesend = None
        self._deadline = time.monotonic() + TIMEOUT

    @property
    def output(self) -> str:
        return self._shown.decode(errors="backslashreplace")

    def log_in(self, answers: Sequence[Answer], ready: str) -> bool:
        """Answer the prompts in turn; tell whether the program then said that it is ready."""
        left = list(answers)
        while self._reaches_prompt(ready.encode()) and left:
            self.type(text_of(left.pop(0)))
        return self._since_answer.endswith(ready.encode())

    def type(self, line: str) -> None:
        self._since_answer = b""
        self._child.sendline(line)

    def read_to_the_end(self) -> None:
        while not self._has_ended:
            self._read()

    def hang_up(self) -> int | None:
        """Close the window and return the exit code, which a program that was cut off has not."""
        self._child.close(force=True)
        code: int | None = self._child.exitstatus
        return code

    def _reaches_prompt(self, ready: bytes) -> bool:
        """Read up to a prompt without echo, or else the program's readiness or end."""
        while not self._has_ended:
            is_quiet = not self._read()
            if self._since_answer.endswith(ready):
                return False
            # Each starts with a carriage return of ssh's own.
            asked = self._since_answer.rpartition(b"\n")[2].removeprefix(b"\r")
            if is_quiet and asked and not self._child.getecho():
                self.prompts.append(asked.decode(errors="backslashreplace"))
                return True
        return False

    def _read(self) -> bytes:
        """Return what comes within a moment."""
        if time.monotonic() > self._deadline:
            self.hang_up()
            message = f"still running after {TIMEOUT} s:\n{self.output}"
            raise TimeoutError(message)
        data = b""
        try:
            data = self._child.read_nonblocking(65_536, timeout=_QUIET)
        except pexpect.EOF:
            self._has_ended = True
        except pexpect.TIMEOUT:
            pass
        self._shown += data
        self._since_answer += data
        return data
