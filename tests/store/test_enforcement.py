"""Who must adopt MFA: members of groups, from a day on; in doubt everybody."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from harness.stores import START, Clock, OpenStore, attempt, enroll

from store import enforcement
from store.decisions import ChallengeKind, ChallengeRequired, Denied, Granted, Reason
from store.settings import EnforcementSettings

ENROLLMENT_NEEDED = ChallengeRequired(ChallengeKind.ENROLLMENT)
NOT_ADOPTED = Granted(Reason.MFA_NOT_ADOPTED)
MEMBER, OTHER = "nobody", "root"
GROUP = {"groups": ("nogroup",)}


def required(account: str, **settings: Any) -> bool:
    """Tell whether an account must have adopted MFA on the day on which clocks start."""
    return enforcement.is_required(account, START, EnforcementSettings(**settings))


def test_nobody_must_by_default() -> None:
    """Each user decides."""
    assert not required(MEMBER)


def test_members_must_and_others_need_not() -> None:
    """One of several groups is enough."""
    assert required(MEMBER, **GROUP)
    assert required(MEMBER, groups=("no such group", "nogroup"))
    assert not required(OTHER, **GROUP)
    assert not required(MEMBER, groups=("no such group",))


def test_groups_of_an_account_are_all_that_it_has() -> None:
    """Its first one and those that list it."""
    assert enforcement.groups_of("root") >= {"root"}
    assert "nogroup" in enforcement.groups_of("nobody")


@pytest.mark.system
def test_group_without_a_name_hides_none_behind_it() -> None:
    """A number that nobody named, as after a group was deleted, is in no group and ends no list."""
    with Path("/etc/passwd").open("a") as passwd, Path("/etc/group").open("a") as group:
        passwd.write("leftover:x:54321:54321::/nonexistent:/bin/false\n")
        group.write("still-there:x:54322:leftover\n")
    assert enforcement.groups_of("leftover") == {"still-there"}
    assert required("leftover", groups=("still-there",))


def test_account_whose_groups_cannot_be_looked_up_must() -> None:
    """A directory that is away opens no door."""
    assert required("no-such-account", **GROUP)
    assert not required("no-such-account")


@pytest.mark.parametrize(
    ("start", "must"),
    [
        (None, True),
        (date(2025, 6, 14), True),
        (date(2025, 6, 15), True),
        (date(2025, 6, 16), False),
    ],
)
def test_it_begins_on_its_day(start: date | None, must: bool) -> None:  # noqa: FBT001
    """The day itself, by UTC, is the first one."""
    assert required(MEMBER, **GROUP, start=start) is must


def test_right_password_of_who_must_leads_to_the_enrollment(
    open_store: OpenStore, clock: Clock
) -> None:
    """Not in, and nothing recorded before it is decided; with MFA adopted it is as for others."""
    store = open_store(enforcement=GROUP)
    one = store.authentication
    assert one.accept_password(attempt(MEMBER)) == ENROLLMENT_NEEDED
    assert one.refuse_without_mfa(attempt(MEMBER)) == Denied(Reason.MFA_REQUIRED)
    assert one.accept_password(attempt(OTHER)) == NOT_ADOPTED
    enroll(store, clock, MEMBER)
    assert one.accept_password(attempt(MEMBER)) == ChallengeRequired(ChallengeKind.CODE)


def test_login_heeds_the_day_on_which_it_begins(open_store: OpenStore, clock: Clock) -> None:
    """By the store's clock: the evening before a password is enough, the next day it is not."""
    store = open_store(enforcement={**GROUP, "start": date(2025, 6, 16)})
    assert store.authentication.accept_password(attempt(MEMBER)) == NOT_ADOPTED
    clock.move(hours=24)
    assert store.authentication.accept_password(attempt(MEMBER)) == ENROLLMENT_NEEDED


def test_text_names_the_page_where_there_is_one() -> None:
    """It is shown in an SFTP client."""
    page = "https://sftp.example.com/"
    assert f"Set it up at {page}, then" in EnforcementSettings(enrollment_address=page).text()
    assert "Set it up, then" in EnforcementSettings().text()
