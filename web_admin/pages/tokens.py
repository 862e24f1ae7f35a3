"""Access tokens: made and shown once, listed, revoked."""

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from store.access_tokens import AccessToken, Scope
from store.errors import LimitError, NotFoundError, RequestError
from store.names import factor_name
from web_admin.routes import Answer, Need, Page, Redirect, Route
from web_admin.visit import Visit

_USUAL = 90
LIVES = (7, 30, _USUAL, 365, 0)
"""Days that are offered; 0: no end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form says."""

    name: str
    days: int | None
    """0: no end; None: not a number of days."""
    scopes: tuple[Scope, ...]
    networks: str

    def each_network(self) -> tuple[str, ...]:
        """Take the field apart."""
        return tuple(self.networks.replace(",", " ").split())


def show(visit: Visit) -> Answer:
    """List the tokens."""
    tokens = visit.site.store.access_tokens.list(visit.me.account)
    return Page("tokens", {"tokens": tokens, "now": datetime.now(UTC)})


def show_form(visit: Visit) -> Answer:
    """Ask what the token is for."""
    offered = _lives(visit)
    days = _USUAL if _USUAL in offered else offered[-1]
    return _form(visit, Wanted("", days, (Scope.SFTP,), ""), {})


def create(visit: Visit) -> Answer:
    """Make a token and show it, this once."""
    scopes = tuple(scope for scope in Scope if scope.value in visit.texts("scope"))
    days = _number(visit.text("days"))
    wanted = Wanted(visit.text("name"), days, scopes, visit.text("networks"))
    problems = _problems(wanted)
    if problems:
        return _form(visit, wanted, problems, 400)
    try:
        secret, token = visit.site.store.access_tokens.issue(
            visit.me.account,
            wanted.name,
            visit.actor,
            scopes=scopes,
            networks=wanted.each_network(),
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
    except LimitError:
        return _form(visit, wanted, {"form": "limit"}, 400)
    return Page("token_made", {"secret": secret.text(), "token": token, "sftp": _example(visit)})


def ask_revocation(visit: Visit, token_id: str) -> Answer:
    """Ask whether a token is really to end."""
    return Page("revoke_token", {"token": _find(visit, token_id)})


def revoke(visit: Visit, token_id: str) -> Answer:
    """End a token."""
    visit.site.store.access_tokens.revoke(visit.me.account, token_id, visit.actor)
    return Redirect("/tokens?done=token_revoked")


def ask_revocation_of_all(visit: Visit) -> Answer:
    """Ask whether every token is really to end."""
    tokens = visit.site.store.access_tokens.list(visit.me.account)
    return Page("revoke_tokens", {"tokens": tokens})


def revoke_all(visit: Visit) -> Answer:
    """End every token."""
    visit.site.store.access_tokens.revoke_all(visit.me.account, visit.actor)
    return Redirect("/tokens?done=tokens_revoked")


def _form(visit: Visit, given: Wanted, problems: dict[str, str], status: int = 200) -> Page:
    values = {"given": given, "problems": problems, "lives": _lives(visit), "scopes": list(Scope)}
    return Page("new_token", values, status)


def _lives(visit: Visit) -> list[int]:
    longest = visit.site.settings.access_tokens.max_days
    if not longest:
        return list(LIVES)
    shorter = [days for days in LIVES if 0 < days < longest]
    return [*shorter, longest]


def _problems(wanted: Wanted) -> dict[str, str]:
    """Name what the person should mend, by field; the store has the last word."""
    problems = {}
    try:
        factor_name(wanted.name)
    except RequestError:
        problems["name"] = "name"
    if wanted.days is None:
        problems["days"] = "days"
    if not wanted.scopes:
        problems["scope"] = "scope"
    try:
        for network in wanted.each_network():
            ipaddress.ip_network(network, strict=False)
    except ValueError:
        problems["networks"] = "networks"
    return problems


def _number(text: str) -> int | None:
    with suppress(ValueError):
        if 0 <= (days := int(text)) <= 36_500:  # noqa: PLR2004
            return days
    return None


def _find(visit: Visit, token_id: str) -> AccessToken:
    for token in visit.site.store.access_tokens.list(visit.me.account):
        if token.id == token_id:
            return token
    raise NotFoundError(token_id)


def _example(visit: Visit) -> str:
    """Give a command that uploads with `sftp`; it asks for a password, which the token is."""
    settings = visit.site.settings.web
    host = settings.sftp_host or visit.host.rpartition(":")[0] or visit.host
    port = f"-P {settings.sftp_port} " if settings.sftp_port != 22 else ""  # noqa: PLR2004
    return f"sftp {port}{visit.me.account}@{host}"


ROUTES = (
    Route("GET", "/tokens", Need.FULL, show),
    Route("GET", "/tokens/new", Need.CONFIRMED, show_form),
    Route("POST", "/tokens/new", Need.CONFIRMED, create),
    Route("GET", "/tokens/revoke-all", Need.CONFIRMED, ask_revocation_of_all),
    Route("POST", "/tokens/revoke-all", Need.CONFIRMED, revoke_all),
    Route("GET", "/tokens/<token_id>/revoke", Need.CONFIRMED, ask_revocation),
    Route("POST", "/tokens/<token_id>/revoke", Need.CONFIRMED, revoke),
)
