"""`login` and `logout`: a session that lasts over many commands, and how it is kept."""

import json
import stat
from pathlib import Path

import pytest
from admin_terminal import CODE, PASSWORD, Desk
from harness.accounts import Account, Accounts
from harness.installation import ROOT
from harness.sandbox import command
from web_host import WebHost

from store.audit import Actor
from store.decisions import Attempt, Protocol
from store.sessions import Stage

LIST = "list-auth-factor-access-token"
TTY = "This needs a fresh confirmation"


def state_file(desk: Desk) -> Path:
    """Give the one file that login has made."""
    (file,) = (desk.home / ".local" / "state" / "sftp-mfa").iterdir()
    return file


def log_in(desk: Desk, account: Account, *codes: str) -> None:
    """Log in, once for all commands."""
    talk = desk.type("login", "--as", account.name).answer(PASSWORD, account.password)
    for code in codes:
        talk.answer(CODE, code)
    told = talk.end()
    assert told.status == 0, told.output
    assert f"Signed in to {desk.host.url} as {account.name}; `logout` ends it." in told.output


def test_a_session_lasts_until_it_is_ended(desk: Desk, ruth: Account) -> None:
    """Jobs need no terminal while it does; its end holds on the server too."""
    phone = desk.host.installation.enroll(ruth.name)
    log_in(desk, ruth, phone.code())
    assert desk.run(LIST, "me").status == 0
    assert desk.run("show-user", "me").output.startswith(ruth.name)
    (session,) = desk.host.installation.store.sessions.list(ruth.name)
    file = state_file(desk)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    secret = json.loads(file.read_text())["secret"]
    assert secret not in desk.run("list-sessions", "me", "--json").output
    refused = desk.run("logout", "--as", "somebody")
    assert (refused.status, "nobody else is, logged in" in refused.errors) == (1, True)
    ended = desk.run("logout")
    assert ended.status == 0
    assert session.id not in [s.id for s in desk.host.installation.store.sessions.list(ruth.name)]
    assert list(file.parent.iterdir()) == []
    refused = desk.run("logout")
    assert refused.status == 1
    assert "nobody is logged in" in refused.errors


def test_a_second_login_ends_the_first_session(desk: Desk, ruth: Account) -> None:
    """Nobody could end it any more."""
    log_in(desk, ruth)
    log_in(desk, ruth)
    assert len(desk.host.installation.store.sessions.list(ruth.name)) == 1


def test_a_session_that_is_over(desk: Desk, ruth: Account) -> None:
    """A job is told, in one line; a person is asked anew, and goes on with what was wanted."""
    log_in(desk, ruth)
    desk.host.installation.store.sessions.end_others(ruth.name, ROOT)
    refused = desk.run(LIST, "me")
    assert refused.status == 1
    assert "run `sftp-mfa-admin login` again" in refused.errors.splitlines()[-1]
    log_in(desk, ruth)
    desk.host.installation.store.sessions.end_others(ruth.name, ROOT)
    talk = desk.type(LIST, "me").expect("is over").answer(PASSWORD, ruth.password)
    assert talk.end().status == 0
    assert desk.run(LIST, "me").status == 0  # and the new one is kept


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_kept_session_that_others_can_read_is_not_used(
    desk: Desk, ruth: Account, mode: int
) -> None:
    """Somebody has changed it."""
    log_in(desk, ruth)
    state_file(desk).chmod(mode)
    refused = desk.run(LIST, "me")
    assert refused.status == 1
    assert "open to group or others" in refused.errors


def test_a_login_takes_the_place_of_what_cannot_be_read(desk: Desk, ruth: Account) -> None:
    """That is what the message says to do."""
    log_in(desk, ruth)
    file = state_file(desk)
    file.write_text("{")
    assert "log in anew" in desk.run(LIST, "me").errors
    log_in(desk, ruth)
    assert desk.run(LIST, "me").status == 0


def test_another_account_does_not_use_the_session(
    desk: Desk, ruth: Account, account: Account
) -> None:
    """Who says who signs in is asked."""
    log_in(desk, ruth)
    talk = desk.type("show-user", "me", "--as", account.name).answer(PASSWORD, account.password)
    assert account.name in talk.end().output
    assert desk.run("show-user", "me").output.startswith(ruth.name)


def test_a_logout_without_the_server(desk: Desk, ruth: Account, web_host_to_stop: WebHost) -> None:
    """It is forgotten here all the same, and told that the server was not."""
    desk.host = web_host_to_stop
    log_in(desk, ruth)
    web_host_to_stop.web.stop()
    refused = desk.run("logout")
    assert refused.status == 3
    assert "nobody serves there" in refused.errors
    assert list((desk.home / ".local" / "state" / "sftp-mfa").iterdir()) == []


