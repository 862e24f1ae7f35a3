"""For a Match block, a connection that it applies to: sshd then tells what holds in it."""

import fnmatch
import grp
import ipaddress
import pwd
from contextlib import suppress

from scripts.host.sshd_config import Block, criteria

_SOMEWHERE = "203.0.113.7"
"""An address of TEST-NET-3 (RFC 5737)."""
_UIDS_OF_PEOPLE = range(1000, 60_000)


class NoConnectionError(Exception):
    """None can be made up; the text says why."""


def ordinary() -> str:
    """Describe a connection of nobody in particular, as `sshd -T -C` takes it."""
    return _written({"user": _person()})


def into(block: Block) -> str:
    """Describe a connection that a block applies to; NoConnectionError if there is none."""
    wanted = criteria(block.criteria)
    found: dict[str, str] = {}
    users = [patterns for name, patterns in wanted if name == "user"]
    groups = [patterns for name, patterns in wanted if name == "group"]
    found["user"] = _user(users, groups)
    for name, patterns in wanted:
        match name:
            case "user" | "group" | "all":
                pass
            case "address":
                found["addr"] = _address(patterns)
            case "host":
                found["host"] = _first(patterns).replace("*", "x").replace("?", "x")
            case "localaddress":
                found["laddr"] = _address(patterns)
            case "localport":
                found["lport"] = _first(patterns)
            case "rdomain":
                found["rdomain"] = _first(patterns)
            case _:
                message = f"whether it applies depends on {name!r}, which only sshd can tell"
                raise NoConnectionError(message)
    return _written(found)


def _written(found: dict[str, str]) -> str:
    address = found.setdefault("addr", _SOMEWHERE)
    found.setdefault("host", address)
    return ",".join(f"{name}={value}" for name, value in found.items())


def _person() -> str:
    people = (entry.pw_name for entry in pwd.getpwall() if entry.pw_uid in _UIDS_OF_PEOPLE)
    return next(people, "nobody")


def _user(users: list[str], groups: list[str]) -> str:
    """Find an account that all patterns for names and groups apply to."""

    def fits(entry: pwd.struct_passwd) -> bool:
        if not all(_applies(patterns, [entry.pw_name]) for patterns in users):
            return False
        return not groups or all(_applies(patterns, _groups_of(entry)) for patterns in groups)

    if not groups:
        # A name that NSS knows but does not list (LDAP), or nobody's yet.
        named = [patterns for patterns in users if not set("*?!") & set(patterns)]
        if named:
            return _first(named[0])
    entries = sorted(pwd.getpwall(), key=lambda entry: entry.pw_uid not in _UIDS_OF_PEOPLE)
    found = next((entry.pw_name for entry in entries if fits(entry)), None)
    if found is None:
        message = "no account of this machine is one that it applies to"
        raise NoConnectionError(message)
    return found


def _groups_of(entry: pwd.struct_passwd) -> list[str]:
    names = [group.gr_name for group in grp.getgrall() if entry.pw_name in group.gr_mem]
    with suppress(KeyError):
        names.append(grp.getgrgid(entry.pw_gid).gr_name)
    return names


def _applies(patterns: str, names: list[str]) -> bool:
    """Match as sshd does: one pattern of the list, and none of the negated ones."""
    listed = patterns.split(",")
    negated = [pattern[1:] for pattern in listed if pattern.startswith("!")]
    if any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in negated):
        return False
    positive = [pattern for pattern in listed if not pattern.startswith("!")]
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in positive)


def _first(patterns: str) -> str:
    return next((one for one in patterns.split(",") if not one.startswith("!")), "")


def _address(patterns: str) -> str:
    """Make up an address that a list of addresses, networks and wildcards applies to."""
    listed = patterns.split(",")
    negated = [one[1:] for one in listed if one.startswith("!")]
    for one in listed:
        if one.startswith("!"):
            continue
        for address in _examples(one):
            if not any(_is_in(address, other) for other in negated):
                return address
    message = "no address can be made up that it applies to"
    raise NoConnectionError(message)


def _examples(pattern: str) -> list[str]:
    if pattern == "*":
        return [_SOMEWHERE, "198.51.100.7", "127.0.0.1"]
    if "/" in pattern:
        with suppress(ValueError):
            network = ipaddress.ip_network(pattern, strict=False)
            return [str(network[0]), str(network[-1])]
        return []
    return [pattern.replace("*", "7").replace("?", "7")]


def _is_in(address: str, pattern: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
    return fnmatch.fnmatchcase(address, pattern)
