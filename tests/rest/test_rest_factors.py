"""Factors over the API: made and shown once, bounded, listed in pages, gone for good."""

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from harness.accounts import Account
from harness.installation import Device
from rest_client import Client
from web_host import WebHost

from store.access_tokens import Scope

TOKENS = "/users/me/auth-factors/access-tokens"
TOTP = "/users/me/auth-factors/totp"
CODES = "/users/me/auth-factors/recovery-codes"


def test_enroll_and_leave_again(
    client: Client, account: Account, tmp_path: Path, rest_host: WebHost
) -> None:
    """The secret is shown once, as text, URI and pictures that a scanner reads."""
    session = client.log_in(account)
    started = session.post(TOTP, {"name": "phone"})
    assert started.status == 201, started.content
    made = started.json
    picture = tmp_path / "code.png"
    kind, _, data = made["qrCode"]["png"].partition(",")
    assert kind == "data:image/png;base64"
    picture.write_bytes(base64.b64decode(data))
    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", picture], capture_output=True, text=True, check=True
    )
    assert read.stdout.strip() == made["otpauthUri"]
    svg = base64.b64decode(made["qrCode"]["svg"].partition(",")[2])
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own
    path = f"{TOTP}/{made['id']}"
    assert made["secret"] not in session.get(path).content.decode()
    assert session.get(f"{TOTP}?status=active").json["items"] == []
    device = Device(made["id"], base64.b32decode(made["secret"]))
    wrong = session.post(f"{path}/complete", {"code": device.wrong_codes(1)[0]})
    assert (wrong.status, wrong.code) == (409, "enrollment_refused")
    done = session.post(f"{path}/complete", {"code": device.code()})
    assert done.json["status"] == "active"
    assert len(done.json["recoveryCodes"]) == 10
    assert session.post(f"{path}/complete", {"code": device.code(1)}).code == "enrollment_refused"
    assert session.get(CODES).json == {"left": 10}
    assert (
        client.post("/auth/login", {"account": account.name, "password": account.password}).json[
            "status"
        ]
        == "mfa_required"
    )
    assert session.delete(path).status == 204
    assert session.delete(path).status == 404
    assert session.post(CODES).code == "refused"
    assert rest_host.installation.store.accounts.show(account.name).adopted_at is None


