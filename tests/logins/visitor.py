"""A client that is led step by step: as slow, rude or sudden as a test wants."""

import queue
import threading
from contextlib import suppress
from typing import Self

import paramiko  # type: ignore[import-untyped]  # it ships no types
from harness.accounts import Account
from harness.sshd import Sshd

_PATIENCE = 60.0


class Visitor:
    """One connection, which tries keyboard-interactive once."""

    def __init__(self, sshd: Sshd, user: str | bytes) -> None:
        """Connect; the login has begun when this returns."""
        self.requests: list[tuple[str, str, list[tuple[str, bool]]]] = []
        """Title, instructions and prompts with their echo, as they came."""
        self._asked: queue.Queue[str | None] = queue.Queue()
        self._answers: queue.Queue[str | bytes | None] = queue.Queue()
        self.transport = paramiko.Transport((sshd.host, sshd.port))
        self.transport.set_log_channel("visitor")
        self.transport.start_client(timeout=_PATIENCE)
        self.transport.auth_timeout = _PATIENCE
        self._login = threading.Thread(target=self._log_in, args=(user,), daemon=True)
        self._login.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Go away."""
        self.vanish()

    def asked(self) -> str | None:
        """Wait for the next prompt; None when it is decided, one way or the other."""
        return self._asked.get(timeout=_PATIENCE)

    def answer(self, text: str | bytes) -> None:
        """Answer the prompt."""
        self._answers.put(text)

    def is_in(self) -> bool:
        """Wait for the end of the login and tell whether it let in, as far as to the files."""
        while self.asked() is not None:
            self._answers.put(None)
        if not self.transport.is_authenticated():
            return False
        with suppress(paramiko.SSHException, EOFError, OSError):
            session = paramiko.SFTPClient.from_transport(self.transport)
            return session is not None and bool(session.normalize("."))
        return False

    def say(self, *answers: str | bytes) -> bool:
        """Answer each prompt in turn, give up at one more, and tell whether that let in."""
        for text in answers:
            if self.asked() is None:
                self._asked.put(None)
                break
            self.answer(text)
        return self.is_in()

    def leave(self) -> bool:
        """Wait for the end of the login, tell whether it let in, and go away."""
        lets_in = self.is_in()
        self.vanish()
        return lets_in

    def vanish(self) -> None:
        """Cut the connection, wherever the login is."""
        self.transport.sock.close()
        self._answers.put(None)
        self.transport.close()
        self._login.join(_PATIENCE)

    def _log_in(self, user: str | bytes) -> None:
        with suppress(paramiko.SSHException, EOFError, OSError):
            self.transport.auth_interactive(user, self._handle)
        self._asked.put(None)

    def _handle(
        self, title: str, instructions: str, prompts: list[tuple[str, bool]]
    ) -> list[str | bytes]:
        self.requests.append((title, instructions, prompts))
        given: list[str | bytes] = []
        for prompt, _ in prompts:
            self._asked.put(prompt)
            answer = self._answers.get()
            if answer is None:
                raise EOFError
            given.append(answer)
        return given


def at_the_code_prompt(sshd: Sshd, account: Account) -> Visitor:
    """Log in as far as the question for a code."""
    visitor = Visitor(sshd, account.name)
    assert visitor.asked() == "Password: "
    visitor.answer(account.password)
    assert visitor.asked() == "Verification code: "
    return visitor


def gets_in(sshd: Sshd, account: Account, *answers: str) -> bool:
    """Log in with these answers and tell whether they let in."""
    with Visitor(sshd, account.name) as visitor:
        return visitor.say(*answers)
