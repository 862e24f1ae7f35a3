"""`sftp-mfa-admin` against the real server, typed in a terminal: every way in, every refusal."""

import os
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from admin_terminal import CODE, PASSWORD, Conversation, Desk, Ended
from harness.accounts import Account
from harness.installation import ROOT
from harness.sandbox import free_port
from sqlalchemy import delete
from web_host import make_certificate

from store.access_tokens import Scope
from store.clock import system_clock
from store.opening import open_store
from store.schema import access_tokens
from store.settings import load

LIST = "list-auth-factor-access-token"


def one_line(told: Ended) -> str:
    """Give what was said of an error, which is one line."""
    text = told.errors or told.output
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def test_without_mfa_the_password_is_enough(desk: Desk, ruth: Account, account: Account) -> None:
    """An administrator lists a user's tokens; the session ends with the command."""
    desk.host.installation.issue_token(account.name)
    told = desk.type(LIST, account.name, "--as", ruth.name).answer(PASSWORD, ruth.password).end()
    assert told.status == 0, told.output
    assert "job" in told.output
    assert ruth.password not in told.output
    assert desk.host.installation.store.sessions.list(ruth.name) == []


def test_with_mfa_the_code_is_asked(desk: Desk, ruth: Account) -> None:
    """Password, then the code, by the server's own prompt."""
    phone = desk.host.installation.enroll(ruth.name)
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
    told = talk.answer(CODE, phone.code()).end()
    assert told.status == 0, told.output
    assert "NAME" in told.output
    assert phone.code() not in told.output


def test_a_recovery_code_is_taken_for_the_code(desk: Desk, ruth: Account) -> None:
    """As everywhere."""
    desk.host.installation.enroll(ruth.name)
    code = desk.host.installation.store.recovery_codes.renew(ruth.name, ROOT)[3].text()
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
    assert talk.answer(CODE, code).end().status == 0


def test_a_wrong_code_and_then_the_right_one(desk: Desk, ruth: Account) -> None:
    """Said in the server's words, and asked again; one that is no code is asked again too."""
    phone = desk.host.installation.enroll(ruth.name)
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
    talk.answer(CODE, phone.wrong_codes(1)[0]).expect("The code is wrong")
    talk.answer(CODE, "1234").expect("A code has 6 digits")
    assert talk.answer(CODE, phone.code()).end().status == 0


def test_a_wrong_password_and_then_the_right_one(desk: Desk, ruth: Account) -> None:
    """Three tries."""
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, "wrong")
    talk.expect("Account or password is wrong")
    assert talk.answer(PASSWORD, ruth.password).end().status == 0
    talk = desk.type(LIST, "me", "--as", ruth.name)
    for _ in range(3):
        talk.answer(PASSWORD, "wrong")
    told = talk.end()
    assert told.status == 1
    assert one_line(told) == "error: Account or password is wrong"


def test_locked_codes_are_told_with_the_time(desk: Desk, ruth: Account) -> None:
    """A right code does not help, and the line says when it will."""
    phone = desk.host.installation.enroll(ruth.name)
    wrong = phone.wrong_codes(5)
    for codes in (wrong[:3], wrong[3:]):
        talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
        for code in codes:
            talk.answer(CODE, code)
        if len(codes) == 3:
            talk.end()
    told = talk.end()
    assert told.status == 1
    assert re.search(r"locked the code check; try again in 1[45] minutes", one_line(told))
    talk = desk.type(LIST, "me", "--as", ruth.name).answer(PASSWORD, ruth.password)
    told = talk.answer(CODE, phone.code()).end()
    assert "Wrong codes have locked" in one_line(told)


def test_who_is_no_administrator_is_told_so(desk: Desk, account: Account, ruth: Account) -> None:
    """By name; their own account is theirs to work on."""
    talk = desk.type(LIST, ruth.name, "--as", account.name).answer(PASSWORD, account.password)
    told = talk.end()
    assert told.status == 1
    assert one_line(told) == (
        "error: This is not yours: Only administrators work on other accounts. "
        f"You are signed in as {account.name}, who is none."
    )
    talk = desk.type("show-user", "me", "--as", account.name).answer(PASSWORD, account.password)
    told = talk.end()
    assert told.status == 0
    assert account.name in told.output


def test_a_token_needs_nobody(desk: Desk, ruth: Account, tmp_path: Path) -> None:
    """From the environment, from a file of one's own, from the first line of standard input."""
    token = desk.host.installation.issue_token(ruth.name, scopes=(Scope.API,)).text()
    assert desk.run(LIST, "me", SFTP_MFA_TOKEN=token).status == 0
    assert desk.run(LIST, "me", "--token-stdin", given=f"{token}\n").status == 0
    told = desk.type(LIST, "me", "--token-stdin").answer("Access token: ", token).end()
    assert told.status == 0
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    file.chmod(0o600)
    assert desk.run(LIST, "me", "--token-file", str(file)).status == 0


