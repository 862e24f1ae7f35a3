"""Serving: TLS, slow and large requests, the clean end, who is believed, what pages carry."""

import http.client
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Visitor
from client import Client
from harness.accounts import Account
from harness.processes import descendants
from harness.sandbox import checkout, command
from harness.waiting import until
from playwright.sync_api import Browser
from web_host import WebHost, make_certificate

from store.settings import WebSettings
from web_admin import gateway
from web_admin.errors import ServeError
from web_admin.gateway import MAX_BODY
from web_admin.proxies import Peer, find_peer, parse_networks
from web_admin.server import listening_address

POLICY = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


def presented(host: WebHost) -> str:
    """Give the certificate that the server shows."""
    return ssl.get_server_certificate(("127.0.0.1", host.port))


def test_a_new_certificate_is_used_after_sighup(
    web_hosts: Callable[..., WebHost], account: Account
) -> None:
    """Nobody who is signed in notices; a broken one is refused and the old one stays."""
    host = web_hosts()
    client = Client(host, "192.0.2.1")
    client.sign_in(account)
    before = presented(host)
    make_certificate(host.installation.folder, "renewed")
    workers = set(descendants(host.web.pid))
    host.web.signal(signal.SIGHUP)
    # The old worker answers for a few seconds more, beside the new one.
    until(lambda: not workers <= set(descendants(host.web.pid)), "the old worker's end", 30)
    after = presented(host)
    assert after != before
    assert client.is_signed_in()
    (host.installation.folder / "cert.pem").write_text("broken")
    host.web.signal(signal.SIGHUP)
    until(lambda: "certificate from before" in host.web.output(), "the complaint")
    assert presented(host) == after
    assert client.is_signed_in()


def test_old_tls_is_not_spoken(web_host: WebHost) -> None:
    """TLS 1.2 and older are refused."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", web_host.port)) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw)


def test_slow_requests_hold_up_nobody(web_hosts: Callable[..., WebHost]) -> None:
    """Hundreds of half-sent headers and bodies, and a page still comes at once."""
    host = web_hosts(tls=False)
    half = [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"] * 150
    half += [b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\nname"] * 150
    slow = []
    for text in half:
        slow.append(socket.create_connection(("127.0.0.1", host.port)))
        slow[-1].sendall(text)
    time.sleep(0.3)
    assert Client(host, "").get("/sign-in").seconds < 1
    slow[-1].settimeout(20)
    assert b"408" in slow[-1].recv(100), "and is hung up on after a while"
    for connection in slow:
        connection.close()


def test_large_requests_are_refused(web_host: WebHost, client: Client) -> None:
    """A body above the limit, told or not told beforehand, and headers above theirs."""
    client.get("/sign-in")
    reply = client.post("/sign-in", account="x" * MAX_BODY, password="x")
    assert reply.status == 413
    with pytest.raises((http.client.HTTPException, OSError, AssertionError)):
        assert client.get("/sign-in", **{"X-Long": "x" * 200_000}).status < 400
    assert client.get("/sign-in").status == 200
    assert "Traceback" not in web_host.web.output()


def test_it_stops_but_answers_what_is_under_way(
    web_hosts: Callable[..., WebHost], account: Account
) -> None:
    """SIGTERM while somebody waits for a refused password: the refusal still comes."""
    host = web_hosts()
    client = Client(host, "192.0.2.1")
    replies = []
    waiting = threading.Thread(
        target=lambda: replies.append(client.give_password(account.name, "wrong"))
    )
    waiting.start()
    time.sleep(1)
    assert host.web.stop() == 0
    waiting.join()
    assert [reply.status for reply in replies] == [403]
    assert "Traceback" not in host.web.output()


@pytest.mark.parametrize(
    ("listen", "more", "ok"),
    [
        ("127.0.0.1:1", {}, True),
        ("[::1]:1", {}, True),
        ("0.0.0.0:1", {}, False),
        ("192.0.2.1:1", {}, False),
        ("0.0.0.0:1", {"certificate": "/c", "key": "/k"}, True),
        ("[::]:1", {"trusted_proxies": ("192.0.2.1",)}, True),
    ],
)
def test_passwords_cross_no_network_in_the_clear(
    listen: str, more: dict[str, str], *, ok: bool
) -> None:
    """Plain HTTP beyond loopback is refused at the start."""
    settings = WebSettings(listen=listen, **more)  # type: ignore[arg-type]
    if ok:
        assert listening_address(settings)[1] == 1
    else:
        with pytest.raises(ServeError, match=r"web\.listen"):
            listening_address(settings)


@pytest.mark.parametrize(
    ("remote", "forwarded", "proto", "expected"),
    [
        ("198.51.100.7", "203.0.113.9", "https", Peer("198.51.100.7", is_secure=False)),
        ("10.0.0.5", "203.0.113.9", "https", Peer("203.0.113.9", is_secure=True)),
        ("10.0.0.5", "1.1.1.1, 203.0.113.9", "https", Peer("203.0.113.9", is_secure=True)),
        ("10.0.0.5", "203.0.113.9, 10.0.0.6", "http", Peer("203.0.113.9", is_secure=False)),
        ("10.0.0.5", "", "https", Peer("10.0.0.5", is_secure=True)),
        ("10.0.0.5", "rubbish", "http,https", Peer("10.0.0.5", is_secure=True)),
        ("10.0.0.5", "203.0.113.9", "https, http", Peer("203.0.113.9", is_secure=False)),
        ("::ffff:10.0.0.5", "2001:db8::1", "https", Peer("2001:db8::1", is_secure=True)),
    ],
)
def test_only_named_proxies_are_believed(
    remote: str, forwarded: str, proto: str, expected: Peer
) -> None:
    """The last hop that is none of ours is the browser, whatever it says further left."""
    environ = {
        "REMOTE_ADDR": remote,
        "HTTP_X_FORWARDED_FOR": forwarded,
        "HTTP_X_FORWARDED_PROTO": proto,
    }
    assert find_peer(environ, parse_networks(("10.0.0.0/24",))) == expected


def test_behind_a_proxy_plain_http_is_refused(web_host: WebHost, client: Client) -> None:
    """A proxy that does not say HTTPS gets no page to type a password into."""
    reply = client.get("/sign-in", **{"X-Forwarded-Proto": "http"})
    assert (reply.status, "only over HTTPS" in reply.main) == (403, True)
    assert web_host.scheme == "https"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_browser_on_loopback_needs_no_certificate(
    web_hosts: Callable[..., WebHost],
    open_browser: Callable[..., Visitor],
    account: Account,
    name: str,
) -> None:
    """On a machine of one's own plain HTTP will do; the cookie then has a plain name."""
    host = web_hosts(tls=False)
    visitor = open_browser(host)
    base = f"http://{name}:{host.port}"
    visitor.page.goto(f"{base}/sign-in")
    visitor.fill(account=account.name, password=account.password)
    visitor.submit()
    assert visitor.page.url == f"{base}/"
    assert "Your account" in visitor.main
    cookies = {cookie["name"]: cookie for cookie in visitor.context.cookies()}  # type: ignore[typeddict-item]
    assert not cookies["sftp-mfa-session"]["secure"]
    assert cookies["sftp-mfa-session"]["httpOnly"]


