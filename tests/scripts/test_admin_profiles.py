"""Where `sftp-mfa-admin` goes: options, environment, profiles; and servers that are not ours."""

import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from admin_terminal import Desk
from harness.accounts import Account
from odd_server import answering, http

from scripts.admin import transport
from scripts.admin.administration import AccessToken, Page, RoadError
from scripts.admin.common import TOKEN_COLUMNS
from scripts.admin.output import Form, csv_cell, print_csv, print_page, print_table, printable
from scripts.admin.transport import Transport
from store.access_tokens import Scope

LIST = "list-auth-factor-access-token"
TOKEN = "smfa_" + "0" * 57
_PROBLEM = "application/problem+json"


def write_profiles(desk: Desk, text: str, mode: int = 0o644) -> Path:
    """Write somebody's file."""
    file = desk.home / ".config" / "sftp-mfa" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_profile_names_the_server_and_all_that_belongs_to_it(desk: Desk, ruth: Account) -> None:
    """By name, by the environment, or as the default."""
    token = desk.host.installation.issue_token(ruth.name, scopes=(Scope.API,)).text()
    file = desk.home / "token"
    file.write_text(token)
    file.chmod(0o600)
    write_profiles(
        desk,
        'default = "office"\n'
        "[profiles.office]\n"
        f'server = "{desk.host.url}"\nca_file = "{desk.ca_file}"\ntoken_file = "{file}"\n'
        f'account = "{ruth.name}"\n'
        '[profiles.elsewhere]\nserver = "https://127.0.0.1:1"\n',
    )
    for options, more in (
        ([], {}),
        (["--profile", "office"], {"SFTP_MFA_SERVER": "https://127.0.0.1:1"}),
        ([], {"SFTP_MFA_PROFILE": "office"}),
    ):
        told = desk.run("show-user", "me", *options, **({"SFTP_MFA_SERVER": ""} | more))
        assert told.status == 0, told.errors
        assert told.output.startswith(ruth.name)
    told = desk.run(LIST, "me", "--profile", "elsewhere", SFTP_MFA_TOKEN=TOKEN)
    assert "127.0.0.1:1: nobody serves there" in told.errors
    config = str(desk.host.installation.config)
    told = desk.run(LIST, ruth.name, SFTP_MFA_SERVER="", SFTP_MFA_CONFIG=config, HOME="/")
    assert "--ca-file is for a server" in told.errors
    assert desk.on_host(LIST, ruth.name).status == 0  # the host's, in spite of the default


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "Object contains unknown field `x`; known are default, profiles"),
        (
            '[profiles.a]\nserver = "s"\nca = "x"',
            "profiles.NAME: Object contains unknown field `ca`",
        ),
        ("[profiles.a]\nserver = 1", "profiles.NAME.server: Expected `str`, got `int`"),
        ("[profiles.a]", "profiles.NAME: Object missing required field `server`"),
        ('default = "b"\n[profiles.a]\nserver = "s"', "there is no profile 'b'; known are a"),
        ("default = ", "not valid TOML"),
        ('[profiles.a]\nserver = "ftp://x"', "'ftp://x' is not the address of a server"),
    ],
)
def test_a_file_that_is_wrong_names_key_and_what_is_allowed(
    desk: Desk, text: str, said: str
) -> None:
    """In one line, with the file's name."""
    file = write_profiles(desk, text)
    refused = desk.run(LIST, "me", "--profile", "a")
    assert refused.status == 1
    assert said in refused.errors
    assert "ftp" in said or str(file) in refused.errors
    assert len(refused.errors.splitlines()) == 1


def test_a_file_that_others_can_write_is_refused(desk: Desk, account: Account) -> None:
    """It says where passwords go."""
    file = write_profiles(desk, '[profiles.a]\nserver = "https://x"\n', 0o664)
    assert "writable by group or others" in desk.run(LIST, "me", "--profile", "a").errors
    file.chmod(0o644)
    os.chown(file, account.uid, -1)
    assert "must be your own" in desk.run(LIST, "me", "--profile", "a").errors


