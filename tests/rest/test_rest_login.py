"""Logging in over the API: what is asked, what is told, and what is never told."""

import base64
import time

from harness.accounts import Account
from harness.installation import ROOT
from rest_client import Answer, Client
from web_host import WebHost

from store.access_tokens import Scope
from store.decisions import Attempt, Protocol
from store.sessions import Stage

CODE = "/auth/mfa/totp/validate-code"


def log_in(client: Client, name: str, password: str) -> Answer:
    """Send account and password."""
    return client.post("/auth/login", {"account": name, "password": password})


def test_an_unknown_account_answers_like_a_wrong_password(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """Neither the answer nor its time tells which accounts there are, nor who adopted MFA."""
    rest_host.installation.enroll(account.name)
    answers, times = [], []
    for name, password in ((account.name, "wrong"), ("nobody-of-that-name", account.password)):
        started = time.monotonic()
        answer = log_in(client, name, password)
        times.append(time.monotonic() - started)
        answers.append((answer.status, answer.content, answer.headers["WWW-Authenticate"]))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    assert min(times) >= 3.2


def test_a_challenge_opens_nothing_and_is_used_up(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """Between password and code nothing is open; the code's session has another secret."""
    device = rest_host.installation.enroll(account.name)
    challenge = log_in(client, account.name, account.password).json["challenge"]
    assert client.bearer(challenge).get("/users/me").code == "mfa_required"
    wrong = client.post(CODE, {"challenge": challenge, "code": device.wrong_codes(1)[0]})
    assert (wrong.status, wrong.code) == (401, "code_refused")
    right = client.post(CODE, {"challenge": challenge, "code": device.code()})
    session = client.bearer(right.json["sessionToken"])
    assert session.get("/users/me").json["name"] == account.name
    again = {"challenge": challenge, "code": device.code()}
    assert client.post(CODE, again).code == "session_invalid"
    assert client.bearer(challenge).get("/users/me").code == "session_invalid"
    assert session.post(CODE, {"code": device.code()}).code == "code_replayed"
    assert session.post("/auth/logout").status == 204
    assert session.get("/users/me").code == "session_invalid"


def test_a_confirmation_renews_the_session_under_a_new_secret(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """The secret from before opens nothing any more."""
    device = rest_host.installation.enroll(account.name)
    session = client.log_in(account, device)
    renewed = session.post(CODE, {"code": device.code(1)})
    assert renewed.status == 200, renewed.content
    assert session.get("/users/me").code == "session_invalid"
    assert client.bearer(renewed.json["sessionToken"]).get("/users/me").status == 200


def test_wrong_codes_lock_and_say_for_how_long(
    client: Client, account: Account, rest_host: WebHost, administrator: Account
) -> None:
    """Five wrong codes lock the code check, Basic included; an administrator opens it."""
    device = rest_host.installation.enroll(account.name)
    basic = client.basic(account.name, account.password)
    for code in device.wrong_codes(4):
        assert basic.get("/users/me", X_MFA_Code=code).code == "code_refused"
    locked = basic.get("/users/me", X_MFA_Code=device.wrong_codes(5)[4])
    assert (locked.status, locked.code) == (429, "codes_locked")
    assert 800 < int(locked.headers["Retry-After"]) <= 900
    assert basic.get("/users/me", X_MFA_Code=device.code()).code == "codes_locked"
    other = client.log_in(administrator)
    assert other.get(f"/users/{account.name}").json["lockedUntil"]
    assert other.post(f"/users/{account.name}/unlock").json["lockedUntil"] is None
    assert basic.get("/users/me", X_MFA_Code=device.code()).status == 200


def test_basic_says_what_to_send(client: Client, account: Account, rest_host: WebHost) -> None:
    """Without MFA the password is enough; with it, the problem names the header."""
    basic = client.basic(account.name, account.password)
    assert basic.get("/users/me").status == 200
    device = rest_host.installation.enroll(account.name)
    refused = basic.get("/users/me")
    assert refused.code == "mfa_required"
    assert "X-MFA-Code" in refused.json["detail"]
    assert basic.get("/users/me", X_MFA_Code=device.code()).status == 200
    assert basic.get("/users/me", X_MFA_Code=device.code()).code == "code_replayed"


def test_who_is_refused_is_told_how_to_come_in(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """WWW-Authenticate names both schemes, and to a script in a browser only Bearer."""
    missing = client.get("/users/me").headers.get_all("WWW-Authenticate")
    assert missing == ['Bearer realm="sftp-mfa"', 'Basic realm="sftp-mfa", charset="UTF-8"']
    script = client.get("/users/me", Sec_Fetch_Mode="cors").headers.get_all("WWW-Authenticate")
    assert script == ['Bearer realm="sftp-mfa"']
    stale = client.bearer("x" * 43).get("/users/me").headers.get_all("WWW-Authenticate")
    assert stale[0] == 'Bearer realm="sftp-mfa", error="invalid_token"'
    token = rest_host.installation.issue_token(account.name).text()
    narrow = client.bearer(token).get("/users/me")
    assert narrow.headers.get_all("WWW-Authenticate") == [
        'Bearer realm="sftp-mfa", error="insufficient_scope", scope="api"'
    ]


def test_what_a_browser_sends_by_itself_opens_nothing(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """No cookie counts, no session of the pages, and no call that another web site made."""
    attempt = Attempt(account.name, Protocol.WEB, client.address)
    secret = rest_host.installation.store.sessions.begin(attempt, Stage.FULL, "")[0].text()
    for cookie in ("__Host-sftp-mfa-session", "sftp-mfa-session"):
        assert client.get("/users/me", Cookie=f"{cookie}={secret}").code == "credentials_missing"
    assert client.bearer(secret).get("/users/me").code == "session_invalid"
    session = client.log_in(account)
    assert session.get("/users/me", Origin="https://evil.example").code == "cross_site"
    assert session.get("/users/me", Sec_Fetch_Site="cross-site").code == "cross_site"
    assert session.get("/users/me", Sec_Fetch_Site="same-site").code == "cross_site"
    own = f"https://127.0.0.1:{rest_host.port}"
    assert session.get("/users/me", Origin=own, Sec_Fetch_Site="same-origin").status == 200
    assert session.get("/users/me", X_Forwarded_Proto="http").code == "insecure"
    assert "Access-Control-Allow-Origin" not in session.get("/users/me").headers


def test_a_barred_account_gets_nowhere(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """Sessions end, tokens and passwords are refused."""
    store = rest_host.installation.store
    session = client.log_in(account)
    token = store.access_tokens.issue(account.name, "t", ROOT, scopes=(Scope.API,))[0].text()
    store.accounts.bar(account.name, ROOT)
    assert session.get("/users/me").code == "session_invalid"
    assert client.bearer(token).get("/users/me").code == "account_barred"
    assert client.basic(account.name, token).get("/users/me").code == "account_barred"
    assert client.basic(account.name, account.password).get("/users/me").code == "account_barred"
    assert log_in(client, account.name, account.password).code == "account_barred"


def test_guessing_is_slowed_for_the_account_and_says_for_how_long(
    client: Client, account: Account, rest_host: WebHost
) -> None:
    """After ten wrong passwords not even the right one is looked at, through any way in."""
    throttle = rest_host.installation.store.password_throttle
    for _ in range(10):
        assert throttle.enter(account.name, "192.0.2.200", Protocol.API) == 0
    for answer in (
        log_in(client, account.name, account.password),
        client.basic(account.name, account.password).get("/users/me"),
    ):
        assert (answer.status, answer.code) == (429, "too_many_requests")
        assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_odd_credentials_are_refused_plainly(client: Client, account: Account) -> None:
    """Whatever stands in Authorization, the answer is a problem."""
    for odd in ("", "Bearer", "Bearer ", "Basic", "Basic !!!", "Digest x", "Basic " + "x" * 3000):
        assert Client(client.host, odd, client.address).get("/users/me").status == 401
    no_colon = base64.b64encode(account.name.encode()).decode()
    for pair in (no_colon, base64.b64encode(b"\xff:x").decode()):
        odd = Client(client.host, f"Basic {pair}", client.address)
        assert odd.get("/users/me").code == "credentials_missing"


def test_the_password_is_changed_by_the_machines_rules(client: Client, account: Account) -> None:
    """A wrong old one and a bad new one are told apart; other sessions end."""
    session, other = client.log_in(account), client.log_in(account)
    path = "/auth/change-password"
    new = "an orange hat for every 7th goose"
    wrong = {"oldPassword": "wrong", "newPassword": new}
    assert session.post(path, wrong).code == "old_password_wrong"
    bad = session.post(path, {"oldPassword": account.password, "newPassword": "a"})
    assert (bad.status, bad.code) == (422, "password_refused")
    changed = session.post(path, {"oldPassword": account.password, "newPassword": new})
    assert changed.status == 200, changed.content
    for over in (session, other):
        assert over.get("/users/me").code == "session_invalid"
    assert client.bearer(changed.json["session"]["sessionToken"]).get("/users/me").status == 200
    assert log_in(client, account.name, new).json["status"] == "logged_in"
