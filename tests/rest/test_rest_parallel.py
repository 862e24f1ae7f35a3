"""Many requests at once, on one host and on two: nothing is lost, nothing breaks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.accounts import Accounts
from harness.installation import ROOT
from rest_client import Client
from web_host import WebHost

from store.access_tokens import Scope

TOKENS = "/users/me/auth-factors/access-tokens"
_REQUESTS = 200
_ACCOUNTS = 8


@pytest.fixture(params=["one host", "two hosts"])
def web_hosts(request: pytest.FixtureRequest, rest_host: WebHost) -> Iterator[list[WebHost]]:
    """Give one host on SQLite, or two that share PostgreSQL."""
    if request.param == "one host":
        yield [rest_host]
        return
    url = request.getfixturevalue("postgres")
    first = WebHost(url=url)
    second = WebHost(url=url, keys_of=first.installation)
    yield [first, second]
    second.close()
    first.close()


def test_200_at_once_make_use_and_revoke_tokens(
    web_hosts: list[WebHost], accounts: Accounts
) -> None:
    """Once DELETE has answered, no request with the token succeeds, on any host."""
    first, last = web_hosts[0], web_hosts[-1]
    names = [accounts.make().name for _ in range(_ACCOUNTS)]
    store = first.installation.store
    jobs = [store.access_tokens.issue(name, "job", ROOT, scopes=(Scope.API,))[0] for name in names]

    def live(number: int) -> tuple[str, bool]:
        job = Client(first).bearer(jobs[number % _ACCOUNTS].text())
        made = job.post(TOKENS, {"name": f"t{number}", "scopes": ["api"]})
        assert made.status == 201, made.content
        token, path = made.json["id"], f"{TOKENS}/{made.json['id']}"
        other = Client(last).bearer(made.json["token"])
        seen = other.get(path)
        assert seen.status == 200, seen.content
        if number % 2:
            return str(token), True
        ended = job.delete(path)
        assert ended.status == 204, ended.content
        after = other.get("/users/me")
        assert (after.status, after.code) == (401, "token_invalid")
        assert job.delete(path).status == 404
        return str(token), False

    with ThreadPoolExecutor(_REQUESTS) as threads:
        outcomes = list(threads.map(live, range(_REQUESTS)))
    for number, name in enumerate(names):
        kept = {token for token, is_kept in outcomes[number::_ACCOUNTS] if is_kept}
        listed = Client(last).bearer(jobs[number].text()).get(f"{TOKENS}?limit=200").json["items"]
        assert {item["id"] for item in listed if item["name"] != "job"} == kept, name
    assert not list(store.audit_log.verify())
    for host in web_hosts:
        assert "Traceback" not in (host.installation.folder / "serve-web.log").read_text()
