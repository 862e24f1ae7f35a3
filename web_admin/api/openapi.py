"""OpenAPI 3.1, made from the endpoints' rows and models, so that it says what they do."""

import inspect
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from web_admin.api.credentials import CODE_HEADER
from web_admin.api.endpoint import PREFIX, Endpoint, Proof, Who
from web_admin.api.problems import MEDIA_TYPE, Code, ProblemDetails

_TEMPLATE = "#/components/schemas/{name}"
_OF_ALL = (Code.REQUEST_INVALID, Code.INSECURE, Code.CROSS_SITE, Code.FAULT, Code.UNAVAILABLE)
_OF_BODY = (
    Code.JSON_INVALID,
    Code.TIMEOUT,
    Code.BODY_TOO_LARGE,
    Code.MEDIA_TYPE_UNSUPPORTED,
)
_OF_CREDENTIALS = (
    Code.CREDENTIALS_MISSING,
    Code.CREDENTIALS_REFUSED,
    Code.SESSION_INVALID,
    Code.TOKEN_INVALID,
    Code.MFA_REQUIRED,
    Code.CODE_REFUSED,
    Code.CODE_REPLAYED,
    Code.INSUFFICIENT_SCOPE,
    Code.ENROLLMENT_REQUIRED,
    Code.PASSWORD_EXPIRED,
    Code.ACCOUNT_BARRED,
    Code.ACCOUNT_CLOSED,
    Code.NO_FACTOR,
    Code.TOO_MANY_REQUESTS,
    Code.CODES_LOCKED,
)
_IDS = {
    "id": "An account's name, or `me`: oneself",
    "accessTokenId": "The token's id",
    "totpId": "The authenticator's id",
    "sessionId": "The session's id",
    "name": "The file's name",
}
_WHO = {
    Who.ANYBODY: "anybody",
    Who.CHALLENGED: "who has a challenge or a session",
    Who.SESSION: "who has a session",
    Who.SIGNED_IN: "who is logged in",
    Who.OWNER: "the account itself, and administrators",
    Who.ADMINISTRATOR: "administrators",
    Who.METRICS: "administrators, or as configured",
}
_PROOF = {
    Proof.FRESH: "A session must have been confirmed within the configured time (10 minutes).",
    Proof.PERSON: "A session must have been confirmed within the configured time (10 minutes). "
    "An access token cannot do this to the account that it belongs to.",
}
_DESCRIPTION = f"""Everything that the pages do, for programs.

**Logging in.** `POST /auth/login` with account and password. The answer has a session, or
`mfa_required` with a challenge, which `POST /auth/mfa/totp/validate-code` turns into a session.
Send its secret as `Authorization: Bearer …`. An access token with the scope `api` is sent the same
way and needs no code. Basic takes a token in place of the password; or the password itself, with a
code in the header `{CODE_HEADER}` where the account has adopted MFA.

**Errors** are problems (RFC 9457) with a stable `code`. **Lists** give `nextCursor` while there is
more; send it as `cursor`. **Times** are RFC 3339 in UTC."""


def document(endpoints: Iterable[Endpoint]) -> bytes:
    """Write the documentation of endpoints."""
    rows = list(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(PREFIX + row.path, {})[row.method.lower()] = _operation(row, rows)
    written = {
        "openapi": "3.1.0",
        "info": {
            "title": "sftp-mfa",
            "version": version("sftp-mfa"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(rows),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A session, or an access token with the scope api",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": f"Account with password (and {CODE_HEADER}) or access token",
                },
            },
        },
    }
    return msgspec.json.encode(written)


def problems_of(row: Endpoint) -> list[Code]:
    """Give every problem that an endpoint may answer, each once."""
    found = [*row.problems, *_OF_ALL]
    if row.body is not None:
        found += _OF_BODY
    if row.who is not Who.ANYBODY:
        found += _OF_CREDENTIALS
    if row.who in {Who.OWNER, Who.ADMINISTRATOR, Who.METRICS}:
        found.append(Code.FORBIDDEN)
    if row.who in {Who.CHALLENGED, Who.SESSION}:
        found.append(Code.SESSION_REQUIRED)
    if "{id}" in row.path:
        found.append(Code.NOT_FOUND)
    if row.proof is not Proof.NONE:
        found.append(Code.CONFIRMATION_REQUIRED)
    if row.proof is Proof.PERSON:
        found.append(Code.PERSON_REQUIRED)
    return [code for code in Code if code in set(found)]


