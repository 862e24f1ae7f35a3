"""The story that the README tells, told to a real server by curl alone."""

import os
import re
import subprocess
from base64 import b32encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.accounts import Accounts
from harness.sandbox import checkout
from web_host import ADMINISTRATORS, WebHost

README = Path("web_admin") / "api" / "README.md"


@pytest.fixture
def plain_host() -> Iterator[WebHost]:
    """Run a host on loopback."""
    made = WebHost(tls=False)
    yield made
    made.close()


def test_the_readmes_story_is_true(plain_host: WebHost, accounts: Accounts, tmp_path: Path) -> None:
    """Every command succeeds, the file is there, and the audit has it all."""
    block = re.search(r"```sh\n(.*?)```", (checkout() / README).read_text(), re.DOTALL)
    assert block is not None
    alice, bob, ruth = accounts.make(), accounts.make(), accounts.make(groups=[ADMINISTRATORS])
    device = plain_host.installation.enroll(alice.name)
    sshd = plain_host.sshd
    environment = {
        **os.environ,
        "SERVER": plain_host.url,
        "SFTP": f"sftp -q -P {sshd.port} -oUserKnownHostsFile={sshd.known_hosts}"
        " -oNumberOfPasswordPrompts=1",
        "SFTP_HOST": sshd.host,
        "ALICE": alice.name,
        "ALICE_PASSWORD": alice.password,
        "ALICE_KEY": b32encode(device.secret).decode(),
        "BOB": bob.name,
        "RUTH": ruth.name,
        "RUTH_PASSWORD": ruth.password,
    }
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block[1]],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert (alice.home / "report.txt").read_text() == (tmp_path / "report.txt").read_text()
    assert plain_host.installation.store.accounts.show(bob.name).adopted_at
    lines = [line.split("\t")[1:] for line in told.stdout.splitlines() if "\t" in line]
    assert [ruth.name, "api", "token_revoked", ""] in lines
    assert [alice.name, "ssh", "login_granted", "token_accepted"] in lines
    assert [alice.name, "ssh", "login_denied", "token_revoked"] in lines
    assert [ruth.name, "api", "totp_completed", ""] in lines
    assert [alice.name, "api", "token_issued", ""] in lines