def test_a_token_makes_none_that_opens_more(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """Neither another scope nor a wider network nor a longer life."""
    end = datetime.now(UTC) + timedelta(days=3)
    bounds = {"scopes": (Scope.API,), "networks": ("10.0.0.0/8",), "expires_at": end}
    secret = rest_host.installation.issue_token(account.name, **bounds)
    job = client.bearer(secret.text())
    fits = {"name": "t", "scopes": ["api"], "networks": ["10.1.0.0/16"]}
    made = job.post(TOKENS, fits)
    assert made.status == 201, made.content
    assert datetime.fromisoformat(made.json["expiresAt"]) <= end
    later = (end + timedelta(days=1)).isoformat()
    for change, field in (
        ({"scopes": ["api", "sftp"]}, "scopes"),
        ({"networks": []}, "networks"),
        ({"networks": ["0.0.0.0/0"]}, "networks"),
        ({"networks": ["10.1.0.0/16", "2001:db8::/32"]}, "networks"),
        ({"networks": ["nonsense"]}, "networks"),
        ({"expiresAt": later}, "expiresAt"),
    ):
        refused = job.post(TOKENS, fits | change)
        assert (refused.status, refused.code) == (403, "too_broad")
        assert refused.json["errors"][0]["field"] == field


def test_pages_are_stable_while_things_come_and_go(client: Client, account: Account) -> None:
    """A page begins behind the last thing of the one before, whatever was made or ended since."""
    session = client.log_in(account)
    made = [session.post(TOKENS, {"name": f"t{number}"}).json["id"] for number in range(7)]
    first = session.get(f"{TOKENS}?limit=3").json
    assert [item["id"] for item in first["items"]] == made[:3:-1]
    session.post(TOKENS, {"name": "new"})
    assert session.delete(f"{TOKENS}/{made[4]}").status == 204
    second = session.get(f"{TOKENS}?limit=3&cursor={first['nextCursor']}").json
    assert [item["id"] for item in second["items"]] == [made[3], made[2], made[1]]
    last = session.get(f"{TOKENS}?limit=3&cursor={second['nextCursor']}").json
    assert [item["id"] for item in last["items"]] == [made[0]]
    assert last["nextCursor"] is None
    assert session.get(f"{TOKENS}?scope=api").json["items"] == []
    assert session.delete(TOKENS).status == 204
    assert session.get(TOKENS).json == {"items": [], "nextCursor": None}


def test_sessions_of_pages_and_api_are_listed_and_ended(client: Client, account: Account) -> None:
    """One sees where one is signed in, and which session asks; others end at once."""
    session, other = client.log_in(account), client.log_in(account)
    items = session.get("/users/me/sessions?protocol=api").json["items"]
    assert sorted(item["current"] for item in items) == [False, True]
    stranger = next(item["id"] for item in items if not item["current"])
    assert session.delete(f"/users/me/sessions/{stranger}").status == 204
    assert session.delete(f"/users/me/sessions/{stranger}").status == 404
    assert other.get("/users/me").code == "session_invalid"
    third = client.log_in(account)
    assert third.delete("/users/me/sessions").status == 204
    assert session.get("/users/me").code == "session_invalid"
    assert third.get("/users/me").status == 200


def test_an_administrator_looks_after_others_and_stands_in_the_audit(
    client: Client, account: Account, administrator: Account, rest_host: WebHost
) -> None:
    """Every change has its actor; unknown accounts are told to administrators alone."""
    boss, user = client.log_in(administrator), client.log_in(account)
    path = f"/users/{account.name}/auth-factors/access-tokens"
    made = boss.post(path, {"name": "for you"})
    assert made.status == 201
    assert boss.post(f"/users/{account.name}/bar").json["barredAt"]
    assert boss.post(f"/users/{account.name}/unbar").json["barredAt"] is None
    events = boss.get(f"/audit-events?account={account.name}&limit=3").json["items"]
    assert [event["event"] for event in events] == [
        "account_unbarred",
        "account_barred",
        "token_issued",
    ]
    assert {event["actor"] for event in events} == {administrator.name}
    assert events[2]["factorId"] == made.json["id"]
    assert boss.get("/users/nobody-of-that-name").status == 404
    assert boss.get("/audit-events?account=nobody-of-that-name").status == 404
    again = client.log_in(account)
    assert user.get("/users/me").code == "session_invalid"
    for name in (administrator.name, "nobody-of-that-name"):
        answer = again.get(f"/users/{name}")
        assert (answer.status, answer.code) == (403, "forbidden")
        assert answer.content == again.get(f"/audit-events?account={name}").content
    names = {event["account"] for event in again.get("/audit-events").json["items"]}
    assert names == {account.name}
    listed = boss.get(f"/users?prefix={account.name}&adopted=false").json["items"]
    assert [one["name"] for one in listed] == [account.name]
    assert not list(rest_host.installation.store.audit_log.verify())


def test_limits_are_told(client: Client, account: Account, rest_host: WebHost) -> None:
    """As many tokens as are allowed, and no more; an end in the past is none."""
    session = client.log_in(account)
    for _ in range(50):
        rest_host.installation.issue_token(account.name)
    full = session.post(TOKENS, {"name": "one more"})
    assert (full.status, full.code) == (409, "limit_reached")
    assert session.delete(TOKENS).status == 204
    past = session.post(TOKENS, {"name": "t", "expiresAt": "2001-01-01T00:00:00Z"})
    assert (past.status, past.code) == (422, "refused")


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb\u0000", "\u202e"])
def test_names_are_printable(client: Client, account: Account, name: str) -> None:
    """A name that nobody could read, or that would turn a line around, is refused."""
    answer = client.log_in(account).post(TOKENS, {"name": name})
    assert answer.status in {400, 422}


def test_an_account_whose_owner_left_is_forgotten(
    client: Client, account: Account, administrator: Account, rest_host: WebHost
) -> None:
    """Whoever is given the name next inherits nothing; what happened stays known."""
    rest_host.installation.enroll(account.name)
    rest_host.installation.issue_token(account.name)
    boss = client.log_in(administrator)
    forgotten = boss.post(f"/users/{account.name}/forget")
    assert (forgotten.status, forgotten.json["adoptedAt"]) == (200, None)
    for kind in ("totp", "access-tokens"):
        assert boss.get(f"/users/{account.name}/auth-factors/{kind}").json["items"] == []
    events = boss.get(f"/audit-events?account={account.name}&event=account_forgotten").json
    assert [event["actor"] for event in events["items"]] == [administrator.name]
    assert boss.get(f"/audit-events?account={account.name}&event=token_issued").json["items"]
