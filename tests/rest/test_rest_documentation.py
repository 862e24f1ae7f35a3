"""The documentation that the instance gives: valid, its examples true, its page alive."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.accounts import Account
from harness.installation import ROOT, Device
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import Browser, Page, expect
from rest_client import PREFIX, Client
from web_host import WebHost

from store.access_tokens import Scope
from web_admin.api.registry import ENDPOINTS


@pytest.fixture
def document(client: Client) -> Any:
    """Read what the instance says."""
    return client.get("/openapi.json").json


def test_it_is_openapi_and_has_every_endpoint(document: Any) -> None:
    """A validator that others made agrees; nothing is missing, nothing is undescribed."""
    OpenAPIV31SpecValidator(document).validate()
    operations = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert operations == {(one.method, PREFIX + one.path) for one in ENDPOINTS}
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids))
    for endpoint in ENDPOINTS:
        assert endpoint.body is None or endpoint.example is not None, endpoint.path


def test_every_example_is_accepted(
    client: Client, account: Account, rest_host: WebHost, document: Any
) -> None:
    """Sent as it stands, but for the secrets that nobody can write down ahead."""
    sent = set()
    for path, item in document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        if not content:
            continue
        example = content["application/json"]["example"]
        visitor, address, body = _true_to_life(client, account, rest_host, path, example)
        assert set(body) == set(example)
        answer = visitor.post(address.removeprefix(PREFIX), body)
        assert answer.status in {200, 201}, (path, answer.content)
        sent.add(path)
        if path.endswith("change-password"):
            account = Account(account.name, body["newPassword"], account.uid, account.home)
    assert len(sent) == sum(one.body is not None for one in ENDPOINTS)


def _true_to_life(
    client: Client, account: Account, rest_host: WebHost, path: str, example: dict[str, Any]
) -> tuple[Client, str, dict[str, Any]]:
    """Put this account's own secrets in the example's places."""
    store = rest_host.installation.store
    store.totp_factors.delete_all(account.name, ROOT)
    session = client.log_in(account)
    true: dict[str, Any] = {"account": account.name, "password": account.password}
    true["oldPassword"] = account.password
    if "{totpId}" in path:
        made = session.post("/users/me/auth-factors/totp", {"name": "phone"}).json
        path = path.replace("{totpId}", made["id"])
        true["code"] = Device(made["id"], _bytes(made["secret"])).code()
    elif "code" in example:
        rest_host.installation.enroll(account.name)
        true["code"] = store.recovery_codes.renew(account.name, ROOT)[0].text()
        login = {"account": account.name, "password": account.password}
        true["challenge"] = client.post("/auth/login", login).json["challenge"]
        session = client
    body = {name: true.get(name, value) for name, value in example.items()}
    return session, path.replace("{id}", "me"), body


def _bytes(secret: str) -> bytes:
    return base64.b32decode(secret)


@pytest.fixture
def page(client: Client, browser: Browser) -> Iterator[Page]:
    """Open a real browser that comes from the client's address."""
    context = browser.new_context(
        ignore_https_errors=True,
        extra_http_headers={"X-Forwarded-For": client.address, "X-Forwarded-Proto": "https"},
    )
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_a_call_is_made_from_the_page(
    client: Client, account: Account, rest_host: WebHost, page: Page
) -> None:
    """Swagger UI shows every endpoint, takes a token and calls with it; our policy stands."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.partition("/api/")[0]))
    page.goto(f"{rest_host.url}{PREFIX}/docs")
    expect(page.locator(".opblock")).to_have_count(len(ENDPOINTS))
    token = rest_host.installation.issue_token(account.name, scopes=(Scope.API,)).text()
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container", has_text="bearer").locator("input").first.fill(token)
    page.locator(".auth-container", has_text="bearer").get_by_role(
        "button", name="Apply credentials"
    ).click()
    page.get_by_role("button", name="Close").first.click()
    block = page.locator("#operations-users-getUsersId")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.locator("tr[data-param-name=id] input").fill("me")
    block.get_by_role("button", name="Execute").click()
    live = block.locator(".live-responses-table")
    expect(live.locator(".response-col_status").nth(1)).to_contain_text("200")
    assert json.loads(live.locator("pre code").first.inner_text())["name"] == account.name
    assert complaints == []
    assert {host for host in hosts if host.startswith("http")} == {rest_host.url}
    assert client.get("/docs").headers["Content-Type"].startswith("text/html")
