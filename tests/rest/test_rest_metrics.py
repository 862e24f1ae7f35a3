"""Metrics: every door's logins, in a form that Prometheus' own parser reads."""

from collections.abc import Iterator

import pytest
from harness.accounts import Account
from harness.installation import ROOT, Installation
from harness.waiting import until
from prometheus_client.parser import text_string_to_metric_families
from rest_client import Client
from web_host import WebHost

from store.access_tokens import Scope
from store.decisions import Attempt, Protocol
from store.secret import Secret


@pytest.fixture
def open_host() -> Iterator[WebHost]:
    """Run a host whose metrics anybody may read."""
    made = WebHost(more="public_metrics = true\n")
    yield made
    made.close()


def values(client: Client, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Read the samples of a metric."""
    answer = client.get("/metrics")
    assert answer.status == 200, answer.content
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.content.decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {frozenset(sample.labels.items()): sample.value for sample in samples}


def labels(**given: str) -> frozenset[tuple[str, str]]:
    """Name a sample."""
    return frozenset(given.items())


def log_in_by_every_door(installation: Installation, name: str, client: Client) -> None:
    """Be let in and refused, over SSH and the API, and lock the codes."""
    device = installation.enroll(name)
    store = installation.store
    ssh = Attempt(name, Protocol.SSH, "192.0.2.1")
    store.authentication.check_code(ssh, Secret.of(device.code()))
    for code in device.wrong_codes(5):
        store.authentication.check_code(ssh, Secret.of(code))
    token = store.access_tokens.issue(name, "t", ROOT, scopes=(Scope.API,))[0]
    assert client.bearer(token.text()).get("/users/me").status == 200


def test_logins_of_every_door_are_counted_once(open_host: WebHost, account: Account) -> None:
    """By door, factor and outcome; locks too, whichever process decided."""
    client = Client(open_host)
    assert values(client, "sftp_mfa_logins_total") == {}
    log_in_by_every_door(open_host.installation, account.name, client)
    by_token = labels(door="api", factor="token", outcome="granted", reason="token_accepted")
    until(lambda: by_token in values(client, "sftp_mfa_logins_total"), "events counted", 30)
    counted = values(client, "sftp_mfa_logins_total")
    assert counted[by_token] == 1
    by_code = labels(door="ssh", factor="totp", outcome="granted", reason="code_accepted")
    wrong = labels(door="ssh", factor="totp", outcome="denied", reason="code_wrong")
    assert (counted[by_code], counted[wrong]) == (1, 5)
    assert values(client, "sftp_mfa_logins_total") == counted
    events = values(client, "sftp_mfa_audit_events_total")
    assert events[labels(event="codes_locked", door="ssh")] == 1
    durations = values(client, "sftp_mfa_http_request_duration_seconds_count")
    assert durations[labels(endpoint="getUsersId", status="200")] == 1
    (build,) = values(client, "sftp_mfa_build_info")
    assert dict(build).keys() == {"version", "schema", "python"}


def test_they_are_for_administrators_unless_opened(
    client: Client, account: Account, administrator: Account
) -> None:
    """Who watches gives a token of an administrator."""
    assert client.get("/metrics").status == 401
    assert client.log_in(account).get("/metrics").status == 403
    assert client.log_in(administrator).get("/metrics").status == 200


def test_a_store_that_is_away_is_told(open_host: WebHost, account: Account) -> None:
    """Health is 503, everybody is refused, and the metrics say why."""
    client = Client(open_host)
    assert client.get("/health").json == {"status": "ok"}
    token = open_host.installation.issue_token(account.name, scopes=(Scope.API,)).text()
    aside = open_host.installation.database.with_suffix(".away")
    open_host.installation.database.rename(aside)
    for answer in (client.get("/health"), client.bearer(token).get("/users/me")):
        assert (answer.status, answer.code) == (503, "unavailable")
        assert answer.headers["Retry-After"]
    aside.rename(open_host.installation.database)
    assert client.get("/health").status == 200
    counted = values(client, "sftp_mfa_unavailable_total")
    assert counted == {labels(part="store"): 2, labels(part="broker"): 0}
