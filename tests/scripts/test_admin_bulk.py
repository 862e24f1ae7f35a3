"""`--from-file`: many rows, each done once, whatever stops it in between."""

import csv
import fcntl
import json
import os
import random
import re
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from admin_terminal import PASSWORD, Desk
from harness.accounts import Account, Accounts
from harness.installation import ROOT

from store.access_tokens import Scope
from store.decisions import Attempt, Granted, Protocol
from store.secret import Secret

ISSUE = "add-auth-factor-access-token"
LEAVE = "delete-auth-factor-totp"


def results_of(file: Path) -> dict[str, dict[str, str]]:
    """Read what came of each user; the last line counts."""
    with file.open(newline="") as lines:
        return {row["user"]: row for row in csv.DictReader(lines)}


def live(desk: Desk, user: str) -> list[Any]:
    """Give a user's tokens."""
    return list(desk.host.installation.store.access_tokens.list(user))


def opens(desk: Desk, user: str, token: str) -> bool:
    """Tell whether a token lets its user in over SFTP."""
    authentication = desk.host.installation.store.authentication
    decision = authentication.check_token(
        Attempt(user, Protocol.SSH, "192.0.2.1"), Secret.of(token)
    )
    return isinstance(decision, Granted)


def test_each_row_gets_a_token(job: Desk, accounts: Accounts, tmp_path: Path) -> None:
    """By CSV with a header; a row that cannot be is told, and does not stop the rest."""
    names = [accounts.make().name for _ in range(3)]
    file = tmp_path / "services.csv"
    file.write_text(
        "name,user,networks,days\n"
        f"nightly,{names[0]},192.0.2.0/24 2001:db8::/32,30\n"
        f",{names[1]},,\n"
        "\n"
        "x,no-such-account,,\n"
        f'"with, comma",{names[2]},,\n'
    )
    told = job.run(ISSUE, "--from-file", str(file), "--name", "job", "--days", "9")
    assert told.status == 1
    assert told.lines[0] == "4 rows: 3 done, 1 failed"
    assert (
        told.errors
        == "line 5: no-such-account: There is no account 'no-such-account' on this host.\n"
    )
    results = tmp_path / f"services.csv.{ISSUE}.csv"
    assert told.lines[1] == f"Results: {results}"
    assert stat.S_IMODE(results.stat().st_mode) == 0o600
    found = results_of(results)
    assert found["no-such-account"]["state"] == "failed"
    for name in names:
        (token,) = live(job, name)
        assert found[name]["token_id"] == token.id
        assert opens(job, name, found[name]["token"]) or name == names[0]
    (token,) = live(job, names[0])
    assert token.networks == ("192.0.2.0/24", "2001:db8::/32")
    assert [live(job, name)[0].name for name in names] == ["nightly", "job", "with, comma"]
    days = [(one.expires_at - one.created_at).days for name in names for one in live(job, name)]
    assert days in ([29, 8, 8], [30, 9, 9])  # its clock, and then the server's
    # Again: nothing is left but what failed.
    told = job.run(ISSUE, "--from-file", str(file), "--name", "job", "--json")
    assert told.status == 1
    assert json.loads(told.output) == {
        "rows": 4,
        "done": 0,
        "doneBefore": 3,
        "failed": 1,
        "left": 0,
        "results": str(results),
    }
    assert [len(live(job, name)) for name in names] == [1, 1, 1]


def test_names_come_from_standard_input(job: Desk, accounts: Accounts, tmp_path: Path) -> None:
    """One a line; authenticators are removed, accounts barred, let in and unlocked."""
    names = [accounts.make().name for _ in range(2)]
    store = job.host.installation.store
    for name in names:
        job.host.installation.enroll(name)
    given = "\n".join(names) + "\n"

    def work(*command: str) -> None:
        file = tmp_path / f"{command[0]}.csv"
        told = job.run(*command, "--from-file", "-", "--results", str(file), given=given)
        assert (told.status, told.lines[0]) == (0, "2 rows: 2 done"), told.errors

    work("bar-user")
    assert all(store.accounts.show(name).barred_at for name in names)
    work("unbar-user")
    assert not any(store.accounts.show(name).barred_at for name in names)
    work("unlock-user")
    assert all(store.accounts.show(name).adopted_at for name in names)
    work(LEAVE, "--all")
    assert not any(store.accounts.show(name).adopted_at for name in names)


def test_two_spellings_of_one_account_get_one_token(
    job: Desk, ruth: Account, accounts: Accounts, tmp_path: Path
) -> None:
    """What only the server knows is told of the second row, in this run and in the next."""
    other = accounts.make().name
    (tmp_path / "names").write_text(f"me\n{ruth.name}\n{other}\n")
    argv = [ISSUE, "--from-file", "names", "--name", "job"]
    said = f"line 2: {ruth.name}: {ruth.name} has a row already, as me\n"
    before = len(live(job, ruth.name))
    for counts in ("2 done, 1 failed", "0 done, 2 done before, 1 failed"):
        told = job.run(*argv)
        assert (told.status, told.lines[0], told.errors) == (1, f"3 rows: {counts}", said)
        assert [len(live(job, name)) for name in (ruth.name, other)] == [before + 1, 1]
    found = results_of(tmp_path / f"names.{ISSUE}.csv")
    assert (found["me"]["account"], found["me"]["state"]) == (ruth.name, "done")


