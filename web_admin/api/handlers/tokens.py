"""Access tokens: issued and shown once, listed, revoked."""

import ipaddress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from msgspec import UNSET
from msgspec.structs import replace

from store import access_tokens
from store.access_tokens import Scope
from store.errors import NotFoundError, RequestError
from web_admin.api.call import Call
from web_admin.api.endpoint import PREFIX, Endpoint, Proof, Reply, Who
from web_admin.api.models import AccessToken, AccessTokens, IssuedAccessToken, NewAccessToken
from web_admin.api.paging import page
from web_admin.api.problems import Code, FieldProblem, Problem
from web_admin.api.queries import TokenQuery

_ALL = "/users/{id}/auth-factors/access-tokens"
_ONE = _ALL + "/{accessTokenId}"
_EXAMPLE_END = datetime(2099, 12, 31, tzinfo=UTC)


def issue(call: Call, wanted: NewAccessToken, account: str) -> Reply:
    """Make a token and show it, this once."""
    bounds = call.caller.token
    if bounds is not None:
        wanted = _bounded(wanted, bounds)
    secret, token = call.store.access_tokens.issue(
        account,
        wanted.name,
        call.actor,
        scopes=tuple(wanted.scopes),
        networks=tuple(wanted.networks),
        expires_at=wanted.expires_at,
    )
    location = f"{PREFIX}/users/{quote(account, safe='')}/auth-factors/access-tokens/{token.id}"
    return Reply(IssuedAccessToken(**_fields(token), token=secret.text()), 201, location)


def list_all(call: Call, wanted: TokenQuery, account: str) -> Reply:
    """List the tokens that are not revoked."""
    tokens = call.store.access_tokens.list(account)
    if wanted.scope is not UNSET:
        tokens = [token for token in tokens if wanted.scope in token.scopes]
    found, cursor = page(
        tokens, lambda token: (token.created_at, token.id), wanted.limit, wanted.cursor
    )
    return Reply(AccessTokens([AccessToken(**_fields(token)) for token in found], cursor))


def show(call: Call, account: str, access_token_id: str) -> Reply:
    """Show one token."""
    for token in call.store.access_tokens.list(account):
        if token.id == access_token_id:
            return Reply(AccessToken(**_fields(token)))
    message = f"{account} has no access token {access_token_id}"
    raise NotFoundError(message)


def revoke(call: Call, account: str, access_token_id: str) -> Reply:
    """End a token for good."""
    call.store.access_tokens.revoke(account, access_token_id, call.actor)
    return Reply(status=204)


def revoke_all(call: Call, account: str) -> Reply:
    """End every token of the account."""
    call.store.access_tokens.revoke_all(account, call.actor)
    return Reply(status=204)


def _bounded(wanted: NewAccessToken, bounds: access_tokens.AccessToken) -> NewAccessToken:
    """Hold a token that a token makes within what that one opens itself."""
    if not set(wanted.scopes) <= set(bounds.scopes):
        raise _too_broad(scopes=f"This token has {', '.join(bounds.scopes)}.")
    if bounds.networks and not _within(wanted.networks, bounds.networks):
        raise _too_broad(networks=f"This token is for {', '.join(bounds.networks)}.")
    if bounds.expires_at is None:
        return wanted
    if wanted.expires_at is not None and wanted.expires_at > bounds.expires_at:
        raise _too_broad(expiresAt="This token ends before that.")
    return replace(wanted, expires_at=wanted.expires_at or bounds.expires_at)


def _within(wanted: tuple[str, ...], bounds: tuple[str, ...]) -> bool:
    outer = [ipaddress.ip_network(text) for text in bounds]
    try:
        # As they will be kept: an IPv4 network written as IPv6 is an IPv4 one.
        inner = [ipaddress.ip_network(access_tokens.normal_network(text)) for text in wanted]
    except RequestError:
        return False
    return bool(inner) and all(any(_is_part(one, other) for other in outer) for one in inner)


def _is_part(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def _too_broad(**fields: str) -> Problem:
    errors = tuple(FieldProblem(field, detail) for field, detail in fields.items())
    return Problem(Code.TOO_BROAD, errors=errors)


def _fields(token: access_tokens.AccessToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "networks": list(token.networks),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "last_used_address": token.last_used_address,
    }


ENDPOINTS = (
    Endpoint(
        "POST",
        _ALL,
        issue,
        "Issue an access token",
        Who.OWNER,
        IssuedAccessToken,
        201,
        Proof.FRESH,
        body=NewAccessToken,
        example=NewAccessToken("nightly upload", (Scope.SFTP,), ("192.0.2.0/24",), _EXAMPLE_END),
        problems=(Code.TOO_BROAD, Code.LIMIT_REACHED, Code.REFUSED),
        description="The secret is in this answer and nowhere else. A token that is made with a "
        "token has no scope, network or time that the other has not.",
    ),
    Endpoint(
        "GET",
        _ALL,
        list_all,
        "List the access tokens that are not revoked",
        Who.OWNER,
        AccessTokens,
        query=TokenQuery,
    ),
    Endpoint(
        "DELETE",
        _ALL,
        revoke_all,
        "Revoke every access token",
        Who.OWNER,
        status=204,
        proof=Proof.FRESH,
    ),
    Endpoint(
        "GET",
        _ONE,
        show,
        "Show an access token",
        Who.OWNER,
        AccessToken,
        problems=(Code.NOT_FOUND,),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        revoke,
        "Revoke an access token",
        Who.OWNER,
        status=204,
        proof=Proof.FRESH,
        problems=(Code.NOT_FOUND,),
        description="Once this has answered, no login with the token succeeds, on any host.",
    ),
)
