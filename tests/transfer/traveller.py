"""Who uses `sftp-mfa-cli`: a home, a terminal or none, and what came of a command."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]  # it ships no types
from harness.sandbox import command
from harness.sshd import Sshd

Answer = str | Callable[[], str]
PROMPT = re.compile(r"(?:\(\S+@\S+\) )?([^\r\n]+[:?] )$")
TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it."""

    code: int | None
    screen: str = field(repr=False)
    prompts: tuple[str, ...] = ()
    output: str = ""
    """Standard output, without a terminal."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Give the lines of JSON."""
        return [json.loads(line) for line in self.output.splitlines()]

    @property
    def error(self) -> str:
        """Give the one line that tells what went wrong."""
        (line,) = [line for line in self.screen.splitlines() if line.startswith("error: ")]
        return line


class Traveller:
    """Somebody on another machine: nothing there but a home with .ssh in it."""

    def __init__(self, home: Path, sshd: Sshd, user: str) -> None:
        """Know the host's key."""
        self.home = home
        self.sshd = sshd
        self.token: str | None = None
        """What the environment of its commands has."""
        self.server = f"{user}@{sshd.host}:{sshd.port}"
        self.known_hosts = home / ".ssh" / "known_hosts"
        self.config = home / ".ssh" / "config"
        self.known_hosts.parent.mkdir(parents=True, mode=0o700)
        self.known_hosts.write_text(sshd.known_hosts.read_text())

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give a small environment: OpenSSH reads the home of /etc/passwd, so -F is given."""
        path = os.environ["PATH"]
        plain = {"HOME": str(self.home), "PATH": path, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        token = {} if self.token is None else {"SFTP_MFA_TOKEN": self.token}
        return {**plain, **token, **(more or {})}

    def argv(self, *words: str | Path) -> list[str]:
        """Name the command, with this home's settings."""
        name, *rest = map(str, words)
        if not self.config.exists():
            self.config.write_text(f"UserKnownHostsFile {self.known_hosts}\n")
        return [command("sftp-mfa-cli"), name, "-F", str(self.config), *rest]

    def run(
        self,
        *words: str | Path,
        given: str = "",
        timeout: float = TIMEOUT,
        under: Sequence[str] = (),
        **more: str,
    ) -> Seen:
        """Run a command as a job does: without a terminal; under a program that sets limits."""
        ended = subprocess.run(
            [*under, *self.argv(*words)],
            env=self.environment(more),
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            start_new_session=True,
        )
        return Seen(ended.returncode, ended.stderr, (), ended.stdout)

    def terminal(self, *words: str | Path, **more: str) -> "Window":
        """Start a command in a terminal."""
        return Window(self.argv(*words), self.environment(more), self.home)

    def type(self, *words: str | Path, answers: Sequence[Answer] = (), **more: str) -> Seen:
        """Run a command in a terminal and answer its prompts in turn; then hang up."""
        return self.terminal(*words, **more).answer_all(answers)


def _hear_signals() -> None:
    """Undo what a shell that runs tests in the background has them ignore."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


class Window:
    """A running command in a pseudo-terminal of its own."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start it."""
        program, *arguments = argv
        self.child = pexpect.spawn(
            program,
            arguments,
            env=dict(environment),
            cwd=str(folder),
            dimensions=(50, 400),
            encoding="utf-8",
            codec_errors="backslashreplace",
            timeout=TIMEOUT,
            preexec_fn=_hear_signals,
        )
        self.child.delaybeforesend = None
        self.screen = ""
        self.prompts: list[str] = []

    def prompt(self) -> str | None:
        """Wait for a prompt and return it; None at the end."""
        since = ""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                since += self.child.read_nonblocking(65_536, timeout=0.05)
            except pexpect.TIMEOUT:
                found = PROMPT.search(since)
                if found is not None:
                    self.screen += since
                    self.prompts.append(found[1])
                    return found[1]
            except pexpect.EOF:
                self.screen += since
                return None
        message = f"neither prompt nor end: {self.screen}{since}"
        raise TimeoutError(message)

    def watch(self) -> None:
        """Take what is shown, as a terminal does: a program that nobody watches has to wait."""
        with suppress(pexpect.TIMEOUT, pexpect.EOF):
            self.screen += self.child.read_nonblocking(65_536, timeout=0)

    def type(self, text: str) -> None:
        """Type a line."""
        self.child.sendline(text)

    def answer_all(self, answers: Sequence[Answer]) -> Seen:
        """Answer each prompt in turn; at one more, hang up."""
        left = list(answers)
        while self.prompt() is not None:
            if not left:
                break
            answer = left.pop(0)
            self.type(answer if isinstance(answer, str) else answer())
        return self.end()

    def end(self) -> Seen:
        """Wait for its end, or hang up at a prompt."""
        self.child.close(force=True)
        code = self.child.exitstatus
        if code is None:
            code = 128 + self.child.signalstatus
        return Seen(code, self.screen, tuple(self.prompts))
