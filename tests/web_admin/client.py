"""The pages as HTTP: a browser without a screen, for tests that do not look at one."""

import http.client
import re
import ssl
import time
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from harness.accounts import Account
from harness.installation import Device
from web_host import WebHost

_TOKEN = re.compile(r'name="form" value="([^"]+)"')
_UNVERIFIED = ssl._create_unverified_context()  # noqa: S323, SLF001 - the tests' own certificate


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str
    seconds: float

    @property
    def location(self) -> str:
        """Give where it leads."""
        return str(self.headers["Location"] or "")

    @property
    def main(self) -> str:
        """Give the words of the page, without its markup."""
        _, _, body = self.text.partition("<main")
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body.partition("</main>")[0])).split())


@dataclass(slots=True)
class Client:
    """One browser profile: cookies, and the token of the form that it saw last."""

    host: WebHost
    address: str
    cookies: dict[str, str] = field(default_factory=dict)
    form: str = ""

    def get(self, path: str, **headers: str) -> Reply:
        """Open a page."""
        return self.send("GET", path, None, headers)

    def post(self, path: str, **fields: str) -> Reply:
        """Send the form of the page that was opened last."""
        return self.send("POST", path, {"form": self.form, **fields}, {"Origin": self.host.url})

    def open_and_post(self, page: str, path: str = "", **fields: str) -> Reply:
        """Open a page and send its form."""
        opened = self.get(page)
        assert opened.status == 200, (page, opened.status, opened.location)
        return self.post(path or page, **fields)

    def send(
        self, method: str, path: str, fields: dict[str, str] | None, headers: dict[str, str]
    ) -> Reply:
        """Send a request as it is."""
        started = time.monotonic()
        connection = self._connection()
        try:
            connection.request(
                method,
                path,
                None if fields is None else urlencode(fields),
                {**self._headers(form=fields is not None), **headers},
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        self._keep(answer.headers, text)
        return Reply(answer.status, answer.headers, text, time.monotonic() - started)

    def _connection(self) -> http.client.HTTPConnection:
        if self.host.scheme == "https":
            return http.client.HTTPSConnection(
                "127.0.0.1", self.host.port, context=_UNVERIFIED, timeout=60
            )
        return http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=60)

    def _headers(self, *, form: bool) -> dict[str, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if self.host.scheme == "https":
            headers |= {"X-Forwarded-For": self.address, "X-Forwarded-Proto": "https"}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers

    def _keep(self, headers: http.client.HTTPMessage, text: str) -> None:
        for cookie in headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        found = _TOKEN.search(text)
        if found:
            self.form = found[1]

    @property
    def session(self) -> str | None:
        """Give the secret of the session."""
        return self.cookies.get("__Host-sftp-mfa-session")

    def give_password(self, account: str, password: str) -> Reply:
        """Sign in up to the code."""
        return self.open_and_post("/sign-in", account=account, password=password)

    def give_code(self, code: str) -> Reply:
        """Give the code."""
        return self.open_and_post("/sign-in/code", code=code)

    def sign_in(self, account: Account, device: Device | None = None, steps: int = 0) -> None:
        """Sign in all the way."""
        reply = self.give_password(account.name, account.password)
        assert reply.status == 303, reply.main
        if device is not None:
            assert reply.location == "/sign-in/code"
            reply = self.give_code(device.code(steps))
        assert (reply.status, reply.location) == (303, "/"), reply.main

    def is_signed_in(self) -> bool:
        """Tell whether the first page opens."""
        return self.get("/").status == 200