def test_what_needs_a_confirmation_asks_the_code_and_goes_on(
    desk: Desk, ruth: Account, account: Account, host_of_still_clock: WebHost
) -> None:
    """Ten minutes after the last one; who has no authenticator gives the password."""
    desk.host = host_of_still_clock
    clock = host_of_still_clock.installation.clock
    assert clock is not None
    phone = host_of_still_clock.installation.enroll(ruth.name)
    log_in(desk, ruth, phone.code())
    clock.forward(minutes=11)
    job = desk.run("bar-user", account.name)
    assert job.status == 1
    assert "a code of the last 10 minutes is needed" in job.errors
    talk = desk.type("bar-user", account.name).expect(TTY).answer(CODE, phone.wrong_codes(1)[0])
    told = talk.expect("The code is wrong").answer(CODE, phone.code()).end()
    assert told.status == 0, told.output
    assert f"Barred {account.name}." in told.output
    assert desk.run("unbar-user", account.name).status == 0  # the new secret is kept
    # Without an authenticator.
    host_of_still_clock.installation.store.totp_factors.delete_all(ruth.name, ROOT)
    log_in(desk, ruth)
    clock.forward(minutes=11)
    told = desk.type("bar-user", account.name).expect(TTY).answer(PASSWORD, ruth.password).end()
    assert told.status == 0, told.output
    assert len(host_of_still_clock.installation.store.sessions.list(ruth.name)) == 1


def test_another_commands_confirmation_does_not_end_this_ones_session(
    desk: Desk, ruth: Account
) -> None:
    """A confirmation changes the secret; who still has the old one looks for the new one."""
    log_in(desk, ruth)
    file = state_file(desk)
    kept = json.loads(file.read_text())
    store = desk.host.installation.store
    (session,) = store.sessions.list(ruth.name)
    talk = desk.type("add-auth-factor-totp", "me").expect("Verification code: ")
    secret, _ = store.sessions.rise(
        session, Actor(ruth.name, Protocol.API, "127.0.0.1", session.id)
    )
    file.write_text(json.dumps({**kept, "secret": secret.text()}))
    talk.line("000000").expect("the code is wrong")
    talk.press("c")
    assert talk.end().status == 130


def test_one_that_must_adopt_mfa_can_do_so_here(
    desk: Desk, accounts: Accounts, strict: WebHost
) -> None:
    """Anything else is refused, with the way to go."""
    desk.host = strict
    account = accounts.make(groups=["must-adopt"])
    refused = desk.type("list-sessions", "me", "--as", account.name)
    told = refused.answer(PASSWORD, account.password).end()
    assert told.status == 1
    assert "must use multi-factor authentication" in told.output
    log_in(desk, account)
    talk = desk.type("add-auth-factor-totp", "me").expect(r"key:  ([A-Z2-7 ]+)")
    told = talk.code_of(talk.found(1)).end()
    assert told.status == 0, told.output
    assert strict.installation.store.accounts.show(account.name).adopted_at is not None
    assert desk.run("list-sessions", "me").status == 0  # the session is a whole one now


def test_a_session_of_the_web_pages_is_none_here(desk: Desk, ruth: Account) -> None:
    """What login keeps is its own."""
    attempt = Attempt(ruth.name, Protocol.WEB, "192.0.2.1")
    desk.host.installation.store.sessions.begin(attempt, Stage.FULL, "a browser")
    log_in(desk, ruth)
    listed = json.loads(desk.run("list-sessions", "me", "--json").output)
    assert [(one["protocol"], one["current"]) for one in listed] == [("api", True), ("web", False)]


def test_a_keyring_is_used_where_there_is_one(desk: Desk, ruth: Account) -> None:
    """The desktop's own, over D-Bus: the file then has no secret."""
    script = (
        "echo -n opened | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1;"
        'exec "$@"'
    )
    wrapped = ["dbus-run-session", "--", "sh", "-c", script, "sh", "sh", "-c"]
    ca = desk.ca_file
    program = command("sftp-mfa-admin")
    lines = (
        f"{program} login --as {ruth.name} --ca-file {ca} && cat .local/state/sftp-mfa/* && "
        f"{program} show-user me --ca-file {ca} && {program} logout --ca-file {ca} && "
        f"ls -A .local/state/sftp-mfa"
    )
    talk = desk.spawn([*wrapped, lines]).answer(PASSWORD, ruth.password)
    told = talk.end()
    assert told.status == 0, told.output
    assert "The session is kept in the keyring." in told.output
    assert '"secret":null' in told.output
    assert f"{ruth.name}\n  MFA since" in told.output
    assert told.lines[-1] == f"Signed out of {desk.host.url}."
    assert desk.host.installation.store.sessions.list(ruth.name) == []
