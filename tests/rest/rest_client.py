"""A program that speaks to the API."""

import base64
import http.client
import itertools
import json
import os
import ssl
from dataclasses import dataclass, field
from typing import Any

from harness.accounts import Account
from harness.installation import Device
from web_host import WebHost

_HOSTS = itertools.count(1)
_TRUSTING = ssl._create_unverified_context()  # noqa: S323, SLF001 - loopback, a certificate of ours
PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        """Read it."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Give the problem's code."""
        assert self.headers["Content-Type"] == "application/problem+json", self.content
        assert self.json["status"] == self.status
        return str(self.json["code"])


def some_address() -> str:
    """Give an address that this run has not used."""
    number = next(_HOSTS)
    return f"10.{os.getpid() % 250}.{number // 250}.{number % 250 + 1}"


@dataclass(slots=True)
class Client:
    """Calls from one address, with one kind of credential."""

    host: WebHost
    authorization: str | None = None
    address: str = field(default_factory=some_address)

    def bearer(self, secret: str) -> "Client":
        """Give a client that sends a session's secret or a token."""
        return Client(self.host, f"Bearer {secret}", self.address)

    def basic(self, account: str, password: str) -> "Client":
        """Give a client that sends account and password."""
        pair = base64.b64encode(f"{account}:{password}".encode()).decode()
        return Client(self.host, f"Basic {pair}", self.address)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Make a call; a body that is not bytes is written as JSON."""
        sent = {"X-Forwarded-For": self.address, "X-Forwarded-Proto": "https"}
        if self.authorization is not None:
            sent["Authorization"] = self.authorization
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.host.port, context=_TRUSTING, timeout=60
        )
        try:
            connection.request(method, PREFIX + path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send."""
        return self.call("POST", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """Delete."""
        return self.call("DELETE", path, **headers)

    def log_in(self, account: Account, device: Device | None = None, steps: int = 0) -> "Client":
        """Log in all the way, and give a client that sends the session."""
        answer = self.post("/auth/login", {"account": account.name, "password": account.password})
        assert answer.status == 200, answer.content
        found = answer.json
        if device is None:
            assert found["status"] == "logged_in"
            return self.bearer(found["session"]["sessionToken"])
        assert found["status"] == "mfa_required"
        sent = {"challenge": found["challenge"], "code": device.code(steps)}
        answer = self.post("/auth/mfa/totp/validate-code", sent)
        assert answer.status == 200, answer.content
        return self.bearer(answer.json["sessionToken"])
