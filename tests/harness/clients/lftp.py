"""lftp, which stands for clients that have one saved password and one prompt."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from harness.clients.common import TIMEOUT, Answer, Method, Outcome, RoundTrip, text_of
from harness.clients.openssh import strict_options
from harness.sshd import Sshd


class Lftp:
    """`lftp` with a password that is set beforehand, as a job has it."""

    name: ClassVar[str] = "lftp"
    answers_once: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        """Keep its files, and its home, in a folder."""
        self._folder = folder

    def login(
        self,
        sshd: Sshd,
        user: str,
        answers: Sequence[Answer],
        *,
        method: Method = "keyboard-interactive",
    ) -> Outcome:
        """Log in with the one answer; a prompt that lftp does not know makes it give up."""
        (answer,) = answers
        trip = RoundTrip(self._folder)
        environment = {**os.environ, "HOME": str(self._folder), "LFTP_PASSWORD": text_of(answer)}
        started = time.monotonic()
        ended = subprocess.run(
            ["lftp", "-c", "; ".join(_commands(sshd, user, method, trip))],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        seconds = time.monotonic() - started
        output = ended.stdout + ended.stderr
        is_in = "protocol version set" in output
        if is_in:
            trip.check(output)
        return Outcome(is_in, _prompts(output), output, ended.returncode, seconds)


def _commands(sshd: Sshd, user: str, method: str, trip: RoundTrip) -> list[str]:
    ssh = " ".join(["ssh", "-a", "-x", *strict_options(sshd, method)])
    return [
        "debug 9",
        f'set sftp:connect-program "{ssh}"',
        "set net:max-retries 1",
        "set net:timeout 15",
        "set cmd:fail-exit yes",
        f"open --env-password -u {user} sftp://{sshd.host}:{sshd.port}",
        f"put {trip.source} -o {trip.remote}",
        f"get {trip.remote} -o {trip.returned}",
    ]


def _prompts(output: str) -> tuple[str, ...]:
    """Find what lftp answered; it shows its answers as XXXX."""
    return tuple(re.findall(r"(?m)^(?:<--- )?(.*: )XXXX$", output))
