"""Whatever is sent: a clear refusal that names the field at fault, and never a fault of ours."""

from typing import Any

import pytest
from harness.accounts import Account
from rest_client import Client
from web_host import WebHost

TOKENS = "/users/me/auth-factors/access-tokens"
NAMED = {"name": "t"}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", "json_invalid", None),
        (b"{", "json_invalid", None),
        (b"\xff\xfe", "json_invalid", None),
        (b'{"name": "\\ud800"}', "json_invalid", None),
        (b"[" * 60_000, "request_invalid", ""),
        (b"null", "request_invalid", ""),
        (b'{"name": ' + b"[" * 60_000, "request_invalid", "name"),
        (b"[]", "request_invalid", ""),
        ({}, "request_invalid", "name"),
        ({"name": 7}, "request_invalid", "name"),
        ({"name": None}, "request_invalid", "name"),
        (NAMED | {"nmae": "t"}, "request_invalid", "nmae"),
        (NAMED | {"scopes": []}, "request_invalid", "scopes"),
        (NAMED | {"scopes": ["root"]}, "request_invalid", "scopes[0]"),
        (NAMED | {"scopes": "sftp"}, "request_invalid", "scopes"),
        (NAMED | {"networks": [1]}, "request_invalid", "networks[0]"),
        (NAMED | {"networks": ["10.0.0.0/8"] * 21}, "request_invalid", "networks"),
        (NAMED | {"expiresAt": "tomorrow"}, "request_invalid", "expiresAt"),
        (NAMED | {"expiresAt": "2099-01-01T00:00:00"}, "request_invalid", "expiresAt"),
        (NAMED | {"expiresAt": 4_070_908_800}, "request_invalid", "expiresAt"),
    ],
)
def test_a_body_that_does_not_fit(
    client: Client, account: Account, body: Any, code: str, field: str | None
) -> None:
    """It is refused with its field, before anything is done."""
    session = client.log_in(account)
    answer = session.post(TOKENS, body)
    assert (answer.status, answer.code) == (400, code), answer.content
    if field is not None:
        assert answer.json["errors"][0]["field"] == field
    assert session.get(TOKENS).json["items"] == []


def test_bodies_of_other_kinds_and_sizes(client: Client, account: Account) -> None:
    """JSON alone is taken, up to 64 KB; where there is nothing to say, nothing."""
    session = client.log_in(account)
    body = b'{"name": "t"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"):
        answer = session.post(TOKENS, body, Content_Type=kind)
        assert (answer.status, answer.code) == (415, "media_type_unsupported")
    padded = body + b" " * (64 * 1024 - len(body))
    assert session.post(TOKENS, padded).status == 201
    huge = session.post(TOKENS, padded + b" ")
    assert (huge.status, huge.code) == (413, "body_too_large")
    assert session.post("/auth/logout", b"{}").code == "request_invalid"
    assert session.post(TOKENS, body, Content_Type="Application/JSON; charset=UTF-8").status == 201


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=99999999999999999999-a",
        "scope=null",
        "scope=",
        "unknown=1",
        "limit=%ff",
        "&".join(f"a{number}=1" for number in range(30)),
    ],
)
def test_queries_that_do_not_fit(client: Client, account: Account, query: str) -> None:
    """Likewise."""
    answer = client.log_in(account).get(f"{TOKENS}?{query}")
    assert (answer.status, answer.code) == (400, "request_invalid")


@pytest.mark.parametrize(
    "query",
    ["since=1", "since=2026-01-01", "since=2026-01-01T00:00:00", "account=%00", "event=x"],
)
def test_filters_that_do_not_fit(client: Client, administrator: Account, query: str) -> None:
    """Likewise; a time says its zone."""
    answer = client.log_in(administrator).get(f"/audit-events?{query}")
    assert (answer.status, answer.code) == (400, "request_invalid")


def test_addresses_and_methods_that_there_are_not(client: Client, administrator: Account) -> None:
    """404 and 405, as problems, and which methods there are."""
    session = client.log_in(administrator)
    for path in ("/nothing", "/users/", "/users/a/b", "/users/%00", "/users/%ff", "/docs/assets/x"):
        answer = session.get(path)
        assert (answer.status, answer.code) == (404, "not_found"), path
    assert session.get("/docs/assets/..%2f..%2fmodels.py").status == 404
    answer = session.call("PUT", "/users/me")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"
    assert session.call("HEAD", "/health").content == b""


def test_every_answer_is_closed_to_other_sites_and_to_caches(
    client: Client, rest_host: WebHost
) -> None:
    """Nothing is kept on the way, guessed at, or framed."""
    for path in ("/health", "/users/me", "/nothing", "/openapi.json", "/docs"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "max-age" in headers["Strict-Transport-Security"]
        assert "Set-Cookie" not in headers
    log = (rest_host.installation.folder / "serve-web.log").read_text()
    assert "Traceback" not in log
