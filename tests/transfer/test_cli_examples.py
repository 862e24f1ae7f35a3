"""Every example of --help, run as it stands at a real host."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest
from harness.accounts import Account
from hosts import Host
from traveller import Traveller

from scripts.transfer.command import cli

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = [
    line.strip()
    for command in cli.commands.values()
    if command.name != "completion"  # which all programs have: see tests/scripts
    for line in (command.help or "").splitlines()
    if line.strip().startswith("sftp-mfa-cli ")
]


def test_every_command_has_an_example() -> None:
    """And all commands together have those that are run below."""
    for name in set(cli.commands) - {"completion"}:
        assert any(f"sftp-mfa-cli {name} " in example for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(
    host: Host, account: Account, traveller: Traveller, example: str, tmp_path: Path
) -> None:
    """The host's name is an alias in ~/.ssh/config; what the examples speak of is there."""
    for folder in (account.home, traveller.home):
        for name in ("report.pdf", "photos/a.jpg", "old/b", "inbox/today.pdf", "inbox/c.tmp"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
        for name in ("logs/d.log", "notes/2026-01.txt", "reports/e.pdf"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
        (folder / "backup").mkdir()
    for path in (account.home, *account.home.rglob("*")):
        os.chown(path, account.uid, account.uid)
    traveller.config.write_text(
        f"Host files.example.org\n  HostName {host.sshd.host}\n  Port {host.sshd.port}\n"
        f"Match host {host.sshd.host}\n  User {account.name}\n"
        f"  UserKnownHostsFile {traveller.known_hosts}\n"
    )
    traveller.token = host.installation.issue_token(account.name).text()
    words = shlex.split(example.replace("alice@", f"{account.name}@"))
    assert words[0] == "sftp-mfa-cli"
    seen = traveller.run(*(word.replace("/tmp", str(tmp_path)) for word in words[1:]))  # noqa: S108
    assert seen.code == 0, seen.screen


def test_exit_codes_are_documented() -> None:
    """In --help and in the README."""
    from scripts.transfer.errors import Exit  # noqa: PLC0415

    text = (ROOT / "scripts" / "README.md").read_text()
    shown = cli.get_help(click.Context(cli))
    for code in Exit:
        assert f"| {code.value} |" in text, code
        assert re.search(rf"\n +{code.value}  ", shown), code


@pytest.mark.parametrize("name", sorted(set(cli.commands) - {"completion"}))
def test_command_is_in_the_readme(name: str) -> None:
    """Every command stands there."""
    assert f"`{name}`" in (ROOT / "scripts" / "README.md").read_text()
