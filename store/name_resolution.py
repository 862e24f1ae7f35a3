"""Looks up the names of database hosts in bounded time.

getaddrinfo (POSIX) asks the machine's name services and knows no limit: with a name server that is
silent it takes tens of seconds for each name. It runs in a thread beside, one for each name.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from store.errors import StoreUnavailableError

_under_way: dict[str, "Future[list[str]]"] = {}
_changing = threading.Lock()


def with_addresses(options: Mapping[str, Any], wait: float) -> dict[str, Any]:
    """Add the addresses of its hosts to the parameters of a connection, so that libpq asks nobody.

    The names are kept, for certificates. A host whose name has no answer within `wait` seconds is
    left out; StoreUnavailableError if there is no other.
    """
    hosts = str(options.get("host") or "").split(",")
    if options.get("hostaddr") or not any(map(_is_name, hosts)):
        return dict(options)
    ports = str(options.get("port") or "").split(",")
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    lookups = [_look_up(host) if _is_name(host) else None for host in hosts]
    deadline = time.monotonic() + wait
    found: list[tuple[str, str, str]] = []
    problems: list[str] = []
    for host, port, lookup in zip(hosts, ports, lookups, strict=True):
        try:
            left = max(0.0, deadline - time.monotonic())
            addresses = [""] if lookup is None else lookup.result(left)
        except TimeoutError:
            problems.append(f"{host}: no answer in {wait:g} s")
        except OSError as error:
            problems.append(f"{host}: {error.strerror or error}")
        else:
            found += [(host, address, port) for address in addresses]
    if not found:
        message = (
            "the store cannot be used: no name of its hosts could be looked up "
            f"({'; '.join(problems)}): check store.url, and the name service of this machine"
        )
        raise StoreUnavailableError(message)
    names, addresses, ports = map(list, zip(*found, strict=True))
    listed = {"host": ",".join(names), "hostaddr": ",".join(addresses), "port": ",".join(ports)}
    return {**options, **listed}


def _is_name(host: str) -> bool:
    """Tell whether a host is neither a folder of sockets nor an address."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _look_up(host: str) -> "Future[list[str]]":
    """Begin to look up a name, or join who is at it: many that wait are one thread."""
    with _changing:
        lookup = _under_way.get(host)
        if lookup is None:
            lookup = Future()
            try:
                # It waits for the lock before it takes its name out again.
                threading.Thread(target=_answer, args=(host, lookup), daemon=True).start()
            except RuntimeError as error:
                message = (
                    f"the store cannot be used: {host} cannot be looked up: no thread can be "
                    "started: raise the limit of processes (TasksMax=)"
                )
                raise StoreUnavailableError(message) from error
            _under_way[host] = lookup
        return lookup


def _answer(host: str, lookup: "Future[list[str]]") -> None:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = [str(address[0]) for *_, address in answers]
    except (OSError, UnicodeError) as error:
        lookup.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
    else:
        lookup.set_result(addresses)
    finally:
        with _changing:
            del _under_way[host]
