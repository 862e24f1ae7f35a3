"""The API as a WSGI application: finds the endpoint, lets in, reads, answers."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import bottle
import msgspec

from store.errors import (
    EnrollmentError,
    LimitError,
    NotFoundError,
    RequestError,
    StoreError,
)
from web_admin import proxies
from web_admin.api import admission, openapi, requests
from web_admin.api.call import Call
from web_admin.api.endpoint import PREFIX, Endpoint, File, Reply
from web_admin.api.problems import MEDIA_TYPE, Code, Problem
from web_admin.api.registry import ENDPOINTS
from web_admin.errors import BrokerUnavailableError
from web_admin.gateway import Wsgi
from web_admin.site import Site

_log = logging.getLogger("sftp_mfa.api")

_REALM = 'realm="sftp-mfa"'
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_YEAR = 31_536_000


def with_api(site: Site, pages: Wsgi) -> Wsgi:
    """Put the API beside the pages, and time both."""
    api = make_application(site)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/api/"):
            return api(environ, start)
        began = time.monotonic()

        def start_page(status: str, *more: Any) -> Any:
            site.metrics.observe("pages", int(status[:3]), time.monotonic() - began)
            return start(status, *more)

        return pages(environ, start_page)

    return application


def make_application(site: Site) -> Wsgi:
    """Put the endpoints together."""
    document = openapi.document(ENDPOINTS)
    application = bottle.Bottle()
    for endpoint in ENDPOINTS:
        path = PREFIX + endpoint.path.replace("{", "<").replace("}", ">")
        application.route(path, endpoint.method, _handler(site, document, endpoint))
    application.default_error_handler = lambda error: _unmatched(site, error)
    typed: Wsgi = application
    return typed


def _handler(site: Site, document: bytes, endpoint: Endpoint) -> Callable[..., Any]:
    def handle(**parts: str) -> Any:
        began = time.monotonic()
        response = _answer(site, document, endpoint, parts)
        seconds = time.monotonic() - began
        site.metrics.observe(endpoint.name, response.status_code, seconds)
        return response

    return handle


def _answer(site: Site, document: bytes, endpoint: Endpoint, parts: dict[str, str]) -> Any:
    """Do the work of an endpoint, and turn whatever comes of it into an answer."""
    try:
        return _respond(_work(site, document, endpoint, parts))
    except Problem as problem:
        return _refuse(problem)
    except NotFoundError as error:
        return _refuse(Problem(Code.NOT_FOUND, str(error)))
    except LimitError as error:
        return _refuse(Problem(Code.LIMIT_REACHED, str(error)))
    except EnrollmentError as error:
        return _refuse(Problem(Code.ENROLLMENT_REFUSED, str(error)))
    except RequestError as error:
        return _refuse(Problem(Code.REFUSED, str(error)))
    except (StoreError, BrokerUnavailableError) as error:
        _log.error("%s; refusing", error)
        site.metrics.count_unavailable(error)
        return _refuse(Problem(Code.UNAVAILABLE, retry_after=5))
    except Exception:  # noqa: BLE001 - whatever it is, nobody must see more than that
        _log.exception("a fault of this program; refusing")
        return _refuse(Problem(Code.FAULT))


def _work(site: Site, document: bytes, endpoint: Endpoint, parts: dict[str, str]) -> Reply | File:
    request = bottle.request
    peer = proxies.find_peer(request.environ, site.proxies)
    requests.check_origin(request, peer, site)
    given = requests.read_credentials(request)
    call = Call(site, document, peer.address, request.get_header("User-Agent", ""))
    call = admission.visitor_of(call, endpoint, given)
    admission.admit(call, endpoint)
    account = call.account_of(parts["id"]) if "id" in parts else None
    admission.check_proof(call, endpoint.proof, account)
    values = {_snake(name): text for name, text in parts.items() if name != "id"}
    if account is not None:
        values["account"] = account
    body = requests.read_body(request, endpoint)
    query = requests.read_query(request, endpoint)
    found: Reply | File = endpoint.handle(
        call, *(value for value in (body, query) if value is not None), **values
    )
    return found


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _respond(answer: Reply | File) -> Any:
    match answer:
        case Reply(value, status, location):
            body = msgspec.json.encode(value) if value is not None else b""
            response = _response(body, status, "application/json" if body else None)
            if location is not None:
                response.set_header("Location", location)
            return response
        case File(body, kind, policy, is_static):
            response = _response(body, 200, kind)
            if policy is not None:
                response.set_header("Content-Security-Policy", policy)
            if is_static:
                response.set_header("Cache-Control", "public, max-age=86400")
            return response


def _refuse(problem: Problem, headers: Iterable[tuple[str, str]] = ()) -> Any:
    response = _response(problem.body(), problem.code.status, MEDIA_TYPE)
    for name, value in headers:
        response.add_header(name, value)
    if problem.retry_after:
        response.set_header("Retry-After", str(problem.retry_after))
    for challenge in _challenges(problem.code):
        response.add_header("WWW-Authenticate", challenge)
    return response


def _challenges(code: Code) -> list[str]:
    """Say how to come in (RFC 9110, 6750, 7617)."""
    if code is Code.INSUFFICIENT_SCOPE:
        return [f'Bearer {_REALM}, error="insufficient_scope", scope="api"']
    if code.status != 401:  # noqa: PLR2004
        return []
    error = ', error="invalid_token"' if code in {Code.TOKEN_INVALID, Code.SESSION_INVALID} else ""
    bearer = f"Bearer {_REALM}{error}"
    # A script in a browser asks for itself; the browser's own window would only come in between.
    is_script = bottle.request.get_header("Sec-Fetch-Mode", "navigate") != "navigate"
    return [bearer] if is_script else [bearer, f'Basic {_REALM}, charset="UTF-8"']


def _response(body: bytes, status: int, kind: str | None) -> Any:
    response = bottle.HTTPResponse(body, status)
    for name, value in _HEADERS.items():
        response.set_header(name, value)
    if kind is not None:
        response.content_type = kind
    if bottle.request.urlparts.scheme == "https":
        response.set_header("Strict-Transport-Security", f"max-age={_YEAR}")
    return response


def _unmatched(site: Site, error: Any) -> Any:
    """Answer where there is no endpoint, or no such method of one."""
    code = _UNMATCHED.get(error.status_code, Code.FAULT)
    allowed = error.get_header("Allow")
    response = _refuse(Problem(code), [("Allow", allowed)] if allowed else [])
    site.metrics.observe("none", code.status, 0)
    response.apply(bottle.response)
    return response.body


_UNMATCHED = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}