def test_roads_that_contradict_each_other_are_refused(desk: Desk) -> None:
    """Nobody guesses which store is meant."""
    told = desk.run(LIST, "me", "--server", "https://x", "--config", "/x")
    assert (told.status, "not both" in told.errors) == (2, True)
    told = desk.run(LIST, "me", SFTP_MFA_CONFIG="/x")
    assert (told.status, "are both set" in told.errors) == (2, True)
    told = desk.run(LIST, "me", "--token-stdin", "--token-file", "/x")
    assert (told.status, "not both" in told.errors) == (1, True)
    told = desk.on_host("login")
    assert (told.status, "say which server" in told.errors) == (2, True)
    told = desk.run(LIST, "root", SFTP_MFA_SERVER="", trusting=False)
    assert (told.status, "this is no host of a store; say which server" in told.errors) == (1, True)
    told = desk.on_host(LIST, "me")
    assert (told.status, "`me` is for --server" in told.errors) == (1, True)


def test_a_redirect_is_not_followed(desk: Desk) -> None:
    """The token stays with the server that it was meant for."""
    with answering(b"") as thief:
        told = http("302 Found", b"", "text/html", f"Location: {thief.url}/api/v1/users/me")
        with answering(told) as server:
            refused = desk.run(LIST, "me", "--server", server.url, SFTP_MFA_TOKEN=TOKEN)
            assert f"Bearer {TOKEN}".encode() in server.requests[0]
        assert refused.status == 3
        assert f"sends on to '{thief.url}/api/v1/users/me'" in refused.errors
        assert thief.requests == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be understood"),
        (b"", "cannot be"),
        (http("200 OK", b"<html>"), "answers what this version does not understand"),
        (http("200 OK", b'{"name": 1}'), "answers what this version does not understand"),
        (http("404 Not Found", b"<html>", "text/html"), "it is no sftp-mfa"),
        (http("502 Bad Gateway", b"<html>", "text/html"), "answers with status 502: it is broken"),
        (http("503 x", b"{}", "application/problem+json"), "does not understand"),
        (http("200 OK", b'{"name": "\xff"}'), "does not understand"),
        (http("200 OK", b'{"x": ' + b"[" * 100_000), "does not understand"),
        (
            http("429 x", b'{"title":"Wait","code":"c"}', _PROBLEM, f"Retry-After: {'9' * 5000}"),
            "error: Wait",
        ),
        (
            http("403 x", b'{"title":"\\u001b[2Jx","code":"c"}', "application/problem+json"),
            "error: \\x1b[2Jx",
        ),
    ],
)
def test_a_server_that_is_none_of_ours(desk: Desk, answer: bytes, said: str) -> None:
    """One line without a traceback, and without what a terminal would act on."""
    with answering(answer) as server:
        refused = desk.run(LIST, "me", "--server", server.url, SFTP_MFA_TOKEN=TOKEN)
    assert refused.status in {1, 3}
    assert said in refused.errors
    assert len(refused.errors.splitlines()) == 1
    assert "\x1b" not in refused.errors


