"""The password, sessions, activity and administration."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from client import Client, Reply
from harness.accounts import Account, Accounts
from harness.clients import OpenSsh
from harness.installation import ROOT
from web_host import ADMINISTRATORS, WebHost

from store.audit import Event
from store.audit_log import Filter

NEW = "correct-Horse-7-battery"


def change(client: Client, old: str, new: str, again: str | None = None) -> Reply:
    """Send the form."""
    fields = {"password": old, "new_password": new, "new_password_again": again or new}
    return client.open_and_post("/password", **fields)


def test_a_password_changed_on_the_page_is_the_accounts_password(
    connect: Callable[..., Client], web_host: WebHost, account: Account, openssh: OpenSsh
) -> None:
    """The new one lets in over SFTP, the old one nowhere; other sessions end; it is on record."""
    client, other = connect(), connect()
    client.sign_in(account)
    other.sign_in(account)
    before = client.session
    assert change(client, account.password, NEW).location == "/?done=password_changed"
    assert client.session != before
    assert client.is_signed_in()
    assert not other.is_signed_in()
    assert openssh.login(web_host.sshd, account.name, [NEW]).ok
    assert connect().give_password(account.name, account.password).status == 403
    events = web_host.installation.store.audit_log.page(
        Filter(account=account.name, event=Event.PASSWORD_CHANGED), 5
    ).events
    assert [event.actor for event in events] == [account.name]


def test_the_machines_own_rules_hold_and_speak(client: Client, account: Account) -> None:
    """The change is made as the user, not as root, whom no rule binds; the rule is shown."""
    client.sign_in(account)
    reply = change(client, account.password, "ab")
    assert reply.status == 400
    assert "choose a longer password" in reply.main
    reply = change(client, account.password, account.password)
    assert reply.status == 400
    assert "has not been changed" in reply.main
    assert client.is_signed_in()


def test_a_wrong_old_password_changes_nothing(
    connect: Callable[..., Client], account: Account
) -> None:
    """A session alone, stolen or left open, does not change the password."""
    client = connect()
    client.sign_in(account)
    reply = change(client, "wrong", NEW)
    assert (reply.status, "present password is wrong" in reply.main) == (403, True)
    reply = change(client, account.password, NEW, "something else")
    assert (reply.status, "differ" in reply.main) == (400, True)
    connect().sign_in(account)


def test_sessions_can_be_seen_and_ended(connect: Callable[..., Client], account: Account) -> None:
    """One by one or all others at once; ending the own one signs out."""
    clients = [connect() for _ in range(4)]
    for client in clients:
        client.sign_in(account)
    first = clients[0]
    listed = first.get("/sessions")
    ids = re.findall(r'action="/sessions/([0-9a-f]+)/end"', listed.text)
    assert len(ids) == 4
    assert listed.main.count("this one") == 1
    own = next(
        one
        for one in ids
        if f"/{one}/end" in listed.text.partition("this one")[2].split("</li>")[0]
    )
    first.post(f"/sessions/{next(one for one in ids if one != own)}/end")
    assert sum(client.is_signed_in() for client in clients) == 3
    first.get("/sessions")
    first.post("/sessions/end-others")
    assert [client.is_signed_in() for client in clients] == [True, False, False, False]
    first.get("/sessions")
    assert first.post(f"/sessions/{own}/end").location == "/sign-in?done=signed_out"
    assert not first.is_signed_in()


def test_signing_out_ends_the_session_and_not_only_the_cookie(
    connect: Callable[..., Client], account: Account
) -> None:
    """A copy of the cookie opens nothing afterwards."""
    client, copy = connect(), connect()
    client.sign_in(account)
    copy.cookies = dict(client.cookies)
    client.get("/")
    assert client.post("/sign-out").location == "/sign-in?done=signed_out"
    assert client.session is None
    assert not copy.is_signed_in()


def test_activity_is_ones_own_and_has_pages(
    client: Client, web_host: WebHost, accounts: Accounts
) -> None:
    """What others did is not on it; older events are a press away, to the very first."""
    account, other = accounts.make(), accounts.make()
    web_host.installation.issue_token(other.name)
    for _ in range(40):
        web_host.installation.issue_token(account.name)
    client.sign_in(account)
    first = client.get("/activity")
    assert other.name not in first.text
    older = re.search(r'href="(/activity\?after=[^"]+)"', first.text)
    assert older is not None
    assert client.get(older[1]).main.count("Access token made") >= 10
    assert client.get("/activity?after=nonsense").status == 400


def test_an_administrator_finds_and_mends_an_account(
    connect: Callable[..., Client], web_host: WebHost, accounts: Accounts
) -> None:
    """Search, unlock, remove, revoke, bar and let in again; each change names who did it."""
    store = web_host.installation.store
    user, admin = accounts.make(), accounts.make(groups=[ADMINISTRATORS])
    device = web_host.installation.enroll(user.name)
    token = web_host.installation.issue_token(user.name).text()[5:13]
    locked = connect()
    locked.give_password(user.name, user.password)
    for code in device.wrong_codes(5):
        locked.give_code(code)
    client = connect()
    client.sign_in(admin)
    assert user.name in client.get(f"/admin/users?name={user.name[:6]}&state=locked").main
    assert user.name in client.get("/admin").main
    page = f"/admin/users/{user.name}"
    assert "locked" in client.get(page).main
    for action, which in [
        ("unlock", ""),
        ("remove-totp", device.factor_id),
        ("revoke-token", token),
        ("bar", ""),
        ("unbar", ""),
    ]:
        asked = client.get(f"{page}/{action}?id={which}")
        assert asked.status == 200
        assert client.post(f"{page}/{action}", id=which).status == 303, action
    state = store.accounts.show(user.name)
    assert (state.locked_until, state.adopted_at, state.barred_at) == (None, None, None)
    assert not store.access_tokens.list(user.name)
    events = store.audit_log.page(Filter(account=user.name), 10).events
    assert {event.actor for event in events[:5]} == {admin.name}


def test_an_account_that_was_never_here_is_found_by_its_full_name(
    client: Client, accounts: Accounts
) -> None:
    """The store has not met it; the host knows it."""
    admin, unmet = accounts.make(groups=[ADMINISTRATORS]), accounts.make()
    client.sign_in(admin)
    assert unmet.name in client.get(f"/admin/users?name={unmet.name}").main
    assert client.get(f"/admin/users/{unmet.name}").status == 200
    assert client.get("/admin/users/no-such-account").status == 404


def test_the_audit_is_filtered_and_kept_as_a_table(
    client: Client, web_host: WebHost, accounts: Accounts
) -> None:
    """The download has every event that the filter lets through, and no formulas."""
    admin, user = accounts.make(groups=[ADMINISTRATORS]), accounts.make()
    for _ in range(45):
        web_host.installation.issue_token(user.name)
    store = web_host.installation.store
    store.accounts.bar("=cmd|' /C calc'!A0", ROOT)
    client.sign_in(admin)
    query = f"account={user.name}&event={Event.TOKEN_ISSUED}"
    assert client.get(f"/admin/audit?{query}").main.count("Access token made") >= 25
    table = client.get(f"/admin/audit.csv?{query}")
    assert table.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == 45
    assert {row["account"] for row in rows} == {user.name}
    risky = client.get("/admin/audit.csv?event=account_barred").text
    assert "'=cmd" in risky
    assert not any(cell.startswith("=") for row in csv.reader(io.StringIO(risky)) for cell in row)
    assert client.get("/admin/audit?since=yesterday").status == 400


@pytest.mark.parametrize("after", ["1", "x-y", "9" * 60, "'"])
def test_a_cursor_that_no_page_gave_is_refused(
    client: Client, accounts: Accounts, after: str
) -> None:
    """It is answered, with a message and not with a fault."""
    client.sign_in(accounts.make(groups=[ADMINISTRATORS]))
    assert client.get(f"/admin/audit?after={after}").status == 400
