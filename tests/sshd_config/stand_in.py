"""The shipped PAM stack with stand-ins for our module, so that libpam's own rules can be seen."""

import re
import subprocess
from pathlib import Path

from harness.accounts import Account
from harness.pam import PamServices
from harness.sandbox import checkout

# What Linux-PAM's pam_debug can return, by its names.
RESULTS = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
]

# A module that keeps the promises of ours: once told of a refusal it does not ask for a code.
_MODULE = """\
#!/bin/sh
grep -q refused {trace} && exit 1
echo "$1" >>{trace}
"""


def says(auth: str, cred: str = "success") -> str:
    """Return a module that gives these results for a login and for setcred."""
    return f"pam_debug.so auth={auth} cred={cred} acct={auth}"


class Stack:
    """The shipped stack on one variant of common-auth, and what it did."""

    def __init__(
        self,
        services: PamServices,
        folder: Path,
        *,
        common_auth: str = "@include common-auth\n",
        password: str = says("ignore"),
        code: str | None = None,
        account: str = says("success"),
    ) -> None:
        """Install it, with these modules in place of our lines."""
        self._trace = folder / "trace"
        self._trace.touch()
        script = folder / "module"
        script.write_text(_MODULE.format(trace=self._trace))
        script.chmod(0o755)
        self._modules = {
            "password": password,
            "refused": f"pam_exec.so quiet {script} refused",
            "code": code or f"pam_exec.so quiet {script} code",
            "": account,
        }
        names = {"common-auth": services.install(common_auth)}
        for file in ("sftp-mfa-refused", "sftp-mfa-gate", "sftp-mfa"):
            names[file] = services.install(self._render(file, names))
        self.service = names["sftp-mfa"]

    def authenticate(self, account: Account, password: str) -> bool:
        """Log in as far as the auth lines go."""
        return _pamtester(self.service, account.name, "authenticate", given=f"{password}\n")

    def admits(self, account: Account) -> bool:
        """Tell whether the account lines let an account in."""
        return _pamtester(self.service, account.name, "acct_mgmt")

    @property
    def trace(self) -> list[str]:
        """Tell which lines of ours were reached after the password, `refused` or `code`."""
        return self._trace.read_text().split()

    def _render(self, file: str, names: dict[str, str]) -> str:
        text = (checkout() / "sshd_config" / "pam.d" / file).read_text()
        for name, installed in names.items():
            text = re.sub(rf"(?m)^(auth .*\s){name}$", rf"\1{installed}", text)
        return re.sub(
            r"(?m)^([^#\n]*)pam_sftp_mfa\.so ?(\w*)$", lambda m: m[1] + self._modules[m[2]], text
        )


def _pamtester(service: str, user: str, action: str, given: str = "") -> bool:
    ended = subprocess.run(
        ["pamtester", service, user, action],
        input=given,
        text=True,
        capture_output=True,
        check=False,
    )
    return ended.returncode == 0
