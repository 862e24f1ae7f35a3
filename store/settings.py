"""The configuration: one TOML file, read in one place into a frozen, typed object."""

import os
import stat
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

DEFAULT_PATH = Path("/etc/sftp-mfa/config.toml")
_MAX_BYTES = 256 * 1024

# As many characters as the wire to the PAM module takes (512 bytes), in whichever language.
Prompt = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


class SettingsError(Exception):
    """The file cannot be used; the text names file, key and what is allowed."""


class ServiceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the services run as."""

    user: Annotated[str, Meta(min_length=1, max_length=256)] = "sftp-mfa"


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the store is."""

    url: str = "sqlite:////var/lib/sftp-mfa/store.db"
    key_file: str = "/etc/sftp-mfa/store.keys"
    wait_seconds: Annotated[float, Meta(ge=0.1, le=4)] = 3.0
    """How long one operation waits for a locked or distant database before it refuses."""


class PamSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the helper talks with the PAM module and, through it, with people."""

    socket: str = "/run/sftp-mfa/pam.sock"
    password_prompt: Prompt = "Password: "
    code_prompt: Prompt = "Verification code: "
    prompt_seconds: Annotated[int, Meta(ge=10, le=3600)] = 300
    """How long a person may take to answer; sshd's LoginGraceTime is the shorter one."""
    max_conversations: Annotated[int, Meta(ge=10, le=100_000)] = 20_000
    metrics_file: Annotated[str, Meta(max_length=4096, pattern=r"^(/.*\.prom)?\Z")] = ""
    """What node_exporter's textfile collector reads; empty: none."""


class TotpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of authenticator apps (RFC 6238)."""

    issuer: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^:\x00-\x1f]+\Z")] = "SFTP"
    window: Annotated[int, Meta(ge=0, le=2)] = 1
    """Time steps of 30 s that are accepted before and after the present one."""
    enrollment_minutes: Annotated[int, Meta(ge=1, le=60)] = 15
    max_per_account: Annotated[int, Meta(ge=1, le=100)] = 10


class GateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When wrong answers close a gate, and for how long."""

    failures: Annotated[int, Meta(ge=1, le=20)] = 5
    minutes: Annotated[int, Meta(ge=1, le=1440)] = 15
    """The first lock; each further one without a success between is twice as long."""
    max_hours: Annotated[int, Meta(ge=1, le=168)] = 24


class GraceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an accepted code lets in again without one, for clients that connect twice."""

    seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0
    """0: every login needs a code of its own."""


class EnforcementSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who must adopt MFA, and from when; everybody else decides for themselves."""

    groups: tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...] = ()
    """OS groups whose members must."""
    start: date | None = None
    """The first day (UTC) on which they must; none: at once."""
    enrollment_address: Annotated[str, Meta(max_length=200, pattern=r"^[\x21-\x7e]*\Z")] = ""
    """The enrollment page, shown in the SFTP client of who must and has not."""

    def text(self) -> str:
        """Say what who must and has not is to do."""
        where = f" at {self.enrollment_address}" if self.enrollment_address else ""
        return (
            f"This account must use multi-factor authentication. Set it up{where}, then try again."
        )


class AccessTokenSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of access tokens."""

    max_per_account: Annotated[int, Meta(ge=1, le=10_000)] = 50
    default_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """The life of a token made without one; 0: without end, if max_days lets it."""
    max_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """The longest life that can be asked for; 0: any, or none."""


class SessionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long one stays signed in on the web and the API."""

    idle_minutes: Annotated[int, Meta(ge=1, le=1440)] = 30
    max_hours: Annotated[int, Meta(ge=1, le=168)] = 12
    code_minutes: Annotated[int, Meta(ge=1, le=60)] = 5
    """From the right password until the code."""
    confirmation_minutes: Annotated[int, Meta(ge=1, le=60)] = 10
    """How long a confirmation opens factors, tokens and the password to changes."""


class GuessSettings(GateSettings, frozen=True, forbid_unknown_fields=True):
    """When guesses at passwords close a gate, and for how long."""

    failures: Annotated[int, Meta(ge=1, le=1000)] = 10
    minutes: Annotated[int, Meta(ge=1, le=1440)] = 1
    max_hours: Annotated[int, Meta(ge=1, le=168)] = 1


class AddressGuessSettings(GuessSettings, frozen=True, forbid_unknown_fields=True):
    """The same for an address, which many people may share."""

    failures: Annotated[int, Meta(ge=1, le=1000)] = 50


class PasswordThrottleSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When password guessing through web and API is slowed; sshd bounds its own."""

    account: GuessSettings = GuessSettings()
    address: AddressGuessSettings = AddressGuessSettings()


class PasswordSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The broker, which asks PAM whether a password is right and changes one."""

    socket: str = "/run/sftp-mfa/password.sock"
    service: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")] = "sftp-mfa-web"
    """The file in /etc/pam.d."""
    max_requests: Annotated[int, Meta(ge=1, le=1000)] = 64
    """How many are under way at once; further ones wait."""
    wrong_per_minute: Annotated[int, Meta(ge=1, le=1000)] = 30
    """Wrong passwords for one account that the broker looks at, whatever the store's gates say."""


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the web pages are served, and to whom."""

    listen: Annotated[
        str, Meta(pattern=r"^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|\[[0-9a-f:]+\]):[0-9]+\Z")
    ] = "127.0.0.1:8080"
    """Address and port; other than loopback only with a certificate or trusted proxies."""
    certificate: Annotated[str, Meta(max_length=4096)] = ""
    """A PEM file with the chain; read again on SIGHUP. Without it the service speaks plain HTTP."""
    key: Annotated[str, Meta(max_length=4096)] = ""
    trusted_proxies: tuple[Annotated[str, Meta(pattern=r"^[0-9a-f.:]+(/[0-9]+)?\Z")], ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    admin_group: Annotated[str, Meta(min_length=1, max_length=256)] = "sftp-mfa-admin"
    """The OS group whose members administer all accounts."""
    sftp_host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]{0,255}\Z")] = ""
    """The host shown in the examples for `sftp`; empty: the one in the browser's address."""
    sftp_port: Annotated[int, Meta(ge=1, le=65535)] = 22
    public_metrics: bool = False
    """Whether anybody may read the API's metrics, or administrators only."""
    threads: Annotated[int, Meta(ge=4, le=512)] = 64
    """Requests under way at once; one that waits for a refused password holds a thread."""


class AuditSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log lines go, beside the audit in the store."""

    syslog: bool = False
    """To /dev/log (facility authpriv) as well as to the service's standard error."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    service: ServiceSettings = ServiceSettings()
    store: StoreSettings = StoreSettings()
    pam: PamSettings = PamSettings()
    totp: TotpSettings = TotpSettings()
    lockout: GateSettings = GateSettings()
    grace: GraceSettings = GraceSettings()
    enforcement: EnforcementSettings = EnforcementSettings()
    access_tokens: AccessTokenSettings = AccessTokenSettings()
    sessions: SessionSettings = SessionSettings()
    password_throttle: PasswordThrottleSettings = PasswordThrottleSettings()
    audit: AuditSettings = AuditSettings()
    passwords: PasswordSettings = PasswordSettings()
    web: WebSettings = WebSettings()


def load(path: Path = DEFAULT_PATH) -> Settings:
    """Read the configuration; SettingsError where it is not safe or not valid."""
    try:
        document = tomllib.loads(read_guarded(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise SettingsError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not valid TOML: {error}"
        raise SettingsError(message) from error
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        message = f"{path}: {_plain(str(error))}"
        raise SettingsError(message) from error


def read_guarded(path: Path, limit: int, *, group_readable_only: bool = False) -> bytes:
    """Read a file that only root may have written; SettingsError if others could have.

    The file is opened without following a link in its last part and checked after that, so
    that nobody can exchange it in between. With group_readable_only others may not read it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        trouble = _trouble(status, limit, group_readable_only=group_readable_only)
        if trouble is not None:
            message = f"{path}: {trouble}"
            raise SettingsError(message)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)  # fdopen would leave a folder's open


def _trouble(status: os.stat_result, limit: int, *, group_readable_only: bool) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_uid != 0:
        return f"owned by uid {status.st_uid}; must be root's (chown root)"
    if status.st_mode & 0o022:
        return "writable by group or others; must not be (chmod go-w)"
    if group_readable_only and status.st_mode & 0o007:
        return "open to others; must not be (chmod o-rwx)"
    if status.st_size > limit:
        return f"larger than {limit} bytes"
    return None


def _plain(text: str) -> str:
    """Turn "… - at `$.store.url`" into "store.url: …", and name the keys if one is unknown."""
    problem, separator, where = text.rpartition(" - at `$.")
    where = where.rstrip("`") if separator else ""
    problem = problem if separator else text
    if "unknown field" in problem:
        section: Struct = Settings()
        for name in where.split("."):
            section = getattr(section, name, section)
        problem += f"; known are {', '.join(section.__struct_fields__)}"
    return f"{where}: {problem}" if where else problem
