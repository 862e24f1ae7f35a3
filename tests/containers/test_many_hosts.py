"""Two SFTP hosts, two web nodes and one store, each in a container of its own."""

import os
import signal
import time
from functools import partial

import pytest
from container_bed import Bed, at_once
from harness.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BOUND = 30.0
"""Seconds within which an attempt is refused, on a busy machine: the store's 4, PAM's 3, twice."""


def test_a_code_counts_on_one_host_only(bed: Bed) -> None:
    """Enrolled on the web, in on one host by password and code; the code is spent on the other."""
    person = bed.add_person()
    assert bed.log_in("sftp1", person.name, person.password).ok
    device = bed.enroll(person)
    code = device.code()
    logins = [
        partial(bed.log_in, service, person.name, person.password, code)
        for service in ("sftp1", "sftp2") * 3
    ]
    assert [outcome.ok for outcome in at_once(logins)].count(True) == 1
    later = bed.log_in("sftp2", person.name, person.password, lambda: device.code(1))
    assert later.ok, later.output


def test_a_lock_holds_on_all_hosts(bed: Bed) -> None:
    """Five wrong codes on one host: a right one is refused on the other, and on both web nodes."""
    person = bed.add_person()
    device = bed.enroll(person)
    wrong = [
        partial(bed.log_in, "sftp1", person.name, person.password, code)
        for code in device.wrong_codes(5)
    ]
    refused = at_once(wrong)
    assert not any(outcome.ok for outcome in refused)
    right = bed.log_in("sftp2", person.name, person.password, device.code)
    assert not right.ok, [outcome.output for outcome in refused]
    for node in ("web1", "web2"):
        given = {"account": person.name, "password": person.password}
        challenge = bed.call(node, "POST", "/auth/login", given).json["challenge"]
        given = {"challenge": challenge, "code": device.code()}
        assert bed.call(node, "POST", "/auth/mfa/totp/validate-code", given).status == 429
    bed.run_in("sftp2", "sftp-mfa-admin", "unlock-user", person.name)
    assert bed.log_in("sftp1", person.name, person.password, device.code).ok


def test_a_host_that_is_cut_off_refuses(bed: Bed) -> None:
    """Nobody gets in where the store cannot be asked; the other host goes on meanwhile."""
    person = bed.add_person()
    device = bed.enroll(person)
    network = bed.engine.client.networks.get(f"{bed.name}_store")
    host = bed.container("sftp1")
    assert bed.log_in("sftp1", person.name, person.password, device.code).ok
    network.disconnect(host)
    try:
        begun = time.monotonic()
        cut_off, other = at_once(
            [
                partial(bed.log_in, "sftp1", person.name, person.password, lambda: device.code(1)),
                partial(bed.log_in, "sftp2", person.name, person.password, lambda: device.code(1)),
            ]
        )
        assert (cut_off.ok, other.ok) == (False, True)
        assert time.monotonic() - begun < BOUND
        until(lambda: "the store cannot be used" in bed.log("sftp1"), "it says why", 10)
    finally:
        network.connect(host)
    token = bed.issue_token(person)
    until(lambda: bed.log_in("sftp1", person.name, token).ok, "it goes on by itself", 60)


def test_half_a_host_is_no_host(bed: Bed) -> None:
    """When the helper ends so does sshd, and the container starts anew with its old host key."""
    person = bed.add_person()
    known = bed.door("sftp2").known_hosts.read_text()
    before = bed.container("sftp2").attrs["RestartCount"]
    (helper,) = bed.pids("sftp2", "sftp-mfa serve-pam")
    os.kill(helper, signal.SIGKILL)
    until(lambda: bed.container("sftp2").attrs["RestartCount"] > before, "a new start", 30)
    until(lambda: bed.log_in("sftp2", person.name, person.password).ok, "logins work again", 60)
    assert bed.door("sftp2").known_hosts.read_text() == known
