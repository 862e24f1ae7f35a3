"""The shipped fail2ban filter, tried with fail2ban's own tool on lines that our code writes."""

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import sandbox

from store.audit import Actor, Entry, Event, write_log_line
from store.decisions import Protocol, Reason

BANNED = {
    Reason.CODE_WRONG,
    Reason.CODE_WRONG_AGAIN,
    Reason.CODES_LOCKED,
    Reason.TOKEN_UNKNOWN,
    Reason.TOKEN_REVOKED,
    Reason.TOKEN_EXPIRED,
    Reason.TOKEN_OUT_OF_SCOPE,
    Reason.TOKEN_FROM_OTHER_NETWORK,
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Send the audit's lines to a file, as syslog would write them."""
    file = tmp_path / "auth.log"
    handler = logging.FileHandler(file)
    prefix = "%(asctime)s host sftp-mfa[77]: %(message)s"
    handler.setFormatter(logging.Formatter(prefix, "%b %d %H:%M:%S"))
    logger = logging.getLogger("sftp_mfa.audit")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield file
    logger.removeHandler(handler)


def matched(log: Path) -> list[str]:
    """Return the addresses that fail2ban would count."""
    filters = Path("/etc/fail2ban/filter.d")
    shipped = sandbox.checkout() / "sshd_config" / "fail2ban" / "sftp-mfa.conf"
    (filters / shipped.name).write_text(shipped.read_text())
    ended = subprocess.run(
        ["fail2ban-regex", "--out", "ip", log, "sftp-mfa"],
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.split()


@pytest.mark.system
@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_guesses_are_counted_and_nothing_else(log: Path, address: str) -> None:
    """Every reason that tells of a guess is matched, and none that an honest mistake gives."""
    actor = Actor("alice", Protocol.SSH, address)
    for reason in Reason:
        write_log_line("alice", Entry(Event.LOGIN_DENIED, actor, reason, "abc123"))
    write_log_line("alice", Entry(Event.LOGIN_GRANTED, actor, Reason.CODE_ACCEPTED, "abc123"))
    assert matched(log) == [address] * len(BANNED)


@pytest.mark.system
def test_a_name_cannot_get_another_address_banned(log: Path) -> None:
    """A name made to look like the rest of a line stays a name."""
    name = 'x" actor="x" protocol=ssh address="198.51.100.1" reason=code_wrong factor=-\nevent='
    actor = Actor(name, Protocol.SSH, "192.0.2.9")
    write_log_line(name, Entry(Event.LOGIN_DENIED, actor, Reason.CODE_WRONG))
    assert matched(log) == ["192.0.2.9"]
