"""How many pages a second, beside the bare server's hello, and how soon the first byte comes.

scripts/test --run python -P tests/benchmarks/web_pages.py
"""

import http.client
import multiprocessing
import statistics
import time
from typing import Any

from client import Client
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer
from harness.accounts import Accounts
from harness.sandbox import free_port
from harness.waiting import until
from web_host import WebHost

from web_admin.gateway import Gateway

SECONDS = 5.0
TOKENS = 10


def hello(_environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer with one word: what the server costs without pages."""
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def serve_hello(port: int) -> None:
    """Serve it as our pages are served."""
    server = MPServer(
        "hello",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=lambda: Gateway(hello, 64), wrap_loader=False)


def ask(port: int, path: str, headers: dict[str, str], seconds: float, times: Any) -> None:
    """Ask again and again over one connection; report how long each answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    taken = []
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        first = time.perf_counter() - started
        answer.read()
        assert answer.status == 200, (path, answer.status)
        taken.append(first)
    times.put(taken)


def measure(port: int, path: str, headers: dict[str, str], clients: int) -> tuple[float, float]:
    """Give requests per second and the median milliseconds to the first byte."""
    times: Any = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=ask, args=(port, path, headers, SECONDS, times))
        for _ in range(clients)
    ]
    for worker in workers:
        worker.start()
    taken = [one for _ in workers for one in times.get()]
    for worker in workers:
        worker.join()
    return len(taken) / SECONDS, 1000 * statistics.median(taken)


def main() -> None:
    """Measure and print a table."""
    port = free_port()
    bare = multiprocessing.Process(target=serve_hello, args=(port,))
    bare.start()
    host, accounts = WebHost(tls=False), Accounts()
    account = accounts.make()
    for _ in range(TOKENS):
        host.installation.issue_token(account.name)
    client = Client(host, "")
    client.sign_in(account, host.installation.enroll(account.name))
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    reads = store_read(host, account.name)
    until(lambda: answers(port), "the bare server")
    print("| page | requests/s, 1 client | requests/s, 8 clients | first byte (median) |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    try:
        for name, at, path, headers in [
            ("bare server's hello", port, "/", {}),
            ("sign-in page", host.port, "/sign-in", {}),
            ("profile", host.port, "/", cookie),
            (f"list of {TOKENS} tokens", host.port, "/tokens", cookie),
        ]:
            one, first = measure(at, path, headers, 1)
            eight, _ = measure(at, path, headers, 8)
            print(f"| {name} | {one:.0f} | {eight:.0f} | {first:.2f} ms |", flush=True)  # noqa: T201
        print(f"\nOne read of the store (accounts.show): {reads:.2f} ms")  # noqa: T201
    finally:
        host.close()
        accounts.forget_all()
        bare.terminate()


def store_read(host: WebHost, name: str) -> float:
    """Give the milliseconds of one read, the median of many."""
    taken = []
    for _ in range(500):
        started = time.perf_counter()
        host.installation.store.accounts.show(name)
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def answers(port: int) -> bool:
    """Tell whether somebody serves there."""
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).request("GET", "/")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
