"""Schemathesis makes up requests from openapi.json and finds nothing wrong with the answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.accounts import Accounts
from web_host import ADMINISTRATORS, WebHost

_HERE = Path(__file__).parent
_MAIN = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
_GATES = "".join(
    f"[password_throttle.{gate}]\nfailures = 1000\n" for gate in ("account", "address")
)


@pytest.fixture
def plain_host() -> Iterator[WebHost]:
    """Run a host on loopback without TLS, which lets many wrong passwords be tried."""
    made = WebHost(tls=False, more=f"[access_tokens]\nmax_per_account = 1000\n{_GATES}")
    yield made
    made.close()


_PARTS = {
    "totp": "auth-factors/totp",
    "tokens": "auth-factors/access",
    "sessions": "sessions|recovery-codes|bar$|unlock$",
    "rest": "",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", _PARTS)
@pytest.mark.parametrize("groups", [[], [ADMINISTRATORS]], ids=["user", "administrator"])
def test_no_check_of_schemathesis_fails(
    plain_host: WebHost, accounts: Accounts, groups: list[str], part: str
) -> None:
    """All its checks, on every endpoint, as somebody who is logged in and confirmed.

    In parts, which run at the same time: each endpoint is tried with a wrong password once, and
    that waits for seconds.
    """
    account = accounts.make(groups=groups)
    plain_host.installation.enroll(account.name)
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(_HERE / "schemathesis_hooks.py"),
        "SFTP_MFA_CONFIG": str(plain_host.installation.config),
        "SFTP_MFA_TEST_ACCOUNT": account.name,
        "SFTP_MFA_TEST_PASSWORD": account.password,
    }
    argv = ["--config-file", str(_HERE / "schemathesis.toml"), "run"]
    argv += [f"{plain_host.url}/api/v1/openapi.json", "--checks=all", "--max-examples=5"]
    argv += ["--continue-on-failure", "--no-color", "--seed=1", "--max-failures=20"]
    if part == "rest":
        argv += [f"--exclude-path-regex={regex}" for regex in _PARTS.values() if regex]
    else:
        argv += [f"--include-path-regex={_PARTS[part]}"]
    ended = subprocess.run(
        [sys.executable, "-P", "-c", _MAIN, *argv],
        env=environment,
        cwd=plain_host.installation.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-12_000:] + ended.stderr[-2000:]
    log = (plain_host.installation.folder / "serve-web.log").read_text()
    assert "Traceback" not in log
