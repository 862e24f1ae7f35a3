"""OpenSSH's own sftp."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from harness.clients.common import Answer, Outcome, RoundTrip
from harness.clients.terminal import converse
from harness.sshd import Sshd


def strict_options(sshd: Sshd, methods: str, attempts: int = 1) -> list[str]:
    """Return ssh's options for a host whose key is known, apart from the user's own settings."""
    options = [
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={sshd.known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        f"PreferredAuthentications={methods}",
        f"NumberOfPasswordPrompts={attempts}",
        "IdentityAgent=none",
        "ConnectTimeout=20",
    ]
    return ["-F", "/dev/null", *(f"-o{option}" for option in options)]


class OpenSsh:
    """`sftp`, typed in a terminal."""

    name: ClassVar[str] = "openssh"
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
        method: str = "keyboard-interactive",
        attempts: int = 1,
        options: Sequence[str] = (),
    ) -> Outcome:
        """Log in; `method` may list several, `attempts` is NumberOfPasswordPrompts."""
        argv = ["sftp", *strict_options(sshd, method, attempts), *options]
        argv += [f"-oPort={sshd.port}", f"{user}@{sshd.host}"]
        trip = RoundTrip(self._folder)
        environment = {**os.environ, "TERM": "dumb"}
        errands = [*trip.errands, "bye"]
        outcome = converse(argv, environment, answers, ready="sftp> ", errands=errands)
        if outcome.ok:
            trip.check(outcome.output)
        return outcome
