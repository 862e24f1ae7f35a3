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


def shipped(socket: Path, *, file: str = "sftp-mfa", arguments: Iterable[str] = ()) -> str:
    """Return the service file that we ship, led to the module and the helper under test."""
    text = (checkout() / "sshd_config" / "pam.d" / file).read_text()
    ours = " ".join([f"socket={socket}", *arguments])
    rendered, count = re.subn(
        r"(?m)^([^#\n]*)\bpam_sftp_mfa\.so\b(.*)$", rf"\1{pam_module()}\2 {ours}", text
    )
    if not count:
        message = f"{file} has no line of ours"
        raise ValueError(message)
    return rendered


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
