"""Speaks the API's language: good answers are values, refusals are problems (RFC 9457)."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from scripts.admin.administration import AccessError, RoadError
from scripts.admin.output import printable, show_duration
from scripts.admin.transport import Transport
from store.errors import EnrollmentError, LimitError, NotFoundError, RequestError
from store.secret import Secret

T = TypeVar("T")

_PROBLEM = "application/problem+json"
_UNAUTHORIZED = 401
_SERVER_FAULT = 500
_OF_STORE = {
    "not_found": NotFoundError,
    "limit_reached": LimitError,
    "enrollment_refused": EnrollmentError,
    "refused": RequestError,
}
"""Problems whose detail is the store's own sentence, which says it all."""


class _Field(Struct, frozen=True):
    field: str
    detail: str


class _Details(Struct, frozen=True):
    """The body of a problem."""

    title: str
    code: str
    detail: str = ""
    errors: tuple[_Field, ...] = ()


class ApiProblem(Exception):  # noqa: N818 - RFC 9457's word
    """A request was refused."""

    def __init__(self, details: _Details, status: int, retry_after: int | None) -> None:
        """Keep what was answered."""
        super().__init__(details.code)
        self.code = details.code
        self._details = details
        self._status = status
        self._retry_after = retry_after

    def text(self) -> str:
        """Say it in the server's words."""
        found = self._details
        text = found.title
        if found.code in _OF_STORE and found.detail:
            text = found.detail
        elif found.detail:
            text = f"{text}: {found.detail}"
        text += "".join(f"; {one.field}: {one.detail}" for one in found.errors)
        if self._retry_after:
            text += f"; try again in {show_duration(self._retry_after)}"
        return printable(text)

    def as_error(self, text: str = "") -> Exception:
        """Give it as what commands understand, in other words if there are better ones."""
        text = text or self.text()
        if self._status >= _SERVER_FAULT:
            return RoadError(text)
        if self._status == _UNAUTHORIZED or self.code == "confirmation_required":
            return AccessError(text)
        return _OF_STORE.get(self.code, RequestError)(text)


class Wire:
    """One server's API."""

    def __init__(self, transport: Transport) -> None:
        """Use that transport."""
        self._transport = transport
        self.server = transport.server

    def exchange(
        self,
        method: str,
        path: str,
        answer: type[T] | None,
        *,
        secret: Secret | None = None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """Send a request and read its answer; ApiProblem if it is refused."""
        headers = {"Authorization": f"Bearer {secret.text()}"} if secret is not None else {}
        data = msgspec.json.encode(body) if body is not None else None
        given = self._transport.send(method, path, body=data, headers=headers, query=query or {})
        if given.kind == _PROBLEM:
            details = self._read(given.body, _Details)
            raise ApiProblem(details, given.status, given.retry_after)
        if given.status not in range(200, 300):
            kind = "broken" if given.status >= _SERVER_FAULT else "no sftp-mfa"
            message = f"{self.server} answers with status {given.status}: it is {kind}"
            raise RoadError(message)
        if answer is None:
            return None  # type: ignore[return-value] # T is None then
        return self._read(given.body, answer)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _read(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            message = f"{self.server} answers what this version does not understand: {error}"
            raise RoadError(printable(message)) from error
