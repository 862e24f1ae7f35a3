"""PAM services in the sandbox's own /etc/pam.d."""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from harness.sandbox import checkout, pam_module

SERVICES = Path("/etc/pam.d")

MACHINE_ONLY = """\
@include common-auth
@include common-account
@include common-session
@include common-password
"""

_GATE = ("sftp-mfa-gate", "sftp-mfa-refused")


def shipped(socket: Path, *, arguments: Iterable[str] = ()) -> str:
    """Return the service file that we ship, led to the module and the helper under test."""
    for file in _GATE:
        # In one step: another test's login may be reading it.
        fresh = SERVICES / f"{file}.{secrets.token_hex(5)}"
        fresh.write_text(_with_module(file, str(pam_module())))
        fresh.rename(SERVICES / file)
    return _with_module("sftp-mfa", str(pam_module()), f"socket={socket}", *arguments)


def _with_module(file: str, module: str, *arguments: str) -> str:
    """Read a file that we ship, with another module in place of ours and more arguments to it."""
    text = (checkout() / "sshd_config" / "pam.d" / file).read_text()
    more = "".join(f" {argument}" for argument in arguments)
    return re.sub(
        r"(?m)^([^#\n]*)\bpam_sftp_mfa\.so\b(.*)$",
        lambda line: f"{line[1]}{module}{line[2]}{more}",
        text,
    )


class PamServices:
    """The services that one test installed."""

    def __init__(self) -> None:
        """Start without any."""
        self._files: list[Path] = []

    def install(self, text: str) -> str:
        """Install a service and return the name that it got."""
        file = SERVICES / f"test-{secrets.token_hex(5)}"
        file.write_text(text)
        self._files.append(file)
        return file.name

    def remove_all(self) -> None:
        """Remove them."""
        while self._files:
            self._files.pop().unlink(missing_ok=True)
