"""Who is really there: the headers of named reverse proxies are believed, nobody else's."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


@dataclass(frozen=True, slots=True)
class Peer:
    """The browser's end of the connection."""

    address: str
    is_secure: bool
    """The browser speaks HTTPS, with us or with a proxy that we believe."""


def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Read addresses and networks; ValueError for anything else."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def find_peer(environ: Mapping[str, Any], proxies: tuple[Network, ...]) -> Peer:
    """Tell who sent a request, through as many proxies as are ours.

    From the right, each proxy adds whom it was called by; the first that is none of ours is the
    browser, whatever it claims further left.
    """
    address = _plain(environ.get("REMOTE_ADDR", ""))
    if not _is_one_of(address, proxies):
        return Peer(address, environ.get("wsgi.url_scheme") == "https")
    is_secure = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip() == "https"
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not _parsed(hop):
            break
        address = _plain(hop)
        if not _is_one_of(address, proxies):
            break
    return Peer(address, is_secure)


def is_private(peer: Peer, host: str, proxies: tuple[Network, ...]) -> bool:
    """Tell whether nobody on the way reads along: over HTTPS, or on this very machine."""
    return peer.is_secure or (not proxies and _LOCAL.fullmatch(host) is not None)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def _plain(text: str) -> str:
    parsed = _parsed(text)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed) if parsed is not None else ""


def _is_one_of(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)
