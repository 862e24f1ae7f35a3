"""The files that lead the services: our configuration, the PAM service, sshd's configuration."""

import os
import re
from pathlib import Path

from scripts.demonstration.commands import QuickstartError, run
from scripts.demonstration.layout import (
    ADMIN,
    ADMIN_GROUP,
    CONFIG,
    DEMO_ACCOUNT,
    HOST,
    HOST_KEY,
    KEY_FILE,
    KNOWN_HOSTS,
    MODULE,
    PAM_SERVICE,
    PAM_SERVICES,
    PASSWORD_SOCKET,
    PLACE,
    SERVICE_USER,
    SOCKET,
    SOURCE,
    SSHD,
    SSHD_CONFIG,
    STORE,
    VENV,
)

SSHD_BY_NAME = PLACE / PAM_SERVICE
"""Before OpenSSH 9.8, sshd takes the PAM service from the name that it is called by."""

_NAMED_BY_OPTION = (9, 8)
_SHIPPED = "sftp-mfa"

_CONFIG = f"""\
# Made by scripts/quickstart, which makes it anew at each start and removes it with --stop.
[service]
user = "{SERVICE_USER}"
[store]
url = "sqlite:///{STORE}"
key_file = "{KEY_FILE}"
[pam]
socket = "{SOCKET}"
[totp]
issuer = "sftp-mfa quickstart"
[passwords]
socket = "{PASSWORD_SOCKET}"
service = "{PAM_SERVICE}-web"
[web]
listen = "{HOST}:{{web_port}}"
admin_group = "{ADMIN_GROUP}"
sftp_host = "{HOST}"
sftp_port = {{port}}
"""

_ADMIN = f"""\
#!/bin/sh
# sftp-mfa-admin on the quickstart's store.
SFTP_MFA_CONFIG={CONFIG} exec {VENV}/bin/sftp-mfa-admin "$@"
"""

_SSHD = """\
# Made by scripts/quickstart. What a host needs for MFA is in the first file; the rest keeps this
# sshd to the machine itself and to SFTP.
Include {drop_in}
ListenAddress {host}:{port}
HostKey {host_key}
PidFile none
UseDNS no

AllowUsers {users}
PermitRootLogin no
# A client that offers its keys first would be hung up on before it is asked for a password.
PubkeyAuthentication no

Subsystem sftp internal-sftp
ForceCommand internal-sftp
DisableForwarding yes
PermitTTY no
PermitUserRC no
"""


def write(port: int, web_port: int, guests: list[str]) -> None:
    """Write all of it."""
    _write(CONFIG, _CONFIG.format(port=port, web_port=web_port))
    _write(ADMIN, _ADMIN, mode=0o755)
    for file in (SOURCE / "sshd_config" / "pam.d").iterdir():
        _write(PAM_SERVICES / _own_name(file.name), _pam_service(file.read_text()))
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", HOST_KEY)
    key = " ".join(HOST_KEY.with_suffix(".pub").read_text().split()[:2])
    _write(KNOWN_HOSTS, f"[{HOST}]:{port} {key}\n")
    SSHD_BY_NAME.symlink_to(SSHD)
    _write(SSHD_CONFIG, _sshd_config(port, guests))


def pam_files() -> list[Path]:
    """List the PAM service files that are ours."""
    return sorted(PAM_SERVICES.glob(f"{PAM_SERVICE}*"))


def fingerprint() -> str:
    """Give the host key's fingerprint, as clients show it."""
    return run("ssh-keygen", "-l", "-f", HOST_KEY).split()[1]


def _sshd_config(port: int, guests: list[str]) -> str:
    text = _SSHD.format(
        drop_in=SOURCE / "sshd_config" / "50-sftp-mfa.conf",
        host=HOST,
        port=port,
        host_key=HOST_KEY,
        users=" ".join([DEMO_ACCOUNT, *guests]),
    )
    if _sshd_version() >= _NAMED_BY_OPTION:
        # On loopback all come from one address: one who mistypes would shut out everybody.
        text += f"PAMServiceName {PAM_SERVICE}\nPerSourcePenalties no\n"
    return text


def _sshd_version() -> tuple[int, int]:
    shown = run("/bin/sh", "-c", f"{SSHD} -V 2>&1 || true")  # 9.2 knows no -V, and says who it is
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", shown)
    if found is None:
        message = f"{SSHD} does not tell its version: {shown.strip()}"
        raise QuickstartError(message)
    return int(found[1]), int(found[2])


def _own_name(name: str) -> str:
    return PAM_SERVICE + name.removeprefix(_SHIPPED)


def _pam_service(text: str) -> str:
    """Lead a PAM service file that we ship to this module, this socket and its own companions.

    It goes without the message of the day, which nobody sees here and which leaves a file.
    """
    text = re.sub(r"(?m)^[^#\n]*\bpam_motd\.so\b.*\n", "", text)
    text = re.sub(
        rf"(?m)^([^#\n]*\bsubstack\s+)({_SHIPPED}\S*)$",
        lambda line: line[1] + _own_name(line[2]),
        text,
    )
    return re.sub(
        r"(?m)^([^#\n]*)\bpam_sftp_mfa\.so\b(.*)$",
        lambda line: f"{line[1]}{MODULE}{line[2]} socket={SOCKET}",
        text,
    )


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that was not there, so that nobody can have prepared another one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
