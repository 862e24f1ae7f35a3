"""Every command of `sftp-mfa-admin` gives the same on both roads: over REST, and on the host."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from admin_terminal import Desk, Ended
from harness.accounts import Account, Accounts
from harness.installation import ROOT, Device

from scripts.admin import administration
from scripts.admin.main import main
from store.access_tokens import Scope
from store.decisions import Attempt, Protocol
from store.sessions import Stage
from web_admin.api import models

ONE_ROAD = {"login", "logout", "completion", "verify-audit-log", "prune-audit-log"}
"""What only a server has, or only a host, or what goes no road at all."""

READS = {
    "list-auth-factor-access-token": ["{user}"],
    "list-auth-factor-totp": ["{user}"],
    "list-users": ["{user}"],
    "show-user": ["{user}"],
    "report-adoption": [],
    "list-sessions": ["{user}"],
    "list-audit-events": ["--account", "{user}"],
}
WRITES = {
    "add-auth-factor-access-token": ["{user}", "--name", "n", "--network", "::ffff:192.0.2.0/120"],
    "delete-auth-factor-access-token": ["{user}", "{token}"],
    "add-auth-factor-totp": ["{user}", "--name", "spare"],
    "delete-auth-factor-totp": ["{user}", "{totp}"],
    "renew-recovery-codes": ["{user}"],
    "unlock-user": ["{user}"],
    "bar-user": ["{user}"],
    "unbar-user": ["{user}"],
    "forget-user": ["{user}"],
    "end-session": ["{user}", "{session}"],
}


class Household:
    """Accounts with one of everything."""

    def __init__(self, desk: Desk, accounts: Accounts) -> None:
        """Work on the desk's host."""
        self.desk = desk
        self._accounts = accounts

    def make(self) -> dict[str, str]:
        """Make an account, and name what it has."""
        account = self._accounts.make()
        installation = self.desk.host.installation
        store, name = installation.store, account.name
        phone: Device = installation.enroll(name, "=HYPERLINK()")
        end = datetime(2099, 12, 31, tzinfo=UTC)
        networks = ("192.0.2.0/24", "2001:db8::/32")
        installation.issue_token(name, scopes=tuple(Scope), networks=networks, expires_at=end)
        attempt = Attempt(name, Protocol.WEB, "192.0.2.1")
        _, session = store.sessions.begin(attempt, Stage.FULL, "a browser \u4f60\u597d")
        token = store.access_tokens.list(name)[0]
        return {"user": name, "token": token.id, "totp": phone.factor_id, "session": session.id}


@pytest.fixture
def household(job: Desk, accounts: Accounts) -> Iterator[Household]:
    """Have accounts to work on."""
    return Household(job, accounts)  # type: ignore[return-value]


def fill(arguments: list[str], named: dict[str, str]) -> list[str]:
    """Put names into a command line."""
    return [word.format(**named) for word in arguments]


def test_every_command_is_compared() -> None:
    """Whoever adds a command adds it here."""
    assert set(READS) | set(WRITES) | ONE_ROAD == set(main.commands)


@pytest.mark.parametrize("command", READS)
def test_what_is_read_is_the_same(household: Household, command: str) -> None:
    """To the letter, as a table, as JSON and as CSV."""
    named = household.make()
    words = fill(READS[command], named)
    options = {option for one in main.commands[command].params for option in one.opts}
    forms = ["--json"] + (["--csv"] if command == "list-auth-factor-access-token" else [])
    assert set(forms) <= options
    for form in ([], *([form] for form in forms)):
        # The count of all accounts moves while other tests make some.
        tries = 20 if command == "report-adoption" else 1
        for _ in range(tries):
            here = household.desk.on_host(command, *words, *form)
            there = household.desk.run(command, *words, *form)
            if here.output == there.output:
                break
        assert (here.status, here.errors) == (0, "")
        assert (there.status, there.output, there.errors) == (0, here.output, "")
        assert here.output.strip()
        if form == ["--json"]:
            assert json.loads(here.output)


@pytest.mark.parametrize("command", WRITES)
def test_what_is_done_is_told_the_same(household: Household, command: str) -> None:
    """But for names, ids, secrets and times."""
    told = []
    for road in (household.desk.on_host, household.desk.run):
        named = household.make()
        done = work(household, road, command, named)
        assert done.status == 0, done.errors
        told.append((plain(done.output, named), plain(done.errors, named)))
    assert told[0] == told[1]
    assert told[0][0]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("delete-auth-factor-access-token", ["{user}", "nosuchid"]),
        ("delete-auth-factor-totp", ["{user}", "nosuchid"]),
        ("end-session", ["{user}", "nosuchid"]),
        ("show-user", ["nobody-of-that-name"]),
        ("bar-user", ["no such\nname"]),
        ("renew-recovery-codes", ["{fresh}"]),
        ("unlock-user", ["{fresh}"]),
        ("add-auth-factor-access-token", ["{user}", "--network", "elsewhere"]),
        ("add-auth-factor-access-token", ["{user}", "--name", "x" * 65]),
        ("add-auth-factor-totp", ["{user}", "--name", " \t "]),
        ("list-audit-events", ["--cursor", "99-99-99"]),
    ],
)
def test_what_is_refused_is_told_the_same(
    household: Household, accounts: Accounts, command: str, words: list[str]
) -> None:
    """In one line, with the same exit code."""
    named = {**household.make(), "fresh": accounts.make().name}
    here = household.desk.on_host(command, *fill(words, named))
    there = household.desk.run(command, *fill(words, named))
    assert here.status == 1
    assert len(here.errors.splitlines()) == 1
    assert here.errors.startswith("error: ")
    assert there.status == 1
    if command != "list-audit-events":  # the API has its own words for what does not fit it
        assert there.errors == here.errors


