"""Carries requests to the API: HTTPS, bounded in time and size, and nowhere but to that server.

By urllib3 with `ssl.create_default_context`, so that the system's trust store decides, where the
operator puts the house's own authority once for all programs; requests and httpx bring a bundle of
their own (certifi), which knows nothing of it. Nothing switches verification off. No redirect is
followed: whoever could send one would be given the credentials.
"""

import ipaddress
import re
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode, urlsplit

import urllib3

from scripts.admin.administration import RoadError
from store.errors import RequestError

PREFIX = "/api/v1"
_SECONDS = 60
"""For one request, from the name's look-up to the last byte of the answer."""
_CONNECT_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024
_CHUNK = 64 * 1024
_LONGEST_URL = 2048
_RETRY_SECONDS = re.compile(r"[0-9]{1,9}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    """The media type."""
    body: bytes
    retry_after: int | None
    """Seconds."""


def normal_server(text: str) -> str:
    """Give a server's address as it is kept; RequestError unless it is safe to send secrets to."""
    address = text.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        message = f"{text!r} is not the address of a server: {error}"
        raise RequestError(message) from error
    is_plain = parts.username is None and not parts.query and not parts.fragment
    printable = len(address) <= _LONGEST_URL and _PRINTABLE.fullmatch(address)
    if parts.scheme not in {"https", "http"} or not host or not is_plain or not printable:
        message = f"{text!r} is not the address of a server, such as https://sftp.example.com"
        raise RequestError(message)
    if parts.scheme == "http" and not _is_loopback(host):
        message = f"{address}: passwords and tokens are sent over https only; use https://{host}"
        raise RequestError(message)
    return address


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Transport:
    """One server."""

    def __init__(self, server: str, ca_file: Path | None) -> None:
        """Trust the system's authorities, and those in a PEM file beside them."""
        self.server = server
        context = ssl.create_default_context()
        if ca_file is not None:
            try:
                context.load_verify_locations(ca_file)
            except ssl.SSLError as error:
                message = f"{ca_file} has no certificates in PEM form"
                raise RoadError(message) from error
            except OSError as error:
                message = f"{ca_file}: {error.strerror}"
                raise RoadError(message) from error
        self._pool = urllib3.PoolManager(
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SECONDS),
            headers={"User-Agent": f"sftp-mfa-admin/{version('sftp-mfa')}"},
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        query: Mapping[str, str],
    ) -> Answer:
        """Make one request; RoadError where no answer of the API comes of it."""
        sent = {**self._pool.headers, **headers, "Accept": "application/json"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            with _deadline(_SECONDS):
                answer = self._pool.request(
                    method,
                    f"{self.server}{PREFIX}{path}{_encode(query)}",
                    body=body,
                    headers=sent,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                content = self._read(answer)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise RoadError(self._explain(error)) from error
        if answer.status in range(300, 400):
            target = answer.headers.get("Location", "another address")[:_LONGEST_URL]
            message = f"{self.server} sends on to {target!r}: if that is right, give it as --server"
            raise RoadError(message)
        retry = answer.headers.get("Retry-After", "")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        seconds = int(retry) if _RETRY_SECONDS.fullmatch(retry) else None
        return Answer(answer.status, kind, content, seconds)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        content = bytearray()
        for chunk in answer.stream(_CHUNK):
            content += chunk
            if len(content) > _MOST_BYTES:
                answer.close()
                message = f"{self.server} answers more than {_MOST_BYTES >> 20} MB: given up"
                raise RoadError(message)
        answer.release_conn()
        return bytes(content)

    def _explain(self, error: Exception) -> str:
        """Say in one line what is wrong, and what to do."""
        for cause in _causes(error):
            match cause:
                case ssl.SSLCertVerificationError():
                    return (
                        f"{self.server}: the certificate is not trusted "
                        f"({cause.verify_message}); if an authority of your own has signed it, "
                        "give that with --ca-file"
                    )
                case ssl.SSLError():
                    return f"{self.server} does not speak TLS as it should: {_plain(cause)}"
                case urllib3.exceptions.NameResolutionError():
                    return f"{self.server}: there is no such host; check the address"
                case ConnectionRefusedError():
                    return f"{self.server}: nobody serves there; check the address and the service"
                case TimeoutError() | urllib3.exceptions.ReadTimeoutError():
                    return f"{self.server} does not answer in time; try again later"
                case OSError(strerror=str(reason)):
                    return f"{self.server} cannot be reached: {reason}"
        return f"{self.server} cannot be understood: {_plain(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what it came from."""
    while error is not None:
        yield error
        reason = getattr(error, "reason", None)
        error = (
            reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
        )


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _encode(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}" if query else ""


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Bound it in whole: urllib3's own time is for each wait, and there could be many of them."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
