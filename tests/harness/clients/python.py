"""paramiko, which stands for jobs written in Python."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import paramiko  # type: ignore[import-untyped]  # it ships no types

from harness.clients.common import (
    TIMEOUT,
    Answer,
    Method,
    Outcome,
    RoundTrip,
    TransferError,
    text_of,
)
from harness.sshd import Sshd


class _NothingToSayError(Exception):
    """A prompt came for which there is no answer."""


class Paramiko:
    """A program of a few lines."""

    name: ClassVar[str] = "paramiko"
    answers_once: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        """Keep its files in a folder."""
        self._folder = folder

    def login(
        self,
        sshd: Sshd,
        user: str,
        answers: Sequence[Answer],
        *,
        method: Method = "keyboard-interactive",
    ) -> Outcome:
        """Log in."""
        (outcome,) = self.attempts(sshd, user, [(method, answers)])
        return outcome

    def attempts(
        self, sshd: Sshd, user: str, attempts: Sequence[tuple[Method, Sequence[Answer]]]
    ) -> list[Outcome]:
        """Try one way after the other on one connection, up to the first that lets in."""
        outcomes: list[Outcome] = []
        with paramiko.Transport((sshd.host, sshd.port)) as transport:
            transport.auth_timeout = TIMEOUT
            transport.start_client(timeout=TIMEOUT)
            if not _knows(transport, sshd):
                return [Outcome(ok=False, prompts=(), output="unknown host", exit=None, seconds=0)]
            for method, answers in attempts:
                outcomes.append(_attempt(transport, user, method, list(answers)))
                if outcomes[-1].ok:
                    self._transfer(transport)
                    break
        return outcomes

    def _transfer(self, transport: paramiko.Transport) -> None:
        trip = RoundTrip(self._folder)
        try:
            with transport.open_sftp_client() as client:
                client.put(str(trip.source), trip.remote)
                client.get(trip.remote, str(trip.returned))
        except (paramiko.SSHException, EOFError, OSError) as breakage:
            message = "the connection broke after the login"
            raise TransferError(message) from breakage
        trip.check("")


def _knows(transport: paramiko.Transport, sshd: Sshd) -> bool:
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}" in sshd.known_hosts.read_text()


def _attempt(
    transport: paramiko.Transport, user: str, method: Method, answers: list[Answer]
) -> Outcome:
    prompts: list[str] = []
    shown: list[str] = []

    def answer(title: str, instructions: str, asked: list[tuple[str, bool]]) -> list[str]:
        shown.extend(filter(None, [title, instructions]))
        given = []
        for prompt, _ in asked:
            prompts.append(prompt)
            if not answers:
                raise _NothingToSayError
            given.append(text_of(answers.pop(0)))
        return given

    started = time.monotonic()
    try:
        if method == "password":
            transport.auth_password(user, text_of(answers[0]), fallback=False)
        else:
            transport.auth_interactive(user, answer)
    except (paramiko.SSHException, EOFError, OSError, _NothingToSayError) as refusal:
        shown.append(repr(refusal))
    seconds = time.monotonic() - started
    is_in = transport.is_authenticated()
    return Outcome(is_in, tuple(prompts), "\n".join(shown), None, seconds)
