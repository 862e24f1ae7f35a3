"""Where everything is that the quickstart makes, and what it is called."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PLACE = Path("/var/lib/sftp-mfa-quickstart")
RUN = Path("/run/sftp-mfa-quickstart")
PAM_SERVICES = Path("/etc/pam.d")
PAM_SERVICE = "sftp-mfa-quickstart"
DEMO_ACCOUNT = "sftp-mfa-demo"
ADMIN_ACCOUNT = "sftp-mfa-boss"
ADMIN_GROUP = "sftp-mfa-quickstart"
"""Who is in it administers on the web pages."""
SERVICE_USER = "sftp-mfa"

HOST = "127.0.0.1"
SSHD = Path("/usr/sbin/sshd")
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Compiled into sshd. The package's start script makes it, which may never have run."""

SOURCE = PLACE / "source"
VENV = PLACE / "venv"
MODULE = PLACE / "module" / "pam_sftp_mfa.so"
BUILT = PLACE / "built"
SCRATCH = PLACE / "scratch"
PACKAGES = PLACE / "packages"
"""Written by scripts/quickstart: the names of the packages that it installed."""

RECORD = PLACE / "record.json"
CONFIG = PLACE / "config.toml"
KEY_FILE = PLACE / "store.keys"
STORE = PLACE / "store" / "store.db"
SOCKET = RUN / "pam.sock"
PASSWORD_SOCKET = RUN / "password.sock"
ADMIN = PLACE / "sftp-mfa-admin"
HOME = PLACE / "home"
ADMIN_HOME = PLACE / "home-of-administrator"
SERVICE_HOME = PLACE / "nowhere"
"""Never made; it marks the service's user as one that the quickstart added."""
LOGS = PLACE / "log"
SSHD_CONFIG = PLACE / "sshd_config"
HOST_KEY = PLACE / "host_key"
KNOWN_HOSTS = PLACE / "known_hosts"
