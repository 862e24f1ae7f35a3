"""Browsers and hosts for the tests of the pages."""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser import Visitor, visit
from client import Client
from playwright.sync_api import Browser
from web_host import WebHost

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def web_host() -> Iterator[WebHost]:
    """Run a host that the tests of a worker share: each uses accounts of its own."""
    host = WebHost()
    yield host
    host.close()


@pytest.fixture
def web_hosts() -> Iterator[Callable[..., WebHost]]:
    """Make hosts that the test may break, or whose clock it moves."""
    made: list[WebHost] = []

    def make(**options: Any) -> WebHost:
        made.append(WebHost(**options))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def address() -> str:
    """Give an address that no other test comes from: guesses are counted by address."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"198.18.{worker}.{next(_numbers)}"


@pytest.fixture
def open_browser(
    browser: Browser, web_host: WebHost, address: str
) -> Iterator[Callable[..., Visitor]]:
    """Open browser profiles that the test's end closes, and that have nothing to complain of."""
    opened: list[Visitor] = []

    def new(host: WebHost = web_host, *, came_from: str = address, **options: Any) -> Visitor:
        opened.append(visit(browser, host, came_from, **options))
        return opened[-1]

    yield new
    for visitor in opened:
        assert not visitor.complaints
        visitor.context.close()


@pytest.fixture
def visitor(open_browser: Callable[..., Visitor]) -> Visitor:
    """Open one browser at a desk."""
    return open_browser()


@pytest.fixture
def connect(web_host: WebHost, address: str) -> Callable[..., Client]:
    """Make clients that come from the test's own address."""

    def new(host: WebHost = web_host, came_from: str = address) -> Client:
        return Client(host, came_from)

    return new


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    """Make one client; this name is a browser here, not an SFTP client."""
    return connect()
