"""Who may open what: every route, for everybody; and forms that are not to be believed."""

from collections.abc import Callable

import pytest
from client import Client
from harness.accounts import Account, Accounts
from harness.installation import ROOT
from web_host import ADMINISTRATORS, WebHost

from store.audit_log import Filter
from web_admin.pages import ROUTES
from web_admin.routes import Need, Route

PARTS = {"<factor_id>": "none", "<token_id>": "none", "<session_id>": "none", "<action>": "unlock"}
CHANGES = [route for route in ROUTES if route.method == "POST"]


def path_of(route: Route, name: str) -> str:
    """Fill a route's places."""
    path = route.path.replace("<name>", name)
    for part, value in PARTS.items():
        path = path.replace(part, value)
    return path


def allowed(route: Route, stage: str) -> bool:
    """Say who may open a route, as the issue has it."""
    return {
        Need.NOTHING: True,
        Need.SESSION: stage != "nobody",
        Need.CODE: stage == "code",
        Need.ENROLLMENT: stage in {"enrollment", "user", "unconfirmed", "admin"},
        Need.FULL: stage in {"user", "unconfirmed", "admin"},
        Need.CONFIRMED: stage in {"user", "admin"},
        Need.ADMIN: stage == "admin",
        Need.ADMIN_CONFIRMED: stage == "admin",
    }[route.need]


