"""`sftp-mfa-admin` as people and jobs run it: in a terminal of its own, or with none at all."""

import base64
import os
import re
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
from harness.sandbox import command
from web_host import WebHost

from store.clock import system_clock
from store.otp import code_at, step_at

PASSWORD = r"Password for [^:]+: "
CODE = "Verification code: "
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command did."""

    status: int
    output: str
    errors: str = ""

    @property
    def lines(self) -> list[str]:
        """Give what was printed."""
        return self.output.splitlines()


@dataclass(slots=True)
class Desk:
    """Where somebody works: their home, and the server that they work on."""

    home: Path
    host: WebHost
    user: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ca_file(self) -> Path:
        """Give the authority of the server's certificate."""
        return self.host.installation.folder / "cert.pem"

    def settings(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of a command."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "SFTP_MFA_SERVER": self.host.url,
            **self.environment,
            **(more or {}),
        }

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """Give the whole command line."""
        trusting = [] if "--ca-file" in arguments else ["--ca-file", str(self.ca_file)]
        return [command("sftp-mfa-admin"), *arguments, *trusting]

    def type(self, *arguments: str, **more: str) -> "Conversation":
        """Start a command in a terminal."""
        return self.spawn(self.argv(arguments), **more)

    def spawn(self, argv: Sequence[str], **more: str) -> "Conversation":
        """Start any program in a terminal."""
        return Conversation(argv, self.settings(more), self.home)

    def run(self, *arguments: str, given: str = "", trusting: bool = True, **more: str) -> Ended:
        """Run a command as a job does: there is no terminal."""
        argv = self.argv(arguments)[: None if trusting else -2]
        return self._run(argv, self.settings(more), given)

    def on_host(self, *arguments: str, given: str = "", **more: str) -> Ended:
        """Run a command as root on the host of the store."""
        settings = self.settings(more) | {"SFTP_MFA_CONFIG": str(self.host.installation.config)}
        del settings["SFTP_MFA_SERVER"]
        settings.pop("SFTP_MFA_TOKEN", None)
        return self._run([command("sftp-mfa-admin"), *arguments], settings, given)

    def _run(self, argv: Sequence[str], settings: Mapping[str, str], given: str) -> Ended:
        done = subprocess.run(
            argv,
            env=settings,
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            start_new_session=True,  # else /dev/tty would be the developer's
        )
        return Ended(done.returncode, done.stdout, done.stderr)


class Conversation:
    """A command in a pseudo-terminal, with somebody who answers."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        """Start it."""
        self._child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env=dict(environment),
            cwd=str(home),
            encoding="utf-8",
            timeout=_SECONDS,
            dimensions=(50, 250),
        )
        self._before = self._modes()

    def answer(self, prompt: str, text: str) -> "Conversation":
        """Wait for a prompt, and type a line, which the terminal must not show."""
        self.wait_for(prompt)
        self._child.sendline(text)
        return self

    def raw(self, prompt: str, typed: bytes) -> "Conversation":
        """Wait for a prompt, and type bytes as they are."""
        self.wait_for(prompt)
        os.write(self._child.child_fd, typed)
        return self

    def wait_for(self, prompt: str) -> "Conversation":
        """Wait for a prompt that does not show what is typed."""
        self._child.expect(prompt)
        assert self._child.waitnoecho(_SECONDS), "the terminal shows what is typed"
        return self

    def expect(self, text: str) -> "Conversation":
        """Wait for what is printed."""
        self._child.expect(text)
        return self

    def found(self, group: int) -> str:
        """Give a part of what was waited for."""
        return str(self._child.match.group(group)).strip()

    def code_of(self, secret: str) -> "Conversation":
        """Type the code that an authenticator shows for a secret in base32."""
        self._child.expect(CODE)
        key = base64.b32decode(secret.replace(" ", ""))
        self._child.sendline(code_at(key, step_at(system_clock())))
        return self

    def line(self, text: str) -> "Conversation":
        """Type a line."""
        self._child.sendline(text)
        return self

    def press(self, key: str) -> "Conversation":
        """Press Ctrl and a key."""
        self._child.sendcontrol(key)
        return self

    def signal(self, number: int) -> "Conversation":
        """Send a signal."""
        self._child.kill(number)
        return self

    def end(self) -> Ended:
        """Wait for the end; the terminal must be as it was."""
        self._child.expect(pexpect.EOF)
        shown = self._child.before or ""
        assert self._modes() == self._before, "the terminal was left changed"
        self._child.close()
        status = self._child.exitstatus
        status = 128 + (self._child.signalstatus or 0) if status is None else status
        return Ended(status, re.sub(r"\r+\n", "\n", shown))

    def _modes(self) -> list[object]:
        """Give the terminal's modes, in which echo is one of many."""
        return list(termios.tcgetattr(self._child.child_fd))
