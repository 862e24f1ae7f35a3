"""The command `sftp-mfa-admin`, put together."""

import click

from scripts.lazy_commands import LazyCommands

_COMMANDS = LazyCommands(
    {
        "add-auth-factor-access-token": "scripts.admin.tokens:add_token",
        "list-auth-factor-access-token": "scripts.admin.tokens:list_tokens",
        "delete-auth-factor-access-token": "scripts.admin.tokens:delete_token",
        "add-auth-factor-totp": "scripts.admin.totp:add_totp",
        "list-auth-factor-totp": "scripts.admin.totp:list_totp",
        "delete-auth-factor-totp": "scripts.admin.totp:delete_totp",
        "renew-recovery-codes": "scripts.admin.totp:renew_recovery_codes",
        "list-users": "scripts.admin.users:list_users",
        "show-user": "scripts.admin.users:show",
        "unlock-user": "scripts.admin.users:unlock",
        "bar-user": "scripts.admin.users:bar",
        "unbar-user": "scripts.admin.users:unbar",
        "forget-user": "scripts.admin.users:forget",
        "report-adoption": "scripts.admin.users:report_adoption",
        "list-sessions": "scripts.admin.sessions:list_sessions",
        "end-session": "scripts.admin.sessions:end_session",
        "login": "scripts.admin.login:log_in",
        "logout": "scripts.admin.login:log_out",
        "list-audit-events": "scripts.admin.audit:list_events",
        "verify-audit-log": "scripts.admin.audit:verify",
        "prune-audit-log": "scripts.admin.audit:prune",
        "completion": "scripts.completion:admin",
    }
)


@click.group(commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sftp-mfa")
def main() -> None:
    """Administer accounts and their factors: over REST from anywhere, or as root on the host."""
