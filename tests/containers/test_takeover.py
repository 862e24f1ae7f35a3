"""The primary is lost, and the standby takes its place."""

import time

import pytest
from container_bed import Bed
from harness.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BOUND = 30.0


def test_a_standby_takes_the_place_of_the_primary(spent_bed: Bed) -> None:
    """Everybody is refused while there is none; then hosts and web go on without a hand on them."""
    bed = spent_bed
    person = bed.add_person()
    device = bed.enroll(person)
    token = bed.issue_token(person)
    code = device.code()
    assert bed.log_in("sftp1", person.name, person.password, code).ok
    bed.container("database").kill()
    begun = time.monotonic()
    assert not bed.log_in("sftp1", person.name, token).ok
    assert bed.call("web1", "GET", "/health").status == 503
    assert time.monotonic() - begun < BOUND
    bed.promote_standby()
    for service in ("sftp1", "sftp2"):
        until(lambda: bed.log_in(service, person.name, token).ok, "it goes on", 60)  # noqa: B023
    until(lambda: bed.call("web2", "GET", "/health").status == 200, "the web goes on", 30)
    assert not bed.log_in("sftp2", person.name, person.password, code).ok
    assert bed.log_in("sftp2", person.name, person.password, lambda: device.code(1)).ok
    bed.run_in("sftp1", "sftp-mfa-admin", "verify-audit-log")
