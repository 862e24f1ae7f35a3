"""The server to go to, as it is typed: `[user@]host[:port]`, `[user@][IPv6][:port]`, an alias."""

import re
from dataclasses import dataclass

_TARGET = re.compile(
    r"(?:(?P<user>[^@]+(?:@[^@]+)*)@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^@\[\]:]+))"
    r"(?::(?P<port>\d{1,5}))?"
)
_HOST = re.compile(r"\w[\w.%-]*", re.ASCII)
# What OpenSSH refuses, too: the name may stand in a ProxyCommand.
_NOT_IN_USER = re.compile(r"""[\s'"`\\$;&<>|(){}]|^-""")
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """What was typed; the rest comes from the SSH configuration."""

    host: str
    user: str | None = None
    port: int | None = None


def parse_target(text: str) -> Target:
    """Take it apart; raise ValueError with what is wrong."""
    found = _TARGET.fullmatch(text)
    message = f"{text!r} is not [user@]host[:port] (an IPv6 address goes into brackets)"
    if found is None:
        raise ValueError(message)
    host, user, port = found["v6"] or found["host"], found["user"], found["port"]
    if not found["v6"] and not _HOST.fullmatch(host):
        raise ValueError(message)
    if user is not None and (_NOT_IN_USER.search(user) or not user.isprintable()):
        raise ValueError(message)
    if port is not None and not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(message)
    return Target(host, user, None if port is None else int(port))
