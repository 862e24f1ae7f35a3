"""Lets a WSGI application run under an asynchronous server, in bounded threads.

A request reaches a thread only when its whole body is here: who sends slowly holds a coroutine,
not a thread, and is hung up on after a while.
"""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from web_admin.api.problems import MEDIA_TYPE, Code, Problem

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY = 64 * 1024
_BODY_SECONDS = 10.0
_BATCH = 64 * 1024


class Gateway:
    """The application as the server calls it (ASGI 3)."""

    def __init__(self, application: Wsgi, threads: int) -> None:
        """Run that application, on so many requests at a time."""
        self._application = application
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            await _refuse(send, Code.TIMEOUT)
            return
        if body is None:
            await _refuse(send, Code.BODY_TOO_LARGE)
            return
        loop = asyncio.get_running_loop()
        answer = _Answer(loop, send)
        environ = _environ(scope, body)
        await loop.run_in_executor(self._executor, answer.run, self._application, environ)

    def close(self) -> None:
        """Wait for requests under way."""
        self._executor.shutdown(wait=True)


class _Answer:
    """Carries an application's answer from its thread to the server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop = loop
        self._send = send
        self._head: dict[str, Any] = {}

    def run(self, application: Wsgi, environ: dict[str, Any]) -> None:
        """Call the application and send what it gives, in pieces of some size."""
        parts = application(environ, self._start)
        try:
            waiting: list[bytes] = []
            for part in parts:
                waiting.append(part)
                if sum(map(len, waiting)) >= _BATCH:
                    self._pass_on(b"".join(waiting), more=True)
                    waiting = []
            self._pass_on(b"".join(waiting), more=False)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
        pairs = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers]
        code = int(status.split(" ", 1)[0])
        self._head = {"type": "http.response.start", "status": code, "headers": pairs}

    def _pass_on(self, data: bytes, *, more: bool) -> None:
        asyncio.run_coroutine_threadsafe(self._deliver(data, more=more), self._loop).result(60)

    async def _deliver(self, data: bytes, *, more: bool) -> None:
        if self._head:
            head, self._head = self._head, {}
            await self._send(head)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


async def _read(receive: Receive) -> bytes | None:
    """Read the body; None if it is longer than any form of ours."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _refuse(send: Send, code: Code) -> None:
    """Refuse what did not arrive as a whole, in the words of the API: no form of ours is so."""
    body = Problem(code).body()
    headers = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": code.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _environ(scope: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Describe the request as PEP 3333 has it."""
    client = scope.get("client") or ("", 0)
    server = scope.get("server") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str(client[0]),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # would pass for the name with "-", which a trusted proxy may have set
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        # Bottle reads headers as UTF-8, and fails on what is none.
        value = raw_value.decode("utf-8", "replace").encode("utf-8").decode("latin-1")
        if name == "CONTENT_TYPE":
            environ[name] = value
        elif name != "CONTENT_LENGTH":
            key = f"HTTP_{name}"
            environ[key] = f"{environ[key]}, {value}" if key in environ else value
    return environ
