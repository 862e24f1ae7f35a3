"""Our own parts on this host: configuration, keys, store, module, sockets, certificate, clock."""

import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from scripts.doctor.findings import Finding, broken, info, ok, risk
from scripts.host.clock import is_synchronised
from scripts.host.programs import attempt, one_line
from scripts.installation import checks
from scripts.privileges import PrivilegeError, service_account
from store.database import sqlite_path
from store.settings import Settings, SettingsError, load

_SOON = timedelta(days=21)
_SECONDS_APART = 2.0
_SECONDS_TOO_FAR = 30.0
"""One time step: with the default window codes fail beyond it."""
_HELPER_SECONDS = 6.0
"""The helper waits for its store for 4 s at most."""


def settings_of(config: Path) -> tuple[Settings | None, list[Finding]]:
    """Read the configuration, and say what is wrong with it."""
    try:
        settings = load(config)
        service_account(settings)
    except (SettingsError, PrivilegeError) as error:
        remedy = "mend it; `sftp-mfa install` makes one where there is none"
        return None, [broken("config", str(error), remedy)]
    return settings, [ok("config", f"{config} is good")]


def look(config: Path, settings: Settings) -> Iterator[Finding]:
    """Look at all of them."""
    yield from _store(config, settings)
    yield from _module()
    yield from _pam_socket(settings)
    yield from _password_socket(settings)
    yield from _certificate(settings)
    yield from _clock(config, settings)


def _store(config: Path, settings: Settings) -> Iterator[Finding]:
    program = Path(sys.executable).with_name("sftp-mfa")
    checked = attempt([program, "check-config", "--config", config])
    if checked.returncode != 0:
        yield broken(
            "store",
            one_line(checked.stderr).removeprefix("error: "),
            "logins with MFA are refused until it is mended",
        )
    else:
        yield ok("store", "key file and store are good, and the schema is this program's")
    path = sqlite_path(settings.store.url)
    closed = [Path(settings.store.key_file)]
    if path is not None:
        closed += [path, path.parent]
    for one in closed:
        if one.exists() and one.stat().st_mode & 0o007:
            yield risk(f"open.{one.name}", f"{one} is open to others", f"chmod o-rwx {one}")


def _module() -> Iterator[Finding]:
    file = checks.module()
    if file is None:
        yield broken(
            "module",
            "pam_sftp_mfa.so is not where libpam looks: nobody gets in with a password",
            "install the package again",
        )
        return
    status = file.stat()
    if status.st_uid != 0 or status.st_mode & 0o022:
        yield risk("module", f"{file} can be exchanged by others", f"chown root, chmod 644 {file}")
    else:
        yield ok("module", f"{file} is root's alone to write")


def _pam_socket(settings: Settings) -> Iterator[Finding]:
    path = Path(settings.pam.socket)
    remedy = "systemctl restart sftp-mfa-pam.socket (or run `sftp-mfa serve-pam`), and see its log"
    if not path.is_socket():
        text = f"{path}: there is no socket: nobody gets in with a password"
        yield broken("helper", text, remedy)
        return
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in {
        0,
        service_account(settings).pw_uid,
    }:
        yield risk("helper.socket", f"{path} is open to others", f"chmod 0600 {path}")
    if checks.helper_answers(settings, patience=_HELPER_SECONDS):
        yield ok("helper", "the PAM helper answers, and reaches its store")
    else:
        text = "the PAM helper does not answer, or does not reach its store: logins are refused"
        yield broken("helper", text, remedy)


def _password_socket(settings: Settings) -> Iterator[Finding]:
    path = Path(settings.passwords.socket)
    if not path.is_socket():
        yield info("passwords", "this host does not serve the web pages: no password broker runs")
    elif path.stat().st_mode & 0o007:
        yield risk("passwords", f"{path} is open to others, who may guess", f"chmod 0660 {path}")
    else:
        yield ok("passwords", "only the web service can ask the password broker")


def _certificate(settings: Settings) -> Iterator[Finding]:
    if not settings.web.certificate:
        return
    path = Path(settings.web.certificate)
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        yield broken("certificate", f"{path} cannot be read: {error}", "put a PEM file there")
        return
    end = min(certificate.not_valid_after_utc for certificate in certificates)
    left = end - datetime.now(UTC)
    remedy = "renew it, then SIGHUP to the web service"
    if left < timedelta(0):
        yield broken("certificate", f"{path} ended on {end:%Y-%m-%d}", remedy)
    elif left < _SOON:
        yield risk("certificate", f"{path} ends in {left.days} days", remedy)
    else:
        yield ok("certificate", f"{path} is good until {end:%Y-%m-%d}")


def _clock(config: Path, settings: Settings) -> Iterator[Finding]:
    if is_synchronised():
        yield ok("clock", "the clock is synchronised")
    else:
        yield risk(
            "clock",
            "the clock is not synchronised: once it is half a minute off, codes are refused",
            "run systemd-timesyncd or chrony; in a container this is the host's business",
        )
    if sqlite_path(settings.store.url) is not None:
        return
    account = service_account(settings)
    asked = attempt(
        [sys.executable, "-I", "-m", "scripts.doctor.database_clock", str(config)],
        user=account.pw_name,
        group=account.pw_gid,
    )
    if asked.returncode != 0:
        return  # that the store cannot be used is said already
    apart = abs(float(asked.stdout))
    remedy = "synchronise the clocks of all hosts and of the database"
    text = f"this host's clock and the database's are {apart:.1f} s apart"
    if apart > _SECONDS_TOO_FAR:
        yield broken("clock.database", text, remedy)
    elif apart > _SECONDS_APART:
        yield risk("clock.database", text, remedy)
    else:
        yield ok("clock.database", text)
