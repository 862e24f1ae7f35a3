"""From the password to a file on the server, by the API alone."""

from harness.accounts import Account
from harness.clients import OpenSsh
from rest_client import Client
from web_host import WebHost

TOKENS = "/users/me/auth-factors/access-tokens"


def test_log_in_make_a_token_and_upload_with_it(
    rest_host: WebHost, client: Client, account: Account, openssh: OpenSsh
) -> None:
    """Password, code, token; the token then lets sftp in, until it is revoked."""
    device = rest_host.installation.enroll(account.name)
    session = client.log_in(account, device)
    made = session.post(TOKENS, {"name": "upload"})
    assert made.status == 201, made.content
    token = made.json
    place = f"/{account.name}/auth-factors/access-tokens/{token['id']}"
    assert made.headers["Location"].endswith(place)
    assert openssh.login(rest_host.sshd, account.name, [token["token"]]).ok
    assert session.delete(f"{TOKENS}/{token['id']}").status == 204
    assert session.delete(f"{TOKENS}/{token['id']}").status == 404
    assert not openssh.login(rest_host.sshd, account.name, [token["token"]]).ok
