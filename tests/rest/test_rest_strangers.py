"""What somebody without any secret can find out or do through the API."""

from harness.accounts import Account
from rest_client import Client

from store.access_tokens import _check


def made_up_token() -> str:
    """Write a token that was never issued."""
    body = "smfa_" + "A" * 51
    return body + _check(body + "0" * 6)


def test_made_up_token_does_not_tell_which_accounts_exist(client: Client, account: Account) -> None:
    """Known and unknown names get one answer, and nothing is written for either."""
    answers = [
        client.basic(name, made_up_token()).get("/users/me")
        for name in (account.name, "nobody-of-that-name")
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(401, "token_invalid")] * 2
    store = client.host.installation.store
    assert store.accounts.show(account.name).known_since is None
