"""The throw-away systems themselves."""

import os
from pathlib import Path

import pytest
from harness import roots, sandbox
from harness.waiting import until

pytestmark = pytest.mark.system


@pytest.mark.parametrize("suite", roots.SUITES)
def test_is_a_system_of_its_own(suite: str) -> None:
    """It is the suite asked for, and what is done in it stays in it."""
    with roots.debian(suite, network=True) as root:
        assert f"VERSION_CODENAME={suite}" in root.read("/etc/os-release")
        root.write("/etc/sftp-mfa/some/file", "text", mode=0o600)
        assert root.shell("cat /etc/sftp-mfa/some/file; stat -c %a /etc/sftp-mfa/some/file") == (
            "text600\n"
        )
        root.run("useradd", "--system", "somebody")
        assert root.shell("ip -brief address show lo").split()[1:3] == ["UNKNOWN", "127.0.0.1/8"]
        assert root.run("id", "-u", "nobody-of-that-name", check=False).returncode == 1
    assert not (roots.folder(suite) / "etc/sftp-mfa").exists()
    assert "somebody" not in (roots.folder(suite) / "etc/passwd").read_text()


def test_ends_with_everything_in_it() -> None:
    """A daemon that was left running is gone with the system, and so are its mounts."""
    mounts = Path("/proc/self/mounts").read_text()
    with roots.debian("bookworm") as root:
        root.shell("setsid --fork sleep 1000 >/dev/null 2>&1")
        assert root.run("pgrep", "--full", "sleep 1000").stdout
        first = root.first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert Path("/proc/self/mounts").read_text() == mounts


def test_daemons_leave_no_zombies() -> None:
    """Its first process meets the end of what was orphaned."""
    with roots.debian("bookworm") as root:
        root.shell("setsid --fork true; setsid --fork true")
        until(lambda: "Z" not in root.run("ps", "-eo", "stat=").stdout, "no zombies")


def test_sees_what_is_shared_and_cannot_change_it() -> None:
    """A shared folder has its own path and is read-only."""
    checkout = sandbox.checkout()
    with roots.debian("bookworm", shared=[checkout]) as root:
        assert root.run("cat", checkout / "LICENSE").stdout == (checkout / "LICENSE").read_text()
        assert root.run("touch", checkout / "LICENSE", check=False).returncode != 0


@pytest.mark.parametrize("suite", roots.SUITES)
def test_runs_systemd(suite: str) -> None:
    """It starts services in a sandbox of theirs, and ends with the system."""
    with roots.debian(suite, systemd=True) as root:
        assert root.run("systemctl", "is-active", "ssh.service").stdout == "active\n"
        root.write(
            "/run/systemd/system/tried.service",
            "[Service]\nType=oneshot\nProtectSystem=strict\nExecStart=touch /etc/file\n",
        )
        assert root.run("systemctl", "start", "tried.service", check=False).returncode == 1
        assert "Read-only file system" in root.run("journalctl", "--unit=tried.service").stdout
