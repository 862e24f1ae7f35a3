"""The logins that the start makes by itself: OpenSSH's sftp at a terminal, as a person has it."""

import os
import pty
import secrets
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum

from scripts.demonstration.factors import Authenticator, Token
from scripts.demonstration.layout import DEMO_ACCOUNT, HOST, KNOWN_HOSTS, PLACE
from scripts.demonstration.processes import ENVIRONMENT
from scripts.demonstration.record import Login

_PATIENCE = 90.0
_SENT, _RETURNED, _REMOTE = PLACE / "check.sent", PLACE / "check.returned", "check"
_ERRANDS = f"put {_SENT} {_REMOTE}\nget {_REMOTE} {_RETURNED}\nrm {_REMOTE}\nbye\n"
_SIZE = 100_000
_READY = "sftp> "

Answers = Sequence[tuple[str, Callable[[], str]]]
"""The end of each prompt, and what gives the answer when it is there."""


class Outcome(StrEnum):
    """How a login ended."""

    IN = "let in: a file went up and came back"
    REFUSED = "refused"
    OTHER = "neither let in nor refused"


class UnexpectedOutcomeError(Exception):
    """A login ended in another way than it must; the text shows the terminal."""


def check(port: int, password: str, authenticator: Authenticator, token: Token) -> list[Login]:
    """Log in with password and code, with the password alone and with the token."""
    interactive, plain = "keyboard-interactive", "password"
    with_code = (("Password: ", lambda: password), ("Verification code: ", authenticator.code))
    alone = (("'s password: ", lambda: password),)
    with_token = (("Password: ", lambda: token.text),)
    return [
        _expect(Outcome.IN, "password and code", port, interactive, with_code),
        _expect(Outcome.REFUSED, "password alone", port, plain, alone),
        _expect(Outcome.IN, "access token", port, interactive, with_token),
    ]


def _expect(expected: Outcome, what: str, port: int, method: str, answers: Answers) -> Login:
    started = time.monotonic()
    terminal = Terminal(_sftp(port, method))
    try:
        outcome = _log_in(terminal, answers)
        seconds = time.monotonic() - started
        if outcome is Outcome.IN:
            outcome = _transfer(terminal)
    finally:
        terminal.close()
    if outcome is not expected:
        message = f"{what}: {outcome}, expected: {expected}\n{terminal.shown.strip()}"
        raise UnexpectedOutcomeError(message)
    return Login(what, outcome, round(seconds, 2))


def _log_in(terminal: "Terminal", answers: Answers) -> Outcome:
    """Answer the prompts; a refusal without having asked anything is none."""
    answered = 0
    for prompt, answer in answers:
        if terminal.read_to(prompt, _READY) != prompt:
            break
        terminal.type(f"{answer()}\n")
        answered += 1
    if answered == len(answers) and terminal.read_to(_READY) == _READY:
        return Outcome.IN
    return Outcome.REFUSED if answered and "Permission denied" in terminal.shown else Outcome.OTHER


def _transfer(terminal: "Terminal") -> Outcome:
    _SENT.write_bytes(secrets.token_bytes(_SIZE))
    terminal.type(_ERRANDS)
    terminal.read_to()
    is_same = _RETURNED.exists() and _RETURNED.read_bytes() == _SENT.read_bytes()
    for file in (_SENT, _RETURNED):
        file.unlink(missing_ok=True)
    return Outcome.IN if is_same else Outcome.OTHER


def _sftp(port: int, method: str) -> list[str]:
    options = [
        f"Port={port}",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={KNOWN_HOSTS}",
        "GlobalKnownHostsFile=/dev/null",
        f"PreferredAuthentications={method}",
        "NumberOfPasswordPrompts=1",
        "IdentityAgent=none",
        "ConnectTimeout=30",
    ]
    given = [f"-o{option}" for option in options]
    return ["/usr/bin/sftp", "-F", "/dev/null", *given, f"{DEMO_ACCOUNT}@{HOST}"]


class Terminal:
    """A program at a terminal of its own, and all that its screen has shown."""

    def __init__(self, argv: list[str]) -> None:
        """Start the program; it has a bounded time for all that it does."""
        self.shown = ""
        self._typed_at = 0
        self._deadline = time.monotonic() + _PATIENCE
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            _become(argv)

    def read_to(self, *prompts: str) -> str | None:
        """Read until it waits at one of these prompts; None if it ends, or takes too long."""
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._screen], [], [], left)[0]:
                return None
            try:
                self.shown += os.read(self._screen, 65_536).decode(errors="backslashreplace")
            except OSError:  # EIO: nobody has the terminal open any more
                return None
            for prompt in prompts:
                if self.shown[self._typed_at :].endswith(prompt):
                    return prompt

    def type(self, text: str) -> None:
        """Type."""
        self._typed_at = len(self.shown)
        os.write(self._screen, text.encode())

    def close(self) -> None:
        """Close the window."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._screen)


def _become(argv: list[str]) -> None:
    """Turn the forked child into the program."""
    try:
        os.execve(argv[0], argv, {**ENVIRONMENT, "TERM": "dumb"})  # noqa: S606 - a constant program
    finally:
        os._exit(127)
