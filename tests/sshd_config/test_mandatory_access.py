"""What is shipped for SELinux and AppArmor is well-formed; this kernel cannot enforce either."""

import pytest
from harness import roots, sandbox

pytestmark = pytest.mark.system

_PROFILE = """\
abi <abi/3.0>,
include <tunables/global>
profile sshd /usr/sbin/sshd {{
{rules}
}}
"""


def test_selinux_module_compiles() -> None:
    """Its own tools make a module of it."""
    source = sandbox.checkout() / "sshd_config" / "selinux"
    with roots.debian("bookworm-build", shared=[source]) as root:
        root.run("checkmodule", "-M", "-m", "-o", "/sftp_mfa.mod", source / "sftp_mfa.te")
        files = source / "sftp_mfa.fc"
        root.run("semodule_package", "-o", "/m.pp", "-m", "/sftp_mfa.mod", "-f", files)
        assert root.path("/m.pp").stat().st_size > 0


def test_apparmor_rules_are_accepted() -> None:
    """In a profile of sshd."""
    rules = (sandbox.checkout() / "sshd_config" / "apparmor" / "sftp-mfa").read_text()
    with roots.debian("bookworm-build") as root:
        root.write("/profile", _PROFILE.format(rules=rules))
        root.run("apparmor_parser", "--skip-kernel-load", "--skip-cache", "/profile")