def test_loopback_is_not_served_under_a_foreign_name(web_hosts: Callable[..., WebHost]) -> None:
    """A site whose name was bent to 127.0.0.1 gets no page, nor does a proxy that is not named."""
    host = web_hosts(tls=False)
    for name in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"]:
        assert Client(host, "").get("/sign-in", Host=name).status == 403


def test_every_page_carries_its_policy(client: Client, account: Account) -> None:
    """Pages, errors and downloads: a strict policy, never stored, never framed."""
    client.sign_in(account)
    for path in ["/sign-in", "/", "/tokens/new", "/nothing-here", "/admin", "/static/no-such"]:
        headers = client.get(path).headers
        if path.startswith("/static"):
            continue
        policy = headers["Content-Security-Policy"]
        assert {part.strip() for part in policy.split(";")} == POLICY, path
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_pages_have_no_inline_script_or_style() -> None:
    """What the policy forbids is not there to be tried."""
    for template in (checkout() / "web_admin" / "templates").glob("*.tpl"):
        text = template.read_text()
        markup = re.sub(r"\{\{.*?\}\}|(?m:^%.*$)", "", text)
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", markup), template
        assert not re.search(r"<script(?! src=)", text), template


def test_what_is_not_escaped_is_ours() -> None:
    """Templates escape; each place that does not shows a constant of its own, or the QR code."""
    ours = re.compile(
        r"base|image|' [a-z-]+(=\"[a-z]+\")?' if .* else ''|'' if .* else ' class=.*'"
    )
    for template in (checkout() / "web_admin" / "templates").glob("*.tpl"):
        for raw in re.findall(r"\{\{!(.*?)\}\}", template.read_text()):
            assert ours.fullmatch(raw), (template.name, raw)


def test_the_sign_in_page_is_light(browser: Browser, web_host: WebHost) -> None:
    """All that a first visit loads is 50 KB at most, and the browser asks nobody else."""
    context = browser.new_context(
        ignore_https_errors=True, extra_http_headers={"X-Forwarded-Proto": "https"}
    )
    page = context.new_page()
    sizes = []
    page.on("response", lambda answer: sizes.append((answer.url, len(answer.body()))))
    page.goto(web_host.url + "/sign-in", wait_until="networkidle")
    assert all(url.startswith(web_host.url) for url, _ in sizes)
    assert 3 <= len(sizes) <= 6
    assert sum(size for _, size in sizes) < 50_000
    context.close()


def test_files_of_ours_are_kept_by_browsers_until_they_change(client: Client) -> None:
    """Their addresses have their digests, so that they can be kept for a year."""
    page = client.get("/sign-in").text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        reply = client.get(path)
        assert reply.status == 200
        assert "immutable" in reply.headers["Cache-Control"]
    for path in ["/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static/"]:
        assert client.get(path).status in {403, 404}


def test_it_starts_only_with_a_certificate_that_can_be_used(web_host: WebHost) -> None:
    """What is wrong with it is said in one line."""
    config = web_host.installation.folder / "broken.toml"
    text = web_host.installation.config.read_text()
    config.write_text(re.sub(r'certificate = ".*"', f'certificate = "{Path("/etc/passwd")}"', text))
    argv = [command("sftp-mfa"), "serve-web", "--config", config]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: web.certificate and web.key: ")


def test_header_with_an_underscore_passes_for_no_other() -> None:
    """A client behind a proxy cannot add to what the proxy says of it, by another spelling."""
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"x-forwarded-for", b"203.0.113.5"), (b"x_forwarded_for", b"10.1.2.3")],
    }
    environ = gateway._environ(scope, b"")  # noqa: SLF001 - no client of ours sends such headers
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.5"
