"""The pages as one WSGI application: routes, who may enter, what every answer carries."""

import logging
from collections.abc import Callable
from typing import Any, assert_never
from urllib.parse import quote

import bottle

from store.errors import NotFoundError, RequestError, StoreError
from store.sessions import Stage
from web_admin import proxies
from web_admin.api.application import with_api
from web_admin.errors import BrokerUnavailableError
from web_admin.gateway import Wsgi
from web_admin.pages import ROUTES
from web_admin.rendering import STATIC, render
from web_admin.routes import Answer, Download, Need, Page, Redirect, Route, message
from web_admin.site import Site
from web_admin.visit import Visit, current

_log = logging.getLogger("sftp_mfa.web")

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not "no-referrer": browsers would then send forms with "Origin: null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_YEAR = 31_536_000
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_application(site: Site) -> Wsgi:
    """Put the pages together, with the API beside them."""
    application = bottle.Bottle()
    for route in ROUTES:
        application.route(route.path, route.method, _handler(site, route))
    application.route("/static/<name>", "GET", _static)
    application.default_error_handler = lambda error: _finish(
        site, lambda _: message("not_found", _known(error.status_code))
    )
    pages: Wsgi = application
    return with_api(site, pages)


def _known(status: int) -> int:
    return status if status in {400, 404, 405, 413} else 500


def _handler(site: Site, route: Route) -> Callable[..., Any]:
    def handle(**parts: str) -> Any:
        return _finish(site, lambda visit: _admit(visit, route) or route.handle(visit, **parts))

    return handle


def _finish(site: Site, work: Callable[[Visit], Answer]) -> Any:
    """Do the work of a page, and turn whatever comes of it into an answer."""
    visit = current(site)
    try:
        answer = _outside(visit) or work(visit)
        return _respond(visit, answer)
    except NotFoundError:
        answer = message("gone", 404)
    except RequestError as error:
        answer = message("refused", 400, text=str(error))
    except (StoreError, BrokerUnavailableError) as error:
        _log.error("%s; refusing", error)
        site.metrics.count_unavailable(error)
        answer = message("unavailable", 503)
        visit.leave_store_alone()
    except Exception:  # noqa: BLE001 - whatever it is, nobody must see more than that
        _log.exception("a fault of this program; refusing")
        answer = message("fault", 500)
        visit.leave_store_alone()
    return _respond(visit, answer)


def _outside(visit: Visit) -> Page | None:
    """Refuse whoever would send a password in the clear, or through a proxy that is not ours."""
    is_private = proxies.is_private(visit.peer, visit.host, visit.site.proxies)
    return None if is_private else message("insecure", 403)


def _admit(visit: Visit, route: Route) -> Answer | None:
    """Lead elsewhere who may not enter; None for who may."""
    stage = visit.session.stage if visit.session is not None else None
    if route.need is not Need.NOTHING and stage is None:
        return Redirect("/sign-in")
    if route.method == "POST":
        refusal = _check_form(visit)
        if refusal is not None:
            return refusal
    if route.need in {Need.NOTHING, Need.SESSION}:
        return None
    match stage:
        case None:
            return Redirect("/sign-in")
        case Stage.CODE:
            return None if route.need is Need.CODE else Redirect("/sign-in/code")
        case Stage.ENROLLMENT:
            return None if route.need is Need.ENROLLMENT else Redirect("/mfa")
        case Stage.FULL:
            return _admit_signed_in(visit, route)
    assert_never(stage)


def _admit_signed_in(visit: Visit, route: Route) -> Answer | None:
    match route.need:
        case Need.CODE:
            return Redirect("/")
        case Need.ADMIN | Need.ADMIN_CONFIRMED if not visit.is_admin:
            return message("not_found", 404)
        case Need.CONFIRMED | Need.ADMIN_CONFIRMED if not visit.me.confirmed:
            # After a form it is the page that the form stands on: nothing is sent twice by itself.
            back = visit.path if route.method == "GET" else visit.text("back") or "/"
            return Redirect(f"/confirm?next={quote(back, safe='/')}")
    return None


def _check_form(visit: Visit) -> Page | None:
    """Refuse a form that is not ours, not of this session, or was sent before."""
    origin = visit.header("Origin")
    if origin is None:
        came_from_here = visit.header("Sec-Fetch-Site") == "same-origin"
    else:
        came_from_here = origin == visit.origin
    if not came_from_here or not visit.has_form_token():
        return message("form_not_ours", 403)
    if visit.session is not None and not visit.site.store.forms.use(visit.text("form")):
        return message("form_sent_before", 409)
    return None


def _respond(visit: Visit, answer: Answer) -> Any:
    body: Any = ""
    response = bottle.HTTPResponse()
    match answer:
        case Page():
            body = render(answer, visit)
            response.status = answer.status
            response.content_type = "text/html; charset=UTF-8"
            if answer.retry_after:
                response.set_header("Retry-After", str(answer.retry_after))
        case Redirect(path):
            response.status = 303
            response.set_header("Location", path)
        case Download(name, kind, parts):
            response.content_type = kind
            response.set_header("Content-Disposition", f'attachment; filename="{name}"')
            body = (part.encode("utf-8") for part in parts)
        case _:
            assert_never(answer)
    for name, value in _HEADERS.items():
        response.set_header(name, value)
    if visit.peer.is_secure:
        response.set_header("Strict-Transport-Security", f"max-age={_YEAR}")
    visit.write_cookies(response)
    response.body = body
    return response


def _static(name: str) -> Any:
    response = bottle.static_file(name, root=str(STATIC), mimetype=_kind(name))
    if response.status_code in {200, 304}:
        response.set_header("Cache-Control", f"public, max-age={_YEAR}, immutable")
    response.set_header("X-Content-Type-Options", "nosniff")
    response.set_header("Content-Security-Policy", "default-src 'none'")
    return response


def _kind(name: str) -> str:
    return next((kind for end, kind in _KINDS.items() if name.endswith(end)), "text/plain")
