"""Signing in: what it tells, what it opens, and what guessing costs."""

import re
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import os_accounts
import pytest
from client import Client, Reply
from harness.accounts import Account
from harness.clients import OpenSsh
from harness.installation import ROOT
from harness.syslog import Syslog
from web_host import WebHost

from web_admin.password_check import REFUSAL_SECONDS

UNKNOWN = "no-such-account"


def without_what_was_typed(reply: Reply) -> str:
    """Give a page without its tokens and the name that was typed."""
    return re.sub(r'(name="form" value=|id="account" name="account" value=)"[^"]*"', "", reply.text)


def test_unknown_account_and_wrong_password_look_and_take_the_same(
    connect: Callable[..., Client], account: Account
) -> None:
    """Nobody learns from the sign-in page which accounts exist: not by words nor by time."""

    def refuse(name: str) -> Reply:
        return connect().give_password(name, "wrong")

    with ThreadPoolExecutor(4) as together:
        replies = list(together.map(refuse, [account.name, UNKNOWN, account.name, UNKNOWN, "root"]))
    assert {reply.status for reply in replies} == {403}
    assert len({without_what_was_typed(reply) for reply in replies}) == 1
    assert len({str(sorted(dict(reply.headers.items()))) for reply in replies}) == 1
    for reply in replies:
        assert reply.seconds >= REFUSAL_SECONDS
    spread = [reply.seconds for reply in replies]
    assert max(spread) - statistics.median(spread) < 0.5


def test_root_does_not_sign_in(client: Client) -> None:
    """The right password of root is refused like a wrong one: root needs no web page."""
    os_accounts.change("chpasswd", given="root:right\n")
    reply = client.give_password("root", "right")
    assert (reply.status, "wrong" in reply.main) == (403, True)


def test_an_account_without_a_password_does_not_sign_in(client: Client, account: Account) -> None:
    """Debian's stack says `nullok`; here no password, or any, is a wrong one."""
    os_accounts.change("passwd", "--delete", account.name)
    for password in ["", "any"]:
        assert client.give_password(account.name, password).status == 403


def test_a_user_without_mfa_is_in_after_the_password(client: Client, account: Account) -> None:
    """Who has not adopted MFA meets no code."""
    client.sign_in(account)
    assert "MFA off" in client.get("/").main