def work(
    household: Household, road: Callable[..., Ended], command: str, named: dict[str, str]
) -> Ended:
    """Run a command on one road; an enrollment is completed with a code of its own secret."""
    words = fill(WRITES[command], named)
    if command != "add-auth-factor-totp":
        return road(command, *words)
    # The code can only be known once the secret was shown, so here two wrong ones are given.
    told = road(command, *words, given="123\n000000\n")
    assert told.status == 1
    listed = household.desk.host.installation.store.totp_factors.list(named["user"])
    assert [factor.completed_at is None for factor in listed] == [False, True]
    return Ended(
        0, re.sub(r"[\u2580\u2584\u2588\u00a0 ]{10,}", "PICTURE", told.output), told.errors
    )


def plain(text: str, named: dict[str, str]) -> str:
    """Leave out what differs between two accounts."""
    for name, value in named.items():
        text = text.replace(value, name.upper())
    text = re.sub(r"smfa_[0-9A-Za-z]{57}", "TOKEN", text)
    text = re.sub(r"token [0-9A-Za-z]{8} of", "token ID of", text)
    text = re.sub(r"key:  [A-Z2-7 ]+", "KEY", text)
    text = re.sub(r"secret=[A-Z2-7]+", "SECRET", text)
    return re.sub(r"\b[a-z2-7]{4}(-[a-z2-7]{4}){3}\b", "CODE", text)


def test_an_enrollment_can_be_completed(job: Desk, account: Account) -> None:
    """Over REST too, the secret comes first, and the code is asked after it."""
    talk = job.type("add-auth-factor-totp", account.name)
    talk.expect(r"key:  ([A-Z2-7 ]+)")
    secret = talk.found(1)
    told = talk.code_of(secret).end()
    assert told.status == 0, told.output
    assert "is asked for a code from now on" in told.output
    assert len(re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", told.output)) == 10
    assert job.host.installation.store.accounts.show(account.name).adopted_at is not None


def test_an_id_leads_nowhere_else(job: Desk) -> None:
    """What was typed as an id is part of an address over REST."""
    refused = job.run("delete-auth-factor-access-token", "me", "../../../audit-events")
    assert refused.status == 2
    assert "is no id" in refused.errors


@pytest.mark.parametrize("command", [["verify-audit-log"], ["prune-audit-log", "--days", "400"]])
def test_what_is_for_the_host_says_so(job: Desk, command: list[str]) -> None:
    """Over REST a proof would be the service's own word, and pruning help a thief."""
    refused = job.run(*command)
    assert refused.status == 2
    assert "as root on a host of the store" in refused.errors
    assert job.on_host(*command).status == 0


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        (administration.Account, models.Account),
        (administration.Adoption, models.Adoption),
        (administration.AccessToken, models.AccessToken),
        (administration.IssuedToken, models.IssuedAccessToken),
        (administration.Totp, models.Totp),
        (administration.Enrollment, models.StartedTotp),
        (administration.Completion, models.CompletedTotp),
        (administration.Session, models.Session),
        (administration.AuditEvent, models.AuditEvent),
    ],
)
def test_the_interface_has_the_names_of_the_api(own: Any, sent: Any) -> None:
    """What is read from an answer is in it."""
    names = {field.encode_name for field in msgspec.structs.fields(own)}
    assert names <= {field.encode_name for field in msgspec.structs.fields(sent)}


def test_the_scopes_are_those_of_the_store() -> None:
    """Commands name them without loading the store."""
    assert list(administration.SCOPES) == [scope.value for scope in Scope]


def test_long_lists_come_in_pages(job: Desk, accounts: Accounts) -> None:
    """More than the API gives at once, in the same order, with the same cursor."""
    name = accounts.make().name
    tokens = job.host.installation.store.access_tokens
    for number in range(3):
        tokens.issue(name, f"t{number}", ROOT)
    here = job.on_host("list-audit-events", "--limit", "201")
    there = job.run("list-audit-events", "--limit", "201")
    assert here.status == there.status == 0
    first = job.run("list-audit-events", "--account", name, "--limit", "1", "--json")
    cursor = json.loads(first.output)["nextCursor"]
    for road in (job.on_host, job.run):
        page = road("list-audit-events", "--account", name, "--limit", "1", "--cursor", cursor)
        assert "token_issued" in page.output
        assert page.errors.startswith("more: --cursor ")
