"""A power failure, or kill -9, at every step of a command: all comes back, and people get in."""

import json
from pathlib import Path
from typing import Any

import pytest
from harness import installed_host, sandbox
from harness.installed_host import Host

pytestmark = pytest.mark.timeout(600)  # a whole system, and what is left of it at each step

_LOG_IN = """
/usr/sbin/sshd -D -p 2299 -o PidFile=none &
trap 'kill $!' EXIT
i=0; until ss -Hltn | grep -q :2299; do i=$((i + 1)); [ $i -lt 100 ]; sleep 0.05; done
echo pwd | SSH_ASKPASS=/root/askpass SSH_ASKPASS_REQUIRE=force setsid sftp -oBatchMode=no -b - \\
    -P 2299 -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null \\
    -oNumberOfPasswordPrompts=1 -oPubkeyAuthentication=no -oLogLevel=ERROR ann@127.0.0.1
"""
_IN_THE_MIDDLE = """
last=$(grep -rl '"has_factor":false' /kept/install --include=unfinished.json | sort | tail -n 1)
cp -a "${last%/var/*}" /middle
mount --bind /middle/etc /etc
mount --bind /middle/var/backups/sftp-mfa /var/backups/sftp-mfa
"""
_IN = "Remote working directory"


_LIST = f"{installed_host.LIST}cd /etc; cat passwd shadow group gshadow"


@pytest.mark.parametrize("suite", installed_host.PYTHONS)
def test_every_step(suite: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Of `install`, of the way back from it, and of `uninstall`."""
    with installed_host.host(suite, tmp_path) as host:
        host.start_helper()
        host.make_user("ann")
        assert host.gets_in("ann")  # and leaves its askpass
        before = host.root.shell(_LIST)
        host.watch_steps()
        keep(host, "install")
        keep(host, "recover-install", _IN_THE_MIDDLE)
        keep(host, "uninstall")
        for left in power_failures(host):
            with subtests.test(left["step"]):
                check(left, before)


def keep(host: Host, command: str, begin: str = "") -> None:
    """Run a command, and keep what a power failure would leave at each step."""
    script = f"{begin}\nKEEP=/kept/{command} sftp-mfa {command}"
    host.root.shell(f"mkdir -p /kept/{command}")
    host.root.run("unshare", "--mount", "sh", "-euc", script)


def power_failures(host: Host) -> list[dict[str, Any]]:
    """Look at each machine that one would have left, after its next boot."""
    script = sandbox.checkout() / "tests" / "installation" / "power_failures.py"
    python = "/usr/lib/sftp-mfa/bin/python"
    said = host.root.run(python, "-I", script, "/kept", _LIST, _LOG_IN, timeout=250)
    found = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    assert len(found) == len(host.root.shell("ls -d /kept/*/*").splitlines())
    return found


def check(left: dict[str, Any], before: str) -> None:
    """Nobody is locked out, and everything comes back."""
    assert left["sshd"] == ""
    assert _IN in left.get("login", _IN)
    assert left["recovered"] in {0, None}
    assert left.get("uninstalled") in {0, None}
    assert left["after"] == before
    assert left["left"] == []