def test_rows_and_token_do_not_share_standard_input(job: Desk) -> None:
    """The token would be taken for a row, and a row for the token."""
    argv = ["bar-user", "--from-file", "-", "--results", "out", "--token-stdin"]
    refused = job.run(*argv, given=f"smfa_{'0' * 57}\nalice\n")
    assert refused.status == 2
    assert "both read standard input" in refused.errors


def test_the_host_works_through_rows_too(job: Desk, accounts: Accounts, tmp_path: Path) -> None:
    """The results are root's, and not the service's user's."""
    name = accounts.make().name
    (tmp_path / "names").write_text(name)
    told = job.on_host(ISSUE, "--from-file", "names")
    assert told.status == 0, told.errors
    results = tmp_path / f"names.{ISSUE}.csv"
    assert results.stat().st_uid == 0
    assert opens(job, name, results_of(results)[name]["token"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,nmae\na,b\n", "line 1: the column 'nmae' is not one of user, name, scopes"),
        ("user,user\na,b\n", "each once"),
        ("alice,bob\n", "line 1 has a comma, so the first line must name the columns"),
        ("user,name\nalice,b,c\n", "line 2 has 3 cells for 2 columns"),
        ("user,name\n,b\n", "line 2 names no user"),
        ("user,days\nalice,0\n", "line 2: days is a number from 1 to 36500, not '0'"),
        ("user,days\nalice,1e3\n", "line 2: days is a number"),
        ("user,scopes\nalice,root\n", "line 2: scopes are sftp and api, not 'root'"),
        (f"user,name\nalice,{'x' * 65}\n", "line 2: a name has 1 to 64 printable characters"),
        ("user,name\nalice,a\nbob,b\nalice,a\n", "line 4 asks for the same as line 2"),
        ("alice\nbob\nalice\n", "line 3 asks for the same as line 1"),
        ('user,name\nalice,"a" b\n', "line 2 is not CSV"),
        (b"user\n\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_wrong_is_refused_before_anything_is_done(
    job: Desk, tmp_path: Path, text: str | bytes, said: str
) -> None:
    """With the line, and what is allowed."""
    file = tmp_path / "file"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    refused = job.run(ISSUE, "--from-file", str(file))
    assert refused.status == 1
    assert said in refused.errors
    assert len(refused.errors.splitlines()) == 1
    assert not list(tmp_path.glob("file.*.csv")) or "same as" in said


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_results_that_others_can_open_are_refused(job: Desk, tmp_path: Path, mode: int) -> None:
    """Tokens would go there."""
    file = tmp_path / "out.csv"
    file.touch()
    file.chmod(mode)
    refused = job.run(ISSUE, "--from-file", "-", "--results", str(file), given="root\n")
    assert refused.status == 1
    assert "must not be (chmod 600)" in refused.errors


def test_results_of_something_else_are_refused(job: Desk, tmp_path: Path) -> None:
    """Unbarring must not skip who was barred; and no other file is written into."""
    file = tmp_path / "out.csv"
    one = ["--from-file", "-", "--results", str(file)]
    job.run("bar-user", *one, given="nobody\n")
    refused = job.run("unbar-user", *one, given="nobody\n")
    assert "holds the results of bar-user" in refused.errors
    file.write_text("something of value\n")
    refused = job.run("bar-user", *one, given="nobody\n")
    assert "holds something else" in refused.errors
    assert file.read_text() == "something of value\n"
    (tmp_path / "link").symlink_to(file)
    linked = ["--from-file", "-", "--results", str(tmp_path / "link")]
    assert job.run("bar-user", *linked, given="nobody\n").status == 1


def test_a_progress_bar_is_shown_in_a_terminal(
    job: Desk, accounts: Accounts, tmp_path: Path
) -> None:
    """And a failure above it."""
    (tmp_path / "names").write_text(f"{accounts.make().name}\nno-such-account\n")
    told = job.type(ISSUE, "--from-file", "names").end()
    assert told.status == 1
    assert "row/s" in told.output
    assert "line 2: no-such-account: " in told.output
    assert "2 rows: 1 done, 1 failed" in told.output


def test_a_session_is_enough(desk: Desk, ruth: Account, accounts: Accounts, tmp_path: Path) -> None:
    """The password is asked once, for all rows."""
    (tmp_path / "names").write_text("".join(f"{accounts.make().name}\n" for _ in range(3)))
    talk = desk.type(ISSUE, "--from-file", "names", "--as", ruth.name)
    told = talk.answer(PASSWORD, ruth.password).end()
    assert "3 rows: 3 done" in told.output


@pytest.mark.parametrize("road", ["rest", "host"])
def test_a_run_that_is_killed_goes_on_and_issues_nothing_twice(
    job: Desk, accounts: Accounts, tmp_path: Path, road: str
) -> None:
    """With kill -9 at random moments; in the end each row has one token, whose secret is known.

    A token of the same name from before stays as it was.
    """
    first = accounts.make().name
    names = [first, *(f"{first}-{number}" for number in range(59))]
    store = job.host.installation.store
    for name in names:  # known to the store is enough, and quicker than accounts of the system
        store.accounts.bar(name, ROOT)
        store.accounts.unbar(name, ROOT)
    old = store.access_tokens.issue(names[7], "job", ROOT)[1]
    (tmp_path / "names").write_text("".join(f"{name}\n" for name in names))
    trusting = ["--ca-file", str(job.ca_file)] if road == "rest" else []
    argv = [job.argv([])[0], ISSUE, "--from-file", "names", "--name", "job", *trusting]
    results = tmp_path / f"names.{ISSUE}.csv"
    kills = 0
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    status = -signal.SIGKILL
    while status == -signal.SIGKILL:
        written = results.stat().st_size if results.exists() else 0
        # A row has about 260 bytes. The last run may go on to its end.
        size = written + chance.randrange(1, 1500) if kills < 8 else 1 << 30
        status = kill_when(job, argv, road, results, size, chance.random() / 100)
        kills += status == -signal.SIGKILL
    assert status == 0
    assert kills >= 3
    found = results_of(results)
    assert set(found) == set(names)
    for name in names:
        there = [token.id for token in live(job, name)]
        if name == names[7]:
            there.remove(old.id)
        assert there == [found[name]["token_id"]], name
        assert opens(job, name, found[name]["token"]), name


def kill_when(
    job: Desk, argv: list[str], road: str, results: Path, size: int, seconds: float
) -> int:
    """Start a run and kill it a moment after it has written so much, if it has not ended."""
    settings = job.settings()
    if road == "host":
        settings["SFTP_MFA_CONFIG"] = str(job.host.installation.config)
        del settings["SFTP_MFA_SERVER"], settings["SFTP_MFA_TOKEN"]
    child = subprocess.Popen(
        argv, env=settings, cwd=job.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while child.poll() is None and not (results.exists() and results.stat().st_size >= size):
        time.sleep(0.005)
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def test_a_lost_secret_is_revoked_and_a_torn_line_forgotten(
    job: Desk, account: Account, tmp_path: Path
) -> None:
    """The very moment between the server's grant and the written row, made by hand."""
    (tmp_path / "names").write_text(account.name)
    argv = [ISSUE, "--from-file", "names", "--name", "job"]
    assert job.run(*argv).status == 0
    results = tmp_path / f"names.{ISSUE}.csv"
    head, begun, done = results.read_text().splitlines(keepends=True)
    assert ",begun," in begun
    begun = re.sub(r"\b20..-..-..T", "2026-01-01T", begun)  # long ago: nothing is to be waited for
    results.write_text(head + begun + done[:-20])
    (lost,) = live(job, account.name)
    told = job.run(*argv)
    assert told.status == 0, told.errors
    assert f"revoked token {lost.id}, whose secret was lost" in told.errors
    (token,) = live(job, account.name)
    assert token.id != lost.id
    assert opens(job, account.name, results_of(results)[account.name]["token"])


def test_two_runs_do_not_write_into_one_file(job: Desk, tmp_path: Path) -> None:
    """The second one is refused."""
    file = tmp_path / "out.csv"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    refused = job.run("bar-user", "--from-file", "-", "--results", str(file), given="root\n")
    os.close(descriptor)
    assert refused.status == 1
    assert "another run is writing it" in refused.errors


def test_who_is_not_let_in_any_more_stops_at_once(
    job: Desk, ruth: Account, accounts: Accounts, tmp_path: Path
) -> None:
    """No row fares better, and none is taken for one that failed."""
    (tmp_path / "names").write_text("".join(f"{accounts.make().name}\n" for _ in range(3)))
    job.host.installation.store.access_tokens.revoke_all(ruth.name, ROOT)
    told = job.run(ISSUE, "--from-file", "names")
    assert told.status == 1
    assert told.lines[0] == "3 rows: 0 done, 3 left (run it again)"
    assert told.errors.startswith("error: The access token opens nothing")
    assert results_of(tmp_path / f"names.{ISSUE}.csv") == {}


def test_a_server_that_goes_away_stops_the_run(
    desk: Desk, ruth: Account, accounts: Accounts, tmp_path: Path, web_host_to_stop: Any
) -> None:
    """After three rows, with exit code 3; the next run goes on."""
    desk.host = web_host_to_stop
    token = desk.host.installation.issue_token(ruth.name, scopes=tuple(Scope)).text()
    names = [accounts.make().name for _ in range(5)]
    (tmp_path / "names").write_text("\n".join(names))
    web_host_to_stop.web.stop()
    told = desk.run(ISSUE, "--from-file", "names", SFTP_MFA_TOKEN=token)
    assert told.status == 3
    assert told.lines[0] == "5 rows: 0 done, 5 left (run it again)"
    assert "stopped: run it again when that is mended" in told.errors.splitlines()[-1]
