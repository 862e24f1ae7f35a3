"""Accounts of an LDAP directory through SSSD, which knows them in any spelling."""

import json
import time
from functools import partial

import pytest
from container_bed import Bed, Person, at_once
from directory_people import add_person
from harness.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_two_spellings_are_one_account(bed: Bed) -> None:
    """One authenticator, one code, one counter of wrong codes."""
    person = add_person(bed, 20_001)
    name, capital, password = person.name, person.name.capitalize(), person.password
    assert bed.log_in("sftp1", capital, password).ok
    device = bed.enroll(Person(capital, password))
    code = device.code()
    first = bed.log_in("sftp1", name, password, code)
    assert first.ok, (first.output, bed.log("sftp1"))
    wrong = device.wrong_codes(5)
    refused = at_once(
        [
            partial(bed.log_in, "sftp2", capital, password, code),
            *(partial(bed.log_in, "sftp1", name, password, text) for text in wrong[:2]),
            *(partial(bed.log_in, "sftp2", capital, password, text) for text in wrong[2:]),
        ]
    )
    assert not any(outcome.ok for outcome in refused)
    assert is_locked(bed, name), [outcome.output for outcome in refused]
    assert reasons(bed, name).count("code_wrong") == 5
    names = name, capital, name.upper()
    late = [partial(bed.log_in, "sftp1", n, password, lambda: device.code(1)) for n in names]
    assert not any(outcome.ok for outcome in at_once(late))
    bed.run_in("sftp1", "sftp-mfa-admin", "unlock-user", capital)
    assert bed.log_in("sftp2", name.upper(), password, lambda: device.code(1)).ok


def test_a_password_is_changed_in_the_directory(bed: Bed) -> None:
    """Through the API; on every host the new one is right at once, and the old one is wrong."""
    person = add_person(bed, 20_002)
    session = bed.sign_in("web1", person)
    new = Person(person.name, f"{person.password}-new")
    given = {"oldPassword": person.password, "newPassword": new.password}
    answer = bed.call("web1", "POST", "/auth/change-password", given, session)
    assert answer.status == 200, (answer, bed.log("passwords")[-2000:])
    old, fresh = at_once(
        [
            partial(bed.log_in, "sftp1", person.name, person.password),
            partial(bed.log_in, "sftp2", new.name, new.password),
        ]
    )
    assert (old.ok, fresh.ok) == (False, True)
    assert bed.sign_in("web2", new)
    given = {"account": person.name, "password": person.password}
    assert bed.call("web2", "POST", "/auth/login", given).status == 401


def test_a_directory_that_is_away_refuses_in_time(bed: Bed) -> None:
    """Over SFTP and on the web; work goes on when it is back."""
    person = add_person(bed, 20_003)
    device = bed.enroll(person)
    assert bed.log_in("sftp1", person.name, person.password, device.code).ok
    bed.container("directory").pause()
    try:
        begun = time.monotonic()
        refused = bed.log_in("sftp1", person.name, person.password, lambda: device.code(1))
        assert not refused.ok
        given = {"account": person.name, "password": person.password}
        assert bed.call("web1", "POST", "/auth/login", given).status in {401, 503}
        assert time.monotonic() - begun < 60
    finally:
        bed.container("directory").unpause()

    def is_in() -> bool:
        return bed.log_in("sftp1", person.name, person.password, lambda: device.code(1)).ok

    until(is_in, "logins work again", 60)


def is_locked(bed: Bed, name: str) -> bool:
    """Tell whether the account's codes are locked."""
    shown = json.loads(bed.run_in("sftp1", "sftp-mfa-admin", "show-user", name, "--json"))
    return shown["lockedUntil"] is not None


def reasons(bed: Bed, name: str) -> list[str]:
    """Tell why logins to the account were refused."""
    wanted = ("--account", name, "--event", "login_denied", "--json")
    listed = json.loads(bed.run_in("sftp1", "sftp-mfa-admin", "list-audit-events", *wanted))
    return [event["reason"] for event in listed["items"]]
