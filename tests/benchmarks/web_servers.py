r"""Compares web servers with our sign-in page: how many, and beside whom.

Not a part of the test run: it installs servers that we do not use.

    uv run --with . --with waitress --with cheroot \
        --with gunicorn python tests/benchmarks/web_servers.py
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

PORT = 18_099
THREADS = 64
CLIENTS = 8
SECONDS = 4
_ORIGIN = f"Host: 127.0.0.1:{PORT}\r\nOrigin: http://127.0.0.1:{PORT}\r\n"
HALF = {
    "headers": f"GET /sign-in HTTP/1.1\r\n{_ORIGIN}".encode(),
    "body": (
        f"POST /sign-in HTTP/1.1\r\n{_ORIGIN}Content-Length: 90\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nname"
    ).encode(),
}

_ME = Path(__file__)
_GRANIAN = [sys.executable, "-m", "granian", "--port", str(PORT), "--http", "1", "--no-ws"]
_GUNICORN = [sys.executable, "-m", "gunicorn", "-w", "1", "-k", "gthread", "-b"]
SERVERS: dict[str, list[str]] = {
    "granian, our gateway": [*_GRANIAN, "--interface", "asginl", "web_servers:gateway"],
    "granian, its own WSGI": [
        *_GRANIAN,
        "--interface",
        "wsgi",
        "--blocking-threads",
        str(THREADS),
        "web_servers:pages",
    ],
    "waitress": [sys.executable, str(_ME), "waitress"],
    "cheroot": [sys.executable, str(_ME), "cheroot"],
    "gunicorn": [*_GUNICORN, f"127.0.0.1:{PORT}", "--threads", str(THREADS), "web_servers:pages"],
}


def __getattr__(name: str) -> Any:
    """Make the application only where a server asks for it."""
    if name == "pages":
        return _pages()
    if name == "gateway":
        from web_admin.gateway import Gateway  # noqa: PLC0415

        return Gateway(_pages(), THREADS)
    raise AttributeError(name)


def _pages() -> Any:
    from store.settings import Settings  # noqa: PLC0415
    from web_admin.application import make_application  # noqa: PLC0415
    from web_admin.site import Site  # noqa: PLC0415

    nobody = MagicMock()  # the sign-in page asks neither store nor broker
    nobody.units.clock.return_value = 10**12
    return make_application(Site(nobody, nobody, Settings()))


def serve(name: str) -> None:
    """Serve with a server that has no command of its own."""
    if name == "waitress":
        import waitress  # noqa: PLC0415

        waitress.serve(_pages(), listen=f"127.0.0.1:{PORT}", threads=THREADS, connection_limit=1000)
    else:
        from cheroot.wsgi import Server  # noqa: PLC0415

        Server(("127.0.0.1", PORT), _pages(), numthreads=THREADS).start()


@contextmanager
def running(argv: list[str]) -> Iterator[None]:
    """Run a server."""
    process = subprocess.Popen(
        argv,
        cwd=_ME.parent,
        env={**os.environ, "PYTHONPATH": str(_ME.parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
                break
            time.sleep(0.1)
        else:
            message = f"{argv} does not serve"
            raise RuntimeError(message)
        time.sleep(1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def get(connection: http.client.HTTPConnection) -> None:
    """Ask for the page."""
    connection.request("GET", "/sign-in")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(answer.status)


def per_second() -> float:
    """Give the requests per second of some clients that keep their connections."""
    stop = time.monotonic() + SECONDS
    counts = [0] * CLIENTS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        while time.monotonic() < stop:
            get(connection)
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def beside(half: bytes, count: int = 300) -> str:
    """Give how long a page takes beside requests that never end."""
    slow = []
    for _ in range(count):
        slow.append(socket.create_connection(("127.0.0.1", PORT), timeout=5))
        slow[-1].sendall(half)
    time.sleep(0.5)
    started = time.monotonic()
    try:
        get(http.client.HTTPConnection("127.0.0.1", PORT, timeout=8))
    except (OSError, http.client.HTTPException):
        return "none within 8 s"
    finally:
        for one in slow:
            one.close()
    return f"{1000 * (time.monotonic() - started):.0f} ms"


def main() -> None:
    """Measure them all."""
    print("| server | sign-in pages/s | beside 300 half headers | beside 300 half bodies |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    for name, argv in SERVERS.items():
        figures = []
        with running(argv):
            figures.append(f"{per_second():.0f}")
        for half in HALF.values():
            with running(argv):
                figures.append(beside(half))
        print(f"| {name} | {' | '.join(figures)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        main()