def test_an_answer_without_end_is_given_up(desk: Desk) -> None:
    """It would fill the memory."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        while True:
            connection.sendall(b" " * 65536)

    with answering(endless) as server:
        refused = desk.run(LIST, "me", "--server", server.url, SFTP_MFA_TOKEN=TOKEN)
    assert refused.status == 3
    assert "answers more than 16 MB: given up" in refused.errors


@pytest.mark.parametrize("count", [0, 201])
def test_a_list_without_end_is_given_up(desk: Desk, count: int) -> None:
    """So is one that gives more than was asked, or says that there is more and gives nothing."""
    times = dict.fromkeys(("createdAt", "expiresAt", "lastUsedAt"), "2026-11-24T12:00:00Z")
    token = {"id": "a", "name": "n", "scopes": [], "networks": [], "lastUsedAddress": None, **times}
    page = {"items": [token] * count, "nextCursor": "further"}
    none = dict.fromkeys(("knownSince", "adoptedAt", "barredAt", "lockedUntil"))
    account = {"name": "ruth", "wrongCodes": 0, **none}

    def answer(connection: socket.socket) -> None:
        value = page if b"/access-tokens" in server.requests[-1] else account
        connection.sendall(
            http("200 OK", json.dumps(value).encode(), "application/json", "Connection: close")
        )

    with answering(answer) as server:
        refused = desk.run(LIST, "me", "--server", server.url, SFTP_MFA_TOKEN=TOKEN)
    assert refused.status == 3
    assert "given up" in refused.errors
    assert len(refused.errors.splitlines()) == 1


@pytest.mark.parametrize("command", ["show-user", "unlock-user", "list-sessions"])
def test_names_from_a_server_are_shown_without_harm(desk: Desk, command: str) -> None:
    """What a terminal would act on is escaped, in a table and in a sentence."""
    times = dict.fromkeys(("knownSince", "adoptedAt", "barredAt", "lockedUntil"))
    session = {"id": "\x1b[2J", "protocol": "web", "stage": "full", "confirmed": True}
    session |= {"address": None, "agent": "\x1b[2J", "current": False}
    session |= dict.fromkeys(("createdAt", "seenAt"), "2026-11-24T12:00:00Z")
    found = [session] if command == "list-sessions" else []
    whole = {"name": "\x1b[2Jruth", "wrongCodes": 0, **times, "left": 0, "items": found}
    answer = http("200 OK", json.dumps(whole).encode(), "application/json", "Connection: close")
    with answering(answer) as server:
        told = desk.run(command, "ruth", "--server", server.url, SFTP_MFA_TOKEN=TOKEN)
    assert (told.status, told.errors) == (0, "")
    assert "\\x1b[2J" in told.output
    assert "\x1b" not in told.output


def test_an_answer_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No single wait is long, so the whole is bounded."""
    monkeypatch.setattr(transport, "_SECONDS", 0.5)

    def dripping(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.05)

    with answering(dripping) as server:
        client = Transport(server.url, None)
        with pytest.raises(RoadError, match="does not answer in time"):
            client.send("GET", "/users/me", headers={}, query={})
        client.close()


def test_spreadsheets_see_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    """Names are chosen by whoever has an account."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    token = AccessToken("id", '=HYPERLINK("x")', ("sftp",), (), at, None, None, "-1")
    print_csv(AccessToken, [token])
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("id,name,scopes,networks,createdAt")
    assert row == 'id,"\'=HYPERLINK(""x"")",sftp,,2026-01-02T00:00:00Z,,,\'-1'
    for start in "=+-@\t\r":
        assert csv_cell(f"{start}1") == f"'{start}1"


def test_a_table_keeps_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Wide characters take two columns, and what a terminal would act on is escaped."""
    print_table(["A", "B"], [["\u4f60\u597d", "x"], ["e\u0301", "\x1b[2J\u202e"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["A     B", "\u4f60\u597d  x", "e\u0301     \\x1b[2J\\u202e"]
    assert printable("a\nb") == "a\\nb"


def test_a_page_tells_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """The cursor is the server's word."""
    page: Page[AccessToken] = Page([], "\x1b[2J")
    print_page(Form.TABLE, AccessToken, page, TOKEN_COLUMNS, "--cursor")
    assert capsys.readouterr().err == "more: --cursor \\x1b[2J\n"


def test_json_has_names_as_they_are(job: Desk, account: Account) -> None:
    """It is for programs."""
    name = "=1+1 \u4f60"
    told = job.run("add-auth-factor-access-token", account.name, "--name", name, "--json")
    assert json.loads(told.output)["name"] == name
    assert f"'{name}" in job.run(LIST, account.name, "--csv").output