def test_the_code_is_asked_only_after_the_right_password(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """A wrong password shows the same page, MFA or not; no code page opens without the password."""
    device = web_host.installation.enroll(account.name)
    assert client.get("/sign-in/code").location == "/sign-in"
    assert "code" not in client.give_password(account.name, "wrong").main
    client.sign_in(account, device)
    assert client.is_signed_in()


def test_a_cookie_from_before_the_code_opens_nothing(
    connect: Callable[..., Client], web_host: WebHost, account: Account
) -> None:
    """Stolen between password and code, a session cookie leads to the code page only."""
    device = web_host.installation.enroll(account.name)
    client = connect()
    client.give_password(account.name, account.password)
    thief = connect()
    thief.cookies = dict(client.cookies)
    for path in ["/", "/mfa", "/tokens", "/tokens/new", "/password", "/sessions", "/activity"]:
        assert thief.get(path).location == "/sign-in/code", path
    stolen = thief.session
    assert client.give_code(device.code()).location == "/"
    assert client.session != stolen, "the session has a new secret"
    assert thief.get("/").location == "/sign-in"


def test_the_session_cookie_is_kept_from_scripts_and_other_hosts(
    client: Client, account: Account
) -> None:
    """__Host- with Secure, HttpOnly, SameSite and the path / on every cookie of a session."""
    reply = client.give_password(account.name, account.password)
    (cookie,) = [one for one in reply.headers.get_all("Set-Cookie", []) if "session" in one]
    assert cookie.startswith("__Host-sftp-mfa-session=")
    words = {word.strip() for word in cookie.split(";")[1:]}
    assert words == {"Path=/", "SameSite=Lax", "HttpOnly", "Secure"}


def test_a_replayed_code_is_refused_and_not_counted(
    connect: Callable[..., Client], web_host: WebHost, account: Account
) -> None:
    """The code that let in once is told to be used up."""
    device = web_host.installation.enroll(account.name)
    code = device.code()
    first, second = connect(), connect()
    for client in (first, second):
        client.give_password(account.name, account.password)
    assert first.give_code(code).location == "/"
    reply = second.give_code(code)
    assert (reply.status, "used already" in reply.main) == (403, True)
    assert web_host.installation.wrong_codes(account.name) == 0


def test_a_lock_is_told_only_after_the_right_password(
    connect: Callable[..., Client], web_host: WebHost, account: Account
) -> None:
    """Who knows the password is told how long; who does not sees what everybody sees."""
    device = web_host.installation.enroll(account.name)
    client = connect()
    client.give_password(account.name, account.password)
    for code in device.wrong_codes(4):
        assert "wrong" in client.give_code(code).main
    assert "15 minutes" in client.give_code(device.wrong_codes(5)[4]).main
    assert client.session is None
    assert "locked" not in connect().give_password(account.name, "wrong").main
    owner = connect()
    assert owner.give_password(account.name, account.password).location == "/sign-in/code"
    assert "15 minutes" in owner.get("/sign-in/code").main


def test_a_barred_account_is_told_so_after_the_right_password(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """Barred means barred, and a guesser does not learn it."""
    web_host.installation.store.accounts.bar(account.name, ROOT)
    assert "barred" not in client.give_password(account.name, "wrong").main
    assert "barred" in client.give_password(account.name, account.password).main
    assert client.session is None


def test_a_closed_account_is_told_so_after_the_right_password(
    client: Client, account: Account
) -> None:
    """The account phase of PAM counts: an expired account stays out."""
    os_accounts.change("usermod", "--expiredate", "2020-01-01", account.name)
    assert "closed" in client.give_password(account.name, account.password).main
    assert client.session is None


def test_an_expired_password_leads_to_its_change(
    client: Client, web_host: WebHost, account: Account
) -> None:
    """After the password, and the code where there is one, comes the page for a new password."""
    device = web_host.installation.enroll(account.name)
    os_accounts.change("chage", "--lastday", "0", account.name)
    reply = client.give_password(account.name, account.password)
    assert reply.location == "/sign-in/code?expired=1"
    reply = client.open_and_post(reply.location, code=device.code())
    assert reply.location == "/password?expired=1"
    opened = client.get(reply.location)
    assert "expired" in opened.main
    new = "a-Brand-new-9-passphrase"
    reply = client.post(
        reply.location, password=account.password, new_password=new, new_password_again=new
    )
    assert reply.location == "/?done=password_changed", reply.main


def test_guesses_at_an_account_are_slowed_and_lock_nobody_out_of_sftp(
    web_hosts: Callable[..., WebHost], account: Account, openssh: OpenSsh
) -> None:
    """Many wrong passwords close the web for the account for a while, and nothing else."""
    host = web_hosts(more="[password_throttle.account]\nfailures = 3\nminutes = 1\n")
    with ThreadPoolExecutor(3) as together:
        guess = lambda number: Client(host, f"192.0.2.{number}").give_password(  # noqa: E731
            account.name, "wrong"
        )
        assert {reply.status for reply in together.map(guess, range(3))} == {403}
    reply = Client(host, "192.0.2.9").give_password(account.name, account.password)
    assert reply.status == 429
    assert 50 <= int(reply.headers["Retry-After"]) <= 60
    assert "Try again in" in reply.main
    assert openssh.login(host.sshd, account.name, [account.password]).ok


def test_guesses_from_an_address_are_slowed_whatever_the_account(
    web_hosts: Callable[..., WebHost], account: Account
) -> None:
    """One address tries many names; others come in meanwhile."""
    host = web_hosts(more="[password_throttle.address]\nfailures = 3\n")
    with ThreadPoolExecutor(3) as together:
        guess = lambda number: Client(host, "192.0.2.1").give_password(  # noqa: E731
            f"{UNKNOWN}{number}", "wrong"
        )
        list(together.map(guess, range(3)))
    assert Client(host, "192.0.2.1").give_password(account.name, account.password).status == 429
    Client(host, "192.0.2.2").sign_in(account)


def test_one_guessers_waits_do_not_block_others(
    connect: Callable[..., Client], account: Account
) -> None:
    """While one address has as many guesses under way as it may, another signs in at once."""
    guesser = [(f"{UNKNOWN}{number}", "wrong") for number in range(20)]
    with ThreadPoolExecutor(20) as together:
        waits = [
            together.submit(connect(came_from="203.0.113.7").give_password, *guess)
            for guess in guesser
        ]
        reply = connect().give_password(account.name, account.password)
        assert (reply.status, reply.seconds < 2) == (303, True)
        statuses = [wait.result().status for wait in waits]
    assert statuses.count(429) >= 10, "and more than eight at once are not even looked at"


def test_what_is_typed_is_not_in_any_log(
    client: Client, web_host: WebHost, account: Account, syslog: Syslog
) -> None:
    """Neither passwords nor codes nor session secrets reach a log line."""
    device = web_host.installation.enroll(account.name)
    client.give_password(account.name, "wrong-but-secret")
    code = device.code()
    client.give_password(account.name, account.password)
    client.give_code(code)
    assert client.session is not None
    logs = web_host.web.output() + web_host.broker.output() + "\n".join(syslog.lines())
    for secret in [account.password, "wrong-but-secret", client.session]:
        assert secret not in logs
    assert not re.search(rf"\b{code}\b", logs)
    assert f'account="{account.name}"' in logs


def test_without_the_broker_nobody_comes_in(
    web_hosts: Callable[..., WebHost], account: Account
) -> None:
    """Pages say that they are not available, the metrics too; they come back with the broker."""
    host = web_hosts(more="public_metrics = true\n")
    client = Client(host, "192.0.2.1")
    with stopped_broker(host):
        assert client.give_password(account.name, account.password).status == 503
    assert 'sftp_mfa_unavailable_total{part="broker"} 1.0' in client.get("/api/v1/metrics").text
    client.sign_in(account)


@contextmanager
def stopped_broker(host: WebHost) -> Iterator[None]:
    """Stop the broker for a while."""
    host.broker.stop()
    yield
    host.broker = host.start("serve-passwords")
    with suppress(RuntimeError):
        host.broker.wait_until_ready(lambda: host.broker.output().count("ready") == 2)


@pytest.mark.parametrize("name", ["", " ", "x" * 300, "no\tsuch", "ünknown", "a/b", "{{7*7}}"])
def test_odd_names_are_refused_like_any_other(client: Client, name: str) -> None:
    """Whatever is typed as a name, the answer is that name or password is wrong."""
    reply = client.give_password(name, "wrong")
    assert (reply.status, "is wrong" in reply.main) == (403, True)
