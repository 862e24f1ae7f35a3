"""A host with web pages, broker and sshd, as it would run for users."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import pam
from harness.installation import Installation
from harness.pam import PamServices
from harness.processes import Process
from harness.sandbox import checkout, command, exclusively, free_port
from harness.sshd import Sshd

ADMINISTRATORS = "sftp-mfa-admin"


class WebHost:
    """Installation, broker, pages and, if one logs in, an sshd."""

    def __init__(
        self,
        *,
        tls: bool = True,
        behind_proxy: bool = True,
        clock_stands: bool = False,
        more: str = "",
        **store: Any,
    ) -> None:
        """Start broker and pages. With TLS they believe the tests' own X-Forwarded-For.

        They do not if they are not behind a proxy: then real programs may call. What else is
        given is Installation's: whose store it is.
        """
        self.services = PamServices()
        _install_shipped_service()
        with exclusively("accounts"):
            subprocess.run(["groupadd", "--force", "--system", ADMINISTRATORS], check=True)
        self.port = free_port()
        self.scheme = "https" if tls else "http"
        proxies = ['trusted_proxies = ["127.0.0.1"]'] if tls and behind_proxy else []
        self._configure(proxies, tls=tls, clock_stands=clock_stands, more=more, **store)
        self._sshd: Sshd | None = None
        self.broker = self.start("serve-passwords")
        self.broker.wait_until_ready(lambda: "ready" in self.broker.output())
        self.web = self.start("serve-web")
        self.web.wait_until_ready(lambda: "ready" in self.web.output())

    def _configure(
        self, lines: list[str], *, tls: bool, clock_stands: bool, more: str, **store: Any
    ) -> None:
        self.installation = Installation(
            more='[passwords]\nsocket = "{folder}"\n', clock_stands=clock_stands, **store
        )
        folder = self.installation.folder
        if tls:
            make_certificate(folder)
            lines = [
                *lines,
                f'certificate = "{folder / "cert.pem"}"',
                f'key = "{folder / "key.pem"}"',
            ]
        text = self.installation.config.read_text()
        text = text.replace("{folder}", str(folder / "run" / "password.sock"))
        web = "\n".join(["[web]", f'listen = "127.0.0.1:{self.port}"', *lines, ""])
        self.installation.config.write_text(f"{text}{web}{more}")

    def start(self, name: str, **options: Any) -> Process:
        """Start a service of ours."""
        argv = [command("sftp-mfa"), name, "--config", str(self.installation.config)]
        if self.installation.clock is not None and name == "serve-web":
            clock = str(self.installation.clock.file)
            script = str(Path(__file__).parent / "served_by_moved_clock.py")
            argv = [sys.executable, "-P", script, str(self.installation.config), clock]
        return Process(argv, log=self.installation.folder / f"{name}.log", **options)

    @property
    def url(self) -> str:
        """Give the address of the pages."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def sshd(self) -> Sshd:
        """Give the host's sshd, with the PAM stack that we ship."""
        if self._sshd is None:
            self.installation.start()
            service = self.services.install(pam.shipped(self.installation.socket))
            self._sshd = Sshd(self.installation.folder / "sshd", service)
        return self._sshd

    def close(self) -> None:
        """Stop everything."""
        if self._sshd is not None:
            self._sshd.stop()
        self.web.stop()
        self.broker.stop()
        self.installation.close()
        self.services.remove_all()


def _install_shipped_service() -> None:
    text = (checkout() / "sshd_config" / "pam.d" / "sftp-mfa-web").read_text()
    (pam.SERVICES / "sftp-mfa-web").write_text(text)


def make_certificate(folder: Path, name: str = "localhost") -> None:
    """Make a key and a certificate for loopback, readable by the service."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            key,
            "-out",
            certificate,
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )
    key.chmod(0o640)
    shutil.chown(key, group="sftp-mfa")
