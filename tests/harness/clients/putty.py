"""PuTTY's psftp, which also stands for WinSCP and FileZilla: they share its code."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from harness.clients.common import Answer, Method, Outcome, RoundTrip
from harness.clients.terminal import converse
from harness.sshd import Sshd


class Psftp:
    """`psftp`, typed in a terminal."""

    name: ClassVar[str] = "psftp"
    answers_once: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        """Keep its files, and its home with a session for each method, in a folder."""
        self._folder = folder
        sessions = folder / ".putty" / "sessions"
        sessions.mkdir(parents=True)
        (sessions / "password").write_text("AuthKI=0\n")
        (sessions / "keyboard-interactive").write_text("AuthKI=1\n")

    def login(
        self,
        sshd: Sshd,
        user: str,
        answers: Sequence[Answer],
        *,
        method: Method = "keyboard-interactive",
    ) -> Outcome:
        """Log in; after a refusal psftp asks again until sshd hangs up."""
        argv = ["psftp", "-load", method, "-P", str(sshd.port), "-l", user]
        argv += ["-hostkey", sshd.fingerprint, "-noagent", sshd.host]
        trip = RoundTrip(self._folder)
        environment = {**os.environ, "HOME": str(self._folder)}
        errands = [*trip.errands, "quit"]
        outcome = converse(argv, environment, answers, ready="psftp> ", errands=errands)
        if outcome.ok:
            trip.check(outcome.output)
        return outcome
