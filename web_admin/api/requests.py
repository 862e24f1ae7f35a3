"""Reads what was sent; a Problem for what does not fit."""

import re
from typing import Any, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from web_admin.api.credentials import CODE_HEADER, Presented
from web_admin.api.endpoint import Endpoint
from web_admin.api.models import Moment
from web_admin.api.problems import Code, FieldProblem, Problem, at_field
from web_admin.proxies import Peer, is_private
from web_admin.site import Site

_CODE = re.compile(r"[0-9A-Za-z -]{0,40}")


def check_origin(request: Any, peer: Peer, site: Site) -> None:
    """Refuse who would send secrets in the clear, and what another web site makes a browser send.

    Browsers remember Basic credentials and send them along with whatever any site sends here.
    """
    host = request.get_header("Host", "")
    if not is_private(peer, host, site.proxies):
        raise Problem(Code.INSECURE, "Passwords and tokens are taken over HTTPS only.")
    origin = request.get_header("Origin")
    own = f"{'https' if peer.is_secure else 'http'}://{host}"
    came_from = request.get_header("Sec-Fetch-Site", "none")
    if origin not in {None, own} or came_from not in {"none", "same-origin"}:
        raise Problem(Code.CROSS_SITE)


def read_credentials(request: Any) -> Presented:
    """Read what tells who calls."""
    code = request.get_header(CODE_HEADER, "")
    if not _CODE.fullmatch(code):
        detail = "At most 40 letters, digits, spaces and dashes."
        raise Problem(Code.REQUEST_INVALID, errors=(FieldProblem(CODE_HEADER, detail),))
    return Presented(request.get_header("Authorization", ""), code)


def read_body(request: Any, endpoint: Endpoint) -> Struct | None:
    """Read the body into the endpoint's model; None where it takes none."""
    data: bytes = request.body.read()
    if endpoint.body is None:
        if data:
            raise Problem(Code.REQUEST_INVALID, "This takes no body.")
        return None
    kind, _, parameters = request.get_header("Content-Type", "").lower().partition(";")
    if kind.strip() != "application/json" or parameters.strip() not in _UTF_8:
        raise Problem(Code.MEDIA_TYPE_UNSUPPORTED)
    try:
        return msgspec.json.decode(data, type=endpoint.body)
    except msgspec.ValidationError as error:
        raise Problem(Code.REQUEST_INVALID, errors=at_field(str(error))) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Problem(Code.JSON_INVALID, str(error)) from error
    except RecursionError as error:
        raise Problem(Code.JSON_INVALID, "It is nested too deep.") from error


_UTF_8 = {"", "charset=utf-8", 'charset="utf-8"'}


def read_query(request: Any, endpoint: Endpoint) -> Struct | None:
    """Read what stands behind the question mark into the endpoint's model, likewise."""
    try:
        pairs = parse_qsl(
            request.query_string, keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError as error:
        raise Problem(Code.REQUEST_INVALID, "The query is not UTF-8, or too long.") from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Problem(Code.REQUEST_INVALID, "A parameter stands there twice.")
    if endpoint.query is None:
        if values:
            raise Problem(Code.REQUEST_INVALID, "This takes no parameters.")
        return None
    try:
        return msgspec.convert(_with_times(values, endpoint.query), endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(Code.REQUEST_INVALID, errors=at_field(str(error))) from error


def _with_times(values: dict[str, str], query: type[Struct]) -> dict[str, Any]:
    """Read times as RFC 3339 has them: msgspec would take a number for one, as it must for others.

    A text that is no time is left for msgspec to refuse, by name.
    """
    read: dict[str, Any] = dict(values)
    for field in msgspec.structs.fields(query):
        if Moment in get_args(field.type) and field.encode_name in read:
            text = read[field.encode_name]
            read[field.encode_name] = text if "T" in text.upper() else f"not a time: {text}"
    return read
