"""Who must adopt MFA and has not: the password opens the enrollment and nothing else."""

import base64
import secrets
from collections.abc import Iterator

import pytest
from harness.accounts import Account, Accounts
from harness.installation import Device
from rest_client import Client
from web_host import ADMINISTRATORS, WebHost

GROUP = f"must{secrets.token_hex(4)}"
TOTP = "/users/me/auth-factors/totp"


@pytest.fixture
def strict_host() -> Iterator[WebHost]:
    """Run a host where a group must adopt MFA."""
    made = WebHost(more=f'[enforcement]\ngroups = ["{GROUP}"]\n')
    yield made
    made.close()


def begin(host: WebHost, account: Account) -> Client:
    """Log in with the password."""
    client = Client(host)
    sent = {"account": account.name, "password": account.password}
    found = client.post("/auth/login", sent).json
    assert found["status"] == "enrollment_required"
    return client.bearer(found["session"]["sessionToken"])


def test_an_administrators_password_alone_opens_no_other_account(
    strict_host: WebHost, accounts: Accounts
) -> None:
    """Not for reading, and above all not for enrolling an authenticator there."""
    boss, victim = accounts.make(groups=[GROUP, ADMINISTRATORS]), accounts.make()
    session = begin(strict_host, boss)
    factors = f"/users/{victim.name}/auth-factors/totp"
    assert session.post(factors, {"name": "mine"}).code == "forbidden"
    assert session.get(factors).code == "forbidden"
    assert session.get(f"{factors}/x").code == "forbidden"
    assert session.post(f"{factors}/x/complete", {"code": "123456"}).code == "forbidden"
    for path in ("/users", "/users/me", "/audit-events", "/users/me/sessions", "/metrics"):
        assert session.get(path).code == "enrollment_required"
    change = {"oldPassword": boss.password, "newPassword": "an orange hat for 7 geese"}
    assert session.post("/auth/change-password", change).code == "enrollment_required"
    basic = Client(strict_host).basic(boss.name, boss.password)
    assert basic.get("/users/me").code == "enrollment_required"


def test_the_enrollment_opens_the_rest_under_a_new_secret(
    strict_host: WebHost, accounts: Accounts
) -> None:
    """With the first code the session is a full one."""
    account = accounts.make(groups=[GROUP])
    session = begin(strict_host, account)
    made = session.post(TOTP, {"name": "phone"}).json
    device = Device(made["id"], base64.b32decode(made["secret"]))
    done = session.post(f"{TOTP}/{made['id']}/complete", {"code": device.code()})
    assert done.status == 200, done.content
    assert len(done.json["recoveryCodes"]) == 10
    assert session.get("/users/me").code == "session_invalid"
    risen = Client(strict_host).bearer(done.json["session"]["sessionToken"])
    assert risen.get("/users/me").json["adoptedAt"]