STAGES = ["nobody", "code", "enrollment", "user", "unconfirmed", "admin"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_route_opens_for_whom_it_should_and_for_nobody_else(
    web_hosts: Callable[..., WebHost], accounts: Accounts, stage: str
) -> None:
    """Each GET route, at each stage of signing in: its page, or led elsewhere, or not there."""
    host = web_hosts(clock_stands=True, more='[enforcement]\ngroups = ["must"]\n')
    client = client_at(host, accounts, stage)
    wrong = []
    for route in ROUTES:
        if route.method == "GET":
            reply = client.get(path_of(route, "root"))
            in_place = reply.status == 200 or "It is gone" in reply.main
            if in_place != allowed(route, stage) and route.path != "/sign-in":
                wrong.append((route.path, reply.status, reply.location))
    assert not wrong


@pytest.mark.parametrize("stage", STAGES)
def test_every_form_counts_for_whom_it_should_and_for_nobody_else(
    web_hosts: Callable[..., WebHost], accounts: Accounts, stage: str
) -> None:
    """Each POST route with a good token, at a stage that may not: nothing is done."""
    host = web_hosts(clock_stands=True, more='[enforcement]\ngroups = ["must"]\n')
    client = client_at(host, accounts, stage)
    other = accounts.make()
    host.installation.enroll(other.name)
    before = host.installation.store.audit_log.page(Filter(), 1).events[0].id
    for route in CHANGES:
        if not allowed(route, stage):
            for page in ["/sign-in", "/sign-in/code", "/", "/mfa"]:
                client.get(page)
            reply = client.post(path_of(route, other.name), code="000000", id="none")
            assert reply.status in {303, 403, 404}, (route.path, reply.status, reply.main)
    assert host.installation.store.audit_log.page(Filter(), 1).events[0].id == before


def client_at(host: WebHost, accounts: Accounts, stage: str) -> Client:
    """Come as far as a stage."""
    client = Client(host, "192.0.2.1")
    groups = {"enrollment": ["must"], "admin": [ADMINISTRATORS]}.get(stage, [])
    account = accounts.make(groups=groups)
    if stage == "code":
        host.installation.enroll(account.name)
    if stage != "nobody":
        client.give_password(account.name, account.password)
    if stage == "unconfirmed":
        assert host.installation.clock is not None
        host.installation.clock.forward(minutes=11)
    return client


def forgeries(client: Client, stranger: Client) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Give forms that are not of this page: fields and headers."""
    origin = {"Origin": client.host.url}
    good = {"form": client.form}
    return {
        "no token": ({}, origin),
        "made-up token": ({"form": "abc.def"}, origin),
        "another session's token": ({"form": stranger.form}, origin),
        "another origin": (good, {"Origin": "https://evil.example"}),
        "another port": (good, {"Origin": "https://127.0.0.1:1"}),
        "no scheme": (good, {"Origin": "http://127.0.0.1"}),
        "null origin": (good, {"Origin": "null"}),
        "no origin": (good, {}),
        "another site by its own word": (good, {"Sec-Fetch-Site": "cross-site"}),
    }


def test_a_form_that_is_not_ours_changes_nothing(
    connect: Callable[..., Client], web_host: WebHost, accounts: Accounts
) -> None:
    """Every form of every page, without its token or from elsewhere: refused, nothing done."""
    account, other = accounts.make(), accounts.make()
    client, stranger = connect(), connect()
    client.sign_in(account)
    stranger.sign_in(other)
    stranger.get("/tokens/new")
    store = web_host.installation.store
    store.access_tokens.issue(account.name, "kept", ROOT)
    client.get("/tokens/new")
    for name, (fields, headers) in forgeries(client, stranger).items():
        for route in CHANGES:
            if route.need in {Need.CODE, Need.ADMIN_CONFIRMED}:
                continue
            token = store.access_tokens.list(account.name)[0].id
            path = path_of(route, account.name).replace("none", token)
            given = {"name": "forged", "days": "7", "scope": "sftp", **fields}
            reply = client.send("POST", path, given, headers)
            assert reply.status == 403, (name, path)
    assert [token.name for token in store.access_tokens.list(account.name)] == ["kept"]
    assert client.is_signed_in()


def test_a_form_of_the_sign_in_page_belongs_to_its_browser(
    connect: Callable[..., Client], account: Account
) -> None:
    """Nobody signs a visitor in to another's account by a form on another site."""
    victim, attacker = connect(), connect()
    victim.get("/sign-in")
    attacker.get("/sign-in")
    victim.form = attacker.form
    reply = victim.post("/sign-in", account=account.name, password=account.password)
    assert (reply.status, victim.session) == (403, None)


def test_a_form_that_is_sent_twice_counts_once(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """Reloading the page with the new token makes no second one and shows nothing again."""
    client.sign_in(account)
    client.get("/tokens/new")
    fields = {"name": "once", "days": "7", "scope": "sftp", "form": client.form}
    first = client.post("/tokens/new", **fields)
    again = client.post("/tokens/new", **fields)
    assert "smfa_" in first.main
    assert (again.status, "smfa_" in again.text) == (409, False)
    assert len(web_host.installation.store.access_tokens.list(account.name)) == 1


def test_a_confirmation_is_asked_again_after_ten_minutes(
    web_hosts: Callable[..., WebHost], account: Account
) -> None:
    """A code or password from a while ago opens no factors; a new one leads back to the page."""
    host = web_hosts(clock_stands=True)
    clock = host.installation.clock
    assert clock is not None
    device = host.installation.enroll(account.name)
    client = Client(host, "192.0.2.1")
    client.sign_in(account, device)
    clock.forward(minutes=11)
    assert client.get("/tokens/new").location == "/confirm?next=/tokens/new"
    before = client.session
    reply = client.open_and_post("/confirm?next=/tokens/new", code=device.code())
    assert (reply.status, reply.location) == (303, "/tokens/new")
    assert client.session != before
    assert client.get("/tokens/new").status == 200
    clock.forward(minutes=11)
    given = {"name": "late", "days": "7", "scope": "sftp", "back": "/tokens/new"}
    assert client.open_and_post("/", "/tokens/new", **given).location.startswith("/confirm?next=")
    assert not host.installation.store.access_tokens.list(account.name)


def test_wrong_codes_at_the_confirmation_are_counted_as_anywhere(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """Five of them lock the codes and end the session, so that a stolen one gives no free tries."""
    device = web_host.installation.enroll(account.name)
    client.sign_in(account, device)
    for code in device.wrong_codes(4):
        assert client.open_and_post("/confirm", code=code).status == 403
    assert "locked" in client.open_and_post("/confirm", code=device.wrong_codes(5)[4]).main
    assert not client.is_signed_in()


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "javascript:1"]
)
def test_a_confirmation_leads_nowhere_else(client: Client, account: Account, target: str) -> None:
    """The address to go back to is one of ours, or the first page."""
    client.sign_in(account)
    reply = client.open_and_post(f"/confirm?next={target}", password=account.password)
    assert reply.location == "/"


@pytest.mark.parametrize("who", ["owner", "stranger", "nobody"])
def test_administration_is_for_the_group_only(
    connect: Callable[..., Client], accounts: Accounts, who: str
) -> None:
    """To everybody else the pages of administration are not there."""
    client = connect()
    if who != "nobody":
        client.sign_in(accounts.make(groups=["wheel"] if who == "stranger" else []))
    for route in ROUTES:
        if route.path.startswith("/admin") and route.method == "GET":
            reply = client.get(path_of(route, "root"))
            assert reply.status in {303, 404}
            assert reply.location in {"", "/sign-in"}
    assert "/admin" not in client.get("/").text
