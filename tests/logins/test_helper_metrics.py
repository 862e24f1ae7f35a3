"""The file of metrics: each ending of a conversation is counted as what it was."""

from collections.abc import Callable

import pytest
from harness.accounts import Account
from harness.relay_client import RelayClient
from harness.waiting import until
from hosts import Host, Hosts
from prometheus_client.parser import text_string_to_metric_families
from visitor import gets_in

from pam_module.counts import Ending


@pytest.fixture
def host(hosts: Hosts) -> Host:
    """Run a host that writes its metrics into a folder of the service's own."""
    made = hosts.make(start=False)
    installation = made.installation
    text = installation.config.read_text()
    file = installation.socket.parent / "metrics" / "pam.prom"
    installation.config.write_text(text.replace("[pam]", f'[pam]\nmetrics_file = "{file}"'))
    installation.start()
    return made


def written(host: Host) -> str:
    """Read the file."""
    file = host.installation.socket.parent / "metrics" / "pam.prom"
    return until(lambda: file.exists() and file.read_text(), "the file was written", 20)


def value(host: Host, name: str, **labels: str) -> float:
    """Return a sample of the file."""
    families = text_string_to_metric_families(written(host))
    (found,) = (
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return float(found)


def comes(host: Host, ending: Ending, line: str = "auth") -> Callable[[], bool]:
    """Return a check that an ending was counted once."""
    name = "sftp_mfa_pam_conversations_total"
    return lambda: value(host, name, line=line, ending=ending) == 1


def test_every_ending_is_counted_as_what_it_was(host: Host, account: Account) -> None:
    """By relays that do what sshd's do, and by one that breaks the rules."""
    installation = host.installation
    device = installation.enroll(account.name)
    with RelayClient(installation.socket) as relay:
        assert relay.log_in(account.name, "right", device.code()) == b"G"
    with RelayClient(installation.socket) as relay:
        assert relay.log_in(account.name, "right", device.wrong_codes(1)[0]) == b"D"
    with RelayClient(installation.socket) as relay:
        relay.hello(account.name)
        relay.answer("wrong, says the stack")
    with RelayClient(installation.socket) as relay:
        relay.hello(account.name)
    with RelayClient(installation.socket) as relay:
        relay.hello(account.name)
        assert relay.say(b"nonsense") == b"U"
    aside = installation.database.with_suffix(".away")
    installation.database.rename(aside)
    with RelayClient(installation.socket) as relay:
        assert relay.hello(account.name) == b"U"
    aside.rename(installation.database)
    with RelayClient(installation.socket) as relay:
        assert relay.hello(account.name, phase="account") == b"G"
    for ending in (
        Ending.GRANTED,
        Ending.DENIED,
        Ending.PASSWORD_REFUSED,
        Ending.CLIENT_LEFT,
        Ending.PROTOCOL_ERROR,
        Ending.STORE_UNAVAILABLE,
    ):
        until(comes(host, ending), f"{ending} counted", 30)
    until(comes(host, Ending.GRANTED, "account"), "the account line counted", 30)
    assert value(host, "sftp_mfa_pam_step_duration_seconds_count") >= 12
    text = written(host)
    assert account.name not in text
    assert "192.0.2.7" not in text


def test_the_file_goes_with_the_helper(host: Host, account: Account) -> None:
    """A helper that was stopped is not taken for one that has nothing to do."""
    assert gets_in(host.sshd, account, account.password)
    written(host)
    host.installation.stop()
    assert not (host.installation.socket.parent / "metrics" / "pam.prom").exists()


def test_a_folder_that_cannot_be_written_stops_no_login(hosts: Hosts, account: Account) -> None:
    """Metrics are not worth a refusal; the log says what is wrong."""
    host = hosts.make(start=False)
    text = host.installation.config.read_text()
    text = text.replace("[pam]", '[pam]\nmetrics_file = "/proc/pam.prom"')
    host.installation.config.write_text(text)
    host.installation.start()
    assert gets_in(host.sshd, account, account.password)
    assert "pam.metrics_file: /proc" in host.installation.log()
