"""Where everything is that an installation reads and writes."""

from pathlib import Path

SHARE = Path("/usr/share/sftp-mfa")
"""What the package ships: `sshd_config/` and `config.example.toml`."""
SHIPPED_PAM = SHARE / "sshd_config" / "pam.d"
SHIPPED_DROP_IN = SHARE / "sshd_config" / "50-sftp-mfa.conf"
SHIPPED_FILTER = SHARE / "sshd_config" / "fail2ban" / "sftp-mfa.conf"
EXAMPLE = SHARE / "config.example.toml"

CONFIG_FOLDER = Path("/etc/sftp-mfa")
PAM_SERVICES = Path("/etc/pam.d")
PAM_SERVICE = "sftp-mfa"
SSHDS_SERVICE = PAM_SERVICES / "sshd"
DROP_INS = Path("/etc/ssh/sshd_config.d")
DROP_IN = DROP_INS / "50-sftp-mfa.conf"
FILTERS = Path("/etc/fail2ban/filter.d")
FILTER = FILTERS / "sftp-mfa.conf"

OWN_SSHD_CONFIG = CONFIG_FOLDER / "sshd_config"
OWN_SSHD = CONFIG_FOLDER / PAM_SERVICE
"""A link to sshd: up to 9.7 it takes the PAM service from the name that it is started by."""
OWN_SSHD_UNIT = "sftp-mfa-sshd.service"
HELPER_UNIT = "sftp-mfa-pam.socket"
AUDIT_UNIT = "sftp-mfa-verify-audit-log.timer"

BACKUPS = Path("/var/backups/sftp-mfa")
"""Root's alone: /var/lib/sftp-mfa is the service user's, who could exchange files in it."""
STATE = BACKUPS / "state.json"
"""What is installed."""
JOURNAL = BACKUPS / "unfinished.json"
"""There while a change is under way (and in sftp-mfa-recover.service)."""

BREAK_GLASS = "sftp-mfa-breakglass"
PLAIN_USER = "sftp-mfa-proof-plain"
MFA_USER = "sftp-mfa-proof-mfa"
"""The accounts of the proof: made for it, and removed after it."""
