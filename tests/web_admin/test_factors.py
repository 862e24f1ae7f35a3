"""Authenticators and tokens: what is done on a page holds on every other way in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import Visitor
from client import Client
from harness.accounts import Account, Accounts
from harness.clients import OpenSsh
from harness.installation import ROOT
from tour import device_on, in_app
from web_host import WebHost

from store.access_tokens import Scope


def test_a_token_made_on_the_page_logs_in_until_it_is_revoked_there(
    web_host: WebHost, account: Account, visitor: Visitor, openssh: OpenSsh
) -> None:
    """The text that the page shows is a password for sftp; after a press on Revoke it is none."""
    device = web_host.installation.enroll(account.name)
    visitor.sign_in(account, device)
    visitor.go("/tokens/new")
    visitor.fill(name="nightly")
    visitor.submit()
    token = visitor.page.locator("#token").inner_text()
    assert visitor.page.locator("#example").inner_text() == f"sftp {account.name}@127.0.0.1"
    assert openssh.login(web_host.sshd, account.name, [token]).ok
    visitor.press("I have copied it")
    assert "from 127.0.0.1" in visitor.main
    assert token not in visitor.page.content()
    visitor.press("Revoke “nightly”")
    visitor.submit()
    assert "The token is revoked." in visitor.main
    assert not openssh.login(web_host.sshd, account.name, [token]).ok


def test_five_wrong_codes_on_the_page_lock_sftp(
    web_host: WebHost, account: Account, visitor: Visitor, openssh: OpenSsh
) -> None:
    """The count is one count, whatever the door."""
    device = web_host.installation.enroll(account.name)
    visitor.give_password(account)
    for code in device.wrong_codes(5):
        visitor.give_code(code)
    visitor.page.get_by_role("heading", name="Codes are locked").wait_for()
    outcome = openssh.login(web_host.sshd, account.name, [account.password, device.code()])
    assert not outcome.ok


def test_five_wrong_codes_over_sftp_lock_the_page(
    web_host: WebHost, account: Account, visitor: Visitor, tmp_path: Path
) -> None:
    """And the other way round; the page says for how long."""
    device = web_host.installation.enroll(account.name)
    codes = device.wrong_codes(5)
    with ThreadPoolExecutor(5) as together:
        tries = [
            together.submit(
                OpenSsh(tmp_path / code).login,
                web_host.sshd,
                account.name,
                [account.password, code],
            )
            for code in codes
        ]
    assert not any(one.result().ok for one in tries)
    visitor.give_password(account)
    assert "Codes are locked" in visitor.main
    assert "minutes" in visitor.main


def test_who_must_enroll_is_led_there_and_sees_nothing_else(
    web_hosts: Callable[..., WebHost],
    accounts: Accounts,
    open_browser: Callable[..., Visitor],
) -> None:
    """After the password there is the set-up and no other page, until it is done."""
    host = web_hosts(more='[enforcement]\ngroups = ["must-enroll"]\n')
    account = accounts.make(groups=["must-enroll"])
    visitor = open_browser(host)
    visitor.give_password(account)
    assert visitor.path == "/mfa"
    assert "Your organisation asks" in visitor.main
    for path in ["/", "/tokens", "/tokens/new", "/password", "/admin"]:
        visitor.go(path)
        assert visitor.path == "/mfa"
    visitor.submit()
    visitor.give_code(device_on(visitor).code())
    visitor.page.locator("#codes").wait_for()
    visitor.press("I have kept them")
    assert "Your account" in visitor.main


def test_two_browsers_that_enroll_at_once_end_with_one_authenticator(
    web_host: WebHost, account: Account, open_browser: Callable[..., Visitor]
) -> None:
    """The later key replaces the earlier one, which is told; the first browser is signed out."""
    first, second = open_browser(), open_browser()
    for visitor in (first, second):
        visitor.sign_in(account)
        visitor.go("/mfa")
    first.submit()
    early = device_on(first)
    second.submit()
    late = device_on(second)
    first.give_code(early.code(-1))
    first.page.get_by_text("no longer valid").wait_for()
    second.give_code(late.code(-1))
    second.page.locator("#codes").wait_for()
    factors = web_host.installation.store.totp_factors.list(account.name)
    assert [factor.completed_at is not None for factor in factors] == [True]
    first.go("/")
    assert first.path == "/sign-in"
    second.go("/")
    assert "MFA on" in second.main


@pytest.mark.parametrize("rounds", range(3))
def test_completions_sent_at_once_make_one_set_of_recovery_codes(
    connect: Callable[..., Client], web_host: WebHost, account: Account, rounds: int
) -> None:
    """Two browsers send the same right code at the same time: one is told the codes."""
    del rounds
    clients = [connect(), connect()]
    for client in clients:
        client.sign_in(account)
    enrollment = web_host.installation.store.totp_factors.begin(account.name, "phone", ROOT)
    code = in_app(enrollment.secret.text()).code()
    path = f"/mfa/authenticators/{enrollment.factor.id}/complete"
    for client in clients:
        client.get("/mfa")
    with ThreadPoolExecutor(2) as together:
        sent = [together.submit(one.post, path, code=code) for one in clients]
    shown = [one.result() for one in sent]
    assert sorted("I have kept them" in reply.main for reply in shown) == [False, True]
    assert web_host.installation.store.recovery_codes.left(account.name) == 10
    assert not any(reply.status == 500 for reply in shown)


def test_removing_an_authenticator_ends_other_sessions(
    connect: Callable[..., Client], web_host: WebHost, account: Account
) -> None:
    """Whoever was signed in elsewhere is not any more; the one who removed it is."""
    device = web_host.installation.enroll(account.name)
    first, second = connect(), connect()
    first.sign_in(account, device)
    second.sign_in(account, device, steps=1)
    path = f"/mfa/authenticators/{device.factor_id}/remove"
    assert first.open_and_post(path).location == "/mfa?done=totp_removed"
    assert first.is_signed_in()
    assert not second.is_signed_in()
    assert "MFA off" in first.get("/").main


def test_the_secret_and_the_tokens_are_shown_once(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """No page, address or header has them after the answer to the form that made them."""
    client.sign_in(account)
    begun = client.open_and_post("/mfa", "/mfa/authenticators", name="phone")
    made = client.open_and_post("/tokens/new", name="job", days="7", scope="sftp")
    secret = web_host.installation.store.access_tokens.list(account.name)[0].id
    token = next(word for word in made.main.split() if word.startswith(f"smfa_{secret}"))
    assert 'class="key"' in begun.text
    for reply in (begun, made):
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "same-origin"
        assert not reply.location
    for page in ["/", "/mfa", "/tokens", "/activity", f"/tokens/{secret}/revoke"]:
        again = client.get(page)
        assert token not in again.text
        assert 'class="key"' not in again.text
    assert token not in web_host.web.output()


def test_tokens_have_the_life_scopes_and_networks_of_the_form(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """What the form says is what the token is."""
    client.sign_in(account)
    fields = {"name": "job", "days": "30", "networks": "192.0.2.0/24, 2001:db8::/32"}
    reply = client.open_and_post("/tokens/new", **fields)
    assert (reply.status, "at least one" in reply.main) == (400, True)
    client.open_and_post("/tokens/new", scope="api", **fields)
    (token,) = web_host.installation.store.access_tokens.list(account.name)
    assert token.scopes == (Scope.API,)
    assert token.networks == ("192.0.2.0/24", "2001:db8::/32")
    assert token.expires_at is not None
    assert round((token.expires_at - token.created_at).total_seconds() / 86_400) == 30


def test_all_tokens_can_be_revoked_at_once(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """After the question, none is left."""
    for _ in range(3):
        web_host.installation.issue_token(account.name)
    client.sign_in(account)
    assert "3 tokens" in client.get("/tokens/revoke-all").main
    client.post("/tokens/revoke-all")
    assert not web_host.installation.store.access_tokens.list(account.name)


@pytest.mark.parametrize("path", ["/tokens/{id}/revoke", "/mfa/authenticators/{id}/remove"])
def test_nobody_touches_anothers_factors(
    connect: Callable[..., Client], web_host: WebHost, accounts: Accounts, path: str
) -> None:
    """The id of another's token or authenticator is as good as none."""
    victim = accounts.make()
    device = web_host.installation.enroll(victim.name)
    web_host.installation.issue_token(victim.name)
    store = web_host.installation.store
    token = store.access_tokens.list(victim.name)[0].id
    client = connect()
    client.sign_in(accounts.make())
    for one in (device.factor_id, token):
        client.get("/tokens/new")
        assert client.post(path.format(id=one)).status == 404
    assert store.access_tokens.list(victim.name)
    assert store.totp_factors.list(victim.name)