def test_a_token_is_its_owners_whoever_is_to_sign_in(
    desk: Desk, ruth: Account, tmp_path: Path
) -> None:
    """`--as` beside a token contradicts it, wherever the token is; nothing is sent."""
    file = tmp_path / "token"
    profiles = tmp_path / ".config" / "sftp-mfa" / "config.toml"
    profiles.parent.mkdir(parents=True)
    profiles.write_text(f'[profiles.p]\nserver = "https://127.0.0.1:9"\ntoken_file = "{file}"\n')
    token = "smfa_" + "0" * 57
    said = "Error: --as is for who signs in, and {} has a token: leave one of them away\n"
    for options, more, place in (
        (["--token-file", str(file)], {}, str(file)),
        (["--token-stdin"], {}, "standard input"),
        (["--profile", "p"], {}, str(file)),
        ([], {"SFTP_MFA_TOKEN": token}, "SFTP_MFA_TOKEN"),
    ):
        refused = desk.run(LIST, "me", "--as", ruth.name, *options, **more)
        assert refused.status == 2, refused.errors
        assert refused.errors.endswith(said.format(place))


def test_what_is_no_text_is_told_in_one_line(desk: Desk, ruth: Account) -> None:
    """Python's own error would have what was read in its text, or a traceback around it."""
    more = {"PYTHONIOENCODING": "ascii:strict"}
    refused = desk.run(LIST, "me", "--token-stdin", given=f"smfa_{'0' * 57}\n\xe4", **more)
    assert refused.status == 1
    assert "holds no access token" in one_line(refused)
    told = desk.type(LIST, "me", "--as", ruth.name).raw(PASSWORD, b"precious\xe4\n").end()
    assert told.status == 1
    assert told.lines[-1] == "error: what was typed is not UTF-8: set the terminal to UTF-8"
    assert "precious" not in told.output


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_file_that_others_can_open_is_refused(
    desk: Desk, ruth: Account, tmp_path: Path, mode: int
) -> None:
    """As ssh refuses such keys."""
    token = desk.host.installation.issue_token(ruth.name, scopes=(Scope.API,)).text()
    file = tmp_path / "token"
    file.write_text(token)
    file.chmod(mode)
    refused = desk.run(LIST, "me", "--token-file", str(file))
    assert refused.status == 1
    assert one_line(refused) == f"error: {file}: open to group or others; must not be (chmod 600)"


def test_a_token_file_of_somebody_else_is_refused(
    desk: Desk, account: Account, tmp_path: Path
) -> None:
    """Nor one that is reached by a link."""
    token = desk.host.installation.issue_token(account.name, scopes=(Scope.API,)).text()
    file = tmp_path / "token"
    file.write_text(token)
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    assert desk.run(LIST, "me", "--token-file", str(tmp_path / "link")).status == 1
    os.chown(file, account.uid, -1)
    refused = desk.run(LIST, "me", "--token-file", str(file))
    assert "must be your own" in one_line(refused)


def revoked(desk: Desk, owner: Account) -> str:
    """Make a token that was revoked."""
    token = desk.host.installation.issue_token(owner.name, scopes=(Scope.API,)).text()
    desk.host.installation.store.access_tokens.revoke_all(owner.name, ROOT)
    return token


def expired(desk: Desk, owner: Account) -> str:
    """Make a token that has ended."""
    settings = load(desk.host.installation.config)
    yesterday = open_store(settings, lambda: system_clock() - 86_400_000)
    end = datetime.now(UTC) - timedelta(hours=1)
    tokens = yesterday.access_tokens
    token = tokens.issue(owner.name, "t", ROOT, scopes=(Scope.API,), expires_at=end)[0].text()
    yesterday.close()
    return token


def unknown(desk: Desk, owner: Account) -> str:
    """Make up a token with a right checksum; the account that had it is as if it never had."""
    other = open_store(load(desk.host.installation.config))
    name = f"{owner.name}-left"
    token = other.access_tokens.issue(name, "t", ROOT, scopes=(Scope.API,))[0].text()
    with other.units.begin() as work:
        work.connection.execute(delete(access_tokens).where(access_tokens.c.id == token[5:13]))
    other.accounts.forget(name, ROOT)
    other.close()
    return token


@pytest.mark.parametrize("make", [revoked, expired, unknown])
def test_a_token_that_opens_nothing(
    desk: Desk, ruth: Account, make: Callable[[Desk, Account], str]
) -> None:
    """One line for all of them, as the server tells strangers no more."""
    refused = desk.run(LIST, "me", SFTP_MFA_TOKEN=make(desk, ruth))
    assert refused.status == 1
    assert one_line(refused) == (
        "error: The access token opens nothing: it is unknown, revoked, expired or not for this "
        "network; issue another"
    )


