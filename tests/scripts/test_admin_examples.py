"""Every example in the help of `sftp-mfa-admin`, run as it stands but for the names in it."""

import base64
import re
from pathlib import Path

import pytest
from admin_terminal import CODE, PASSWORD, Desk
from harness.accounts import Account, Accounts
from harness.sandbox import command
from help_examples import Example, examples_of, run_example

from scripts.admin.main import main
from store.clock import system_clock
from store.decisions import Attempt, Protocol
from store.otp import code_at, step_at
from store.sessions import Stage

EXAMPLES = examples_of(main, "sftp-mfa-admin")
ON_SERVER = re.compile(r" (login|logout|--server|--profile)\b")


def code_for(shown: str) -> str:
    """Give the code of the key that was shown."""
    key = re.findall(r"key:  ([A-Z2-7 ]+)", shown)[-1]
    return code_at(base64.b32decode(key.replace(" ", "")), step_at(system_clock()))


def names(desk: Desk, accounts: Accounts, folder: Path) -> dict[str, str]:
    """Have what the examples name, and say what it is called here."""
    installation = desk.host.installation
    made = {name: accounts.make().name for name in ("alice", "backup", "leaver", "mallory")}
    phone = installation.enroll(made["alice"])
    for name in ("backup", "leaver"):
        installation.issue_token(made[name])
    (token,) = installation.store.access_tokens.list(made["backup"])
    attempt = Attempt(made["alice"], Protocol.WEB, "192.0.2.1")
    _, session = installation.store.sessions.begin(attempt, Stage.FULL, "a browser")
    (folder / "services.csv").write_text(f"user,name\n{made['backup']},weekly\n")
    for file in ("names.txt", "leavers.txt", "returners.txt"):
        (folder / file).write_text(f"{made['alice']}\n")
    return {
        **made,
        "Xh3kQ9zA": token.id,
        "1f0c3a5b7d9e": phone.factor_id,
        "0c9f2e7b41d8": session.id,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_does_what_it_says(
    desk: Desk, accounts: Accounts, ruth: Account, tmp_path: Path, example: Example
) -> None:
    """With exit code 0, whatever is asked in between being answered."""
    settings = desk.settings()
    del settings["SFTP_MFA_SERVER"]
    settings["PATH"] = f"{Path(command('sftp-mfa-admin')).parent}:{settings['PATH']}"
    settings["SSL_CERT_FILE"] = str(desk.ca_file)
    answers = [(PASSWORD, lambda _: ruth.password), (CODE, code_for)]
    stands_for = {"ruth": ruth.name, "https://sftp.example.com": desk.host.url}
    if not ON_SERVER.search(example.line):
        settings["SFTP_MFA_CONFIG"] = str(desk.host.installation.config)
        stands_for |= names(desk, accounts, tmp_path)
        run_example(
            example.line,
            stands_for=stands_for,
            environment=settings,
            folder=tmp_path,
            answers=answers,
        )
        return
    # What goes to a server is typed by the administrator herself, at her own desk.
    settings["HOME"] = str(ruth.home)
    profile = ruth.home / ".config" / "sftp-mfa" / "config.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f'[profiles.office]\nserver = "{desk.host.url}"\n')
    lines = [example.line]
    if example.command != "login":
        lines.insert(0, "sftp-mfa-admin login --server https://sftp.example.com")
    for line in lines:
        run_example(
            line,
            stands_for=stands_for,
            environment=settings,
            folder=ruth.home,
            answers=answers,
            user=ruth.name,
        )
