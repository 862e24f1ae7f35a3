"""Who must adopt MFA: members of the configured OS groups, from a day on."""

import grp
import os
import pwd

from store.clock import from_milliseconds
from store.settings import EnforcementSettings


def is_required(account: str, now: int, settings: EnforcementSettings) -> bool:
    """Tell whether an account must have adopted MFA by now.

    An account whose groups cannot be looked up must: a directory that is away opens no door.
    """
    if not settings.groups:
        return False
    if settings.start is not None and from_milliseconds(now).date() < settings.start:
        return False
    try:
        return not groups_of(account).isdisjoint(settings.groups)
    except KeyError:
        return True


def groups_of(account: str) -> set[str]:
    """Name the OS groups of an account; KeyError if NSS does not know it."""
    entry = pwd.getpwnam(account)
    names = set()
    for number in os.getgrouplist(account, entry.pw_gid):
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue  # a number without a name is in no configured group
    return names
