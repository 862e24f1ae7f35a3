"""Two SFTP hosts, two web nodes and one store, each in a container of its own."""

import pytest
from container_bed import Bed

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_a_code_counts_on_one_host_only(bed: Bed) -> None:
    """Enrolled on the web, in on one host by password and code; the code is spent on the other."""
    person = bed.add_person()
    assert bed.log_in("sftp1", person.name, person.password).ok
    device = bed.enroll(person)
    code = device.code()
    first = bed.log_in("sftp1", person.name, person.password, code)
    assert first.ok, (first.output, bed.log("sftp1"))
    assert not bed.log_in("sftp2", person.name, person.password, code).ok
    later = bed.log_in("sftp2", person.name, person.password, lambda: device.code(1))
    assert later.ok, later.output