def _schemas(rows: list[Endpoint]) -> dict[str, Any]:
    kinds = {kind for row in rows for kind in (row.body, row.answer) if isinstance(kind, type)}
    _, schemas = msgspec.json.schema_components(
        [*sorted(kinds, key=lambda kind: kind.__name__), ProblemDetails], ref_template=_TEMPLATE
    )
    return schemas


def _operation(row: Endpoint, rows: list[Endpoint]) -> dict[str, Any]:
    text = [row.description, f"For: {_WHO[row.who]}.", _PROOF.get(row.proof, "")]
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "description": "\n\n".join(part for part in text if part),
        "tags": [row.path.split("/")[-1 if row.path.count("/") == 1 else 1].partition(".")[0]],
        "parameters": _parameters(row),
        "responses": {str(row.status): _success(row, rows), **_refusals(row)},
        "security": [] if row.who is Who.ANYBODY else _security(row),
    }
    if row.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _TEMPLATE.format(name=row.body.__name__)}}
        if row.example is not None:
            content["example"] = msgspec.to_builtins(row.example)
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _security(row: Endpoint) -> list[dict[str, list[str]]]:
    schemes: list[dict[str, list[str]]] = [{"bearer": []}]
    if row.who is Who.CHALLENGED:
        schemes.append({})
    elif row.who is not Who.SESSION:
        schemes.append({"basic": []})
    return schemes


def _parameters(row: Endpoint) -> list[dict[str, Any]]:
    found = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": _PATTERN},
        }
        for name, text in _IDS.items()
        if f"{{{name}}}" in row.path
    ]
    if row.query is not None:
        found += _query_parameters(row.query)
    if row.who in {Who.SIGNED_IN, Who.OWNER, Who.ADMINISTRATOR, Who.METRICS}:
        found.append(
            {
                "name": CODE_HEADER,
                "in": "header",
                "required": False,
                "description": "A code, beside a password sent as Basic",
                "schema": {"type": "string", "pattern": "^[0-9A-Za-z -]*$", "maxLength": 40},
            }
        )
    return found


_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_.@-]*$"


def _query_parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Describe a query's fields, each with its whole schema in place."""
    _, schemas = msgspec.json.schema_components([query], ref_template=_TEMPLATE)
    properties: dict[str, dict[str, Any]] = schemas[query.__name__]["properties"]
    parameters = []
    for name, given in properties.items():
        reference = given.get("$ref")
        schema = dict(schemas[reference.rpartition("/")[2]]) if reference else dict(given)
        text = schema.pop("description", name)
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        )
    return parameters


def _success(row: Endpoint, rows: list[Endpoint]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done"}
    if isinstance(row.answer, type):
        answer["description"] = inspect.getdoc(row.answer) or row.summary
        schema = {"$ref": _TEMPLATE.format(name=row.answer.__name__)}
        answer["content"] = {"application/json": {"schema": schema}}
    elif row.answer is not None:
        schema = {} if row.answer == "application/json" else {"type": "string"}
        answer["content"] = {kind: {"schema": schema} for kind in row.answer.split(", ")}
    if row.status == 201:  # noqa: PLR2004
        location = {"description": "Where it is", "required": True, "schema": {"type": "string"}}
        answer["headers"] = {"Location": location}
        answer["links"] = {other.name: _link(row, other) for other in rows if _made_by(row, other)}
    return answer


def _made_by(row: Endpoint, other: Endpoint) -> bool:
    """Tell whether an endpoint works on what another one makes."""
    return other.path.startswith(row.path + "/{")


def _link(row: Endpoint, other: Endpoint) -> dict[str, Any]:
    made = other.path.removeprefix(row.path + "/{").partition("}")[0]
    return {
        "operationId": other.name,
        "parameters": {"id": "$request.path.id", made: "$response.body#/id"},
    }


def _refusals(row: Endpoint) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = {}
    for code in problems_of(row):
        by_status.setdefault(code.status, []).append(code)
    schema = {"$ref": _TEMPLATE.format(name=ProblemDetails.__name__)}
    return {
        str(status): {
            "description": "; ".join(f"`{code.word}`: {code.title}" for code in codes),
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": _RETRY} if status in {429, 503} else {}),
        }
        for status, codes in by_status.items()
    }


_RETRY = {
    "Retry-After": {
        "description": "Seconds until it may be tried again",
        "schema": {"type": "integer"},
    }
}