def test_a_token_for_something_else(desk: Desk, ruth: Account) -> None:
    """What is no token is not sent at all, and what has another scope is told so."""
    token = desk.host.installation.issue_token(ruth.name).text()
    refused = desk.run(LIST, "me", SFTP_MFA_TOKEN=token)
    assert "The scope api is needed" in one_line(refused)
    refused = desk.run(LIST, "me", SFTP_MFA_TOKEN=ruth.password)
    assert one_line(refused).startswith("error: SFTP_MFA_TOKEN holds no access token")
    assert ruth.password not in refused.errors


def test_nobody_serves_there(desk: Desk) -> None:
    """Exit code 3, as for all that is broken."""
    address = f"https://127.0.0.1:{free_port()}"
    refused = desk.run("login", "--server", address)
    assert refused.status == 1  # there is no terminal to ask at
    token = "smfa_" + "0" * 57
    refused = desk.run(LIST, "me", "--server", address, SFTP_MFA_TOKEN=token)
    assert refused.status == 3
    assert one_line(refused) == (
        f"error: {address}: nobody serves there; check the address and the service"
    )
    told = desk.type(LIST, "me", "--server", address).end()  # and no password is asked
    assert told.status == 3
    assert "nobody serves there" in one_line(told)


def test_there_is_no_such_host(desk: Desk) -> None:
    """The name may be mistyped."""
    token = "smfa_" + "0" * 57
    refused = desk.run(LIST, "me", "--server", "https://no.such.host", SFTP_MFA_TOKEN=token)
    assert refused.status == 3
    assert "there is no such host" in one_line(refused)


def test_a_certificate_that_is_not_trusted(desk: Desk, tmp_path: Path) -> None:
    """No password is asked for, nothing is sent, and the line says what to do."""
    make_certificate(tmp_path, "another authority")
    told = desk.type("login", "--ca-file", str(tmp_path / "cert.pem")).end()
    assert told.status == 3
    assert "the certificate is not trusted" in one_line(told)
    assert "--ca-file" in one_line(told)
    refused = desk.run("login", "--ca-file", str(tmp_path / "key.pem"))
    assert refused.status == 3
    assert "no certificates in PEM form" in one_line(refused)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://sftp.example.com", "sent over https only; use https://sftp.example.com"),
        ("http://127.0.0.1.example.com", "sent over https only"),
        ("ftp://sftp.example.com", "not the address of a server"),
        ("sftp.example.com", "not the address of a server"),
        ("https://user:password@sftp.example.com", "not the address of a server"),
        ("https://sftp.example.com/?a=b", "not the address of a server"),
        ("https://[", "not the address of a server"),
    ],
)
def test_an_address_that_is_not_safe(desk: Desk, address: str, said: str) -> None:
    """Refused before anything is asked or sent."""
    refused = desk.run(LIST, "me", "--server", address)
    assert refused.status == 1
    assert said in one_line(refused)


def test_a_job_without_credentials_is_told_what_to_do(desk: Desk) -> None:
    """There is nobody to ask."""
    refused = desk.run(LIST, "me")
    assert refused.status == 1
    for word in ("sftp-mfa-admin login", "SFTP_MFA_TOKEN", "--token-file", "--token-stdin"):
        assert word in one_line(refused)


def at_the_password(desk: Desk, owner: Account) -> Conversation:
    """Wait at the first prompt."""
    return desk.type(LIST, "me", "--as", owner.name).wait_for(PASSWORD)


def at_the_code(desk: Desk, owner: Account) -> Conversation:
    """Wait at the second one."""
    desk.host.installation.enroll(owner.name)
    talk = desk.type(LIST, "me", "--as", owner.name).answer(PASSWORD, owner.password)
    return talk.wait_for(CODE)


@pytest.mark.parametrize("prompt", [at_the_password, at_the_code])
def test_an_interrupted_prompt_leaves_the_terminal_as_it_was(
    desk: Desk, ruth: Account, prompt: Callable[[Desk, Account], Conversation]
) -> None:
    """By Ctrl-C: exit code 130; by Ctrl-D: nothing was given."""
    told = prompt(desk, ruth).press("c").end()
    assert (told.status, told.output.strip()) == (130, "")
    talk = at_the_password(desk, ruth).press("z")  # which is not listened to here
    assert talk.press("c").end().status == 130
    told = at_the_password(desk, ruth).press("d").end()
    assert told.status == 1
    assert one_line(told) == "error: nothing was given"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_killed_prompt_leaves_the_terminal_as_it_was(
    desk: Desk, ruth: Account, number: signal.Signals
) -> None:
    """By what ends programs too, but for SIGKILL."""
    assert at_the_password(desk, ruth).signal(number).end().status == 128 + number
