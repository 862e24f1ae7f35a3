"""Thousands of people at a prompt, over the socket itself: bounded memory, and all can finish."""

import resource
from collections.abc import Iterator
from itertools import islice

import pytest
from harness.accounts import Account
from harness.relay_client import RelayClient
from harness.waiting import until
from hosts import Host, Hosts
from visitor import gets_in

CROWD = 2_500
KILOBYTES_EACH = 15  # 150 MB for 10,000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process open a connection for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_crowd_at_the_prompts_is_held_and_finishes(hosts: Hosts, account: Account) -> None:
    """Half of them at the password, half at the code; meanwhile others log in as always."""
    host = hosts.make()
    devices = [host.installation.enroll(account.name, f"device {n}") for n in range(9)]
    token = host.installation.issue_token(account.name).text()
    for _ in range(20):
        assert finish(host, account, token) == b"G"
    before = host.footprint()

    crowd = [RelayClient(host.installation.socket) for _ in range(CROWD)]
    for client in crowd:
        assert client.hello(account.name) == b"PPassword: "
    at_the_code = crowd[: CROWD // 2]
    for client in at_the_code:
        assert client.answer("right") == b"Nright"
        assert client.go_on() == b"PVerification code: "
    during = host.footprint()
    assert during.kilobytes - before.kilobytes < CROWD * KILOBYTES_EACH
    assert during.threads <= before.threads + 8
    assert gets_in(host.sshd, account, account.password, devices[0].code())

    for client, device in zip(at_the_code, devices[1:], strict=False):
        assert client.answer(device.code()) == b"G"
    for client in islice(at_the_code, len(devices) - 1, None):
        assert client.answer("no code") == b"D"
    for client in crowd[CROWD // 2 :]:
        assert client.answer(token) == b"G"
    for client in crowd:
        client.socket.close()
    until(lambda: not host.conversations(), "no conversation left")
    assert host.footprint().descriptors <= before.descriptors + 3 * 8


def finish(host: Host, account: Account, token: str) -> bytes:
    """Have a conversation that a token ends."""
    with RelayClient(host.installation.socket) as client:
        assert client.hello(account.name) == b"PPassword: "
        return client.answer(token)
