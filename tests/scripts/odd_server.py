"""A server on loopback that answers whatever a test wants, and remembers what it was sent."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]


class OddServer:
    """One that speaks plain HTTP, which loopback may."""

    def __init__(self, answer: Answer) -> None:
        """Listen."""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self.requests.append(connection.recv(65536))
                    self._answer(connection)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def answering(answer: bytes | Answer) -> Iterator[OddServer]:
    """Run one for a moment."""
    fixed = answer if callable(answer) else (lambda connection: connection.sendall(answer))
    server = OddServer(fixed)
    try:
        yield server
    finally:
        server.close()


def http(status: str, body: bytes, kind: str = "application/json", *more: str) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body
