"""Sessions on the pages and here: listed, ended."""

from msgspec import UNSET

from store import sessions
from web_admin.api.call import Call
from web_admin.api.endpoint import Endpoint, Reply, Who
from web_admin.api.models import Session, Sessions
from web_admin.api.paging import page
from web_admin.api.problems import Code
from web_admin.api.queries import SessionQuery

_ALL = "/users/{id}/sessions"


def list_all(call: Call, wanted: SessionQuery, account: str) -> Reply:
    """List the sessions that are alive."""
    found, cursor = page(
        [
            session
            for session in call.store.sessions.list(account)
            if wanted.protocol in {UNSET, session.protocol}
        ],
        lambda session: (session.created_at, session.id),
        wanted.limit,
        wanted.cursor,
    )
    return Reply(Sessions([_shown(call, session) for session in found], cursor))


def end(call: Call, account: str, session_id: str) -> Reply:
    """End one session."""
    call.store.sessions.end(account, session_id, call.actor)
    return Reply(status=204)


def end_others(call: Call, account: str) -> Reply:
    """End every session but the one that asks."""
    call.store.sessions.end_others(account, call.actor)
    return Reply(status=204)


def _shown(call: Call, session: sessions.Session) -> Session:
    own = call.caller.session
    return Session(
        session.id,
        session.protocol.value,  # type: ignore[arg-type]
        session.stage.value,
        session.created_at,
        session.seen_at,
        session.confirmed,
        session.address,
        session.agent,
        own is not None and own.id == session.id,
    )


ENDPOINTS = (
    Endpoint(
        "GET", _ALL, list_all, "List the living sessions", Who.OWNER, Sessions, query=SessionQuery
    ),
    Endpoint(
        "DELETE", _ALL, end_others, "End every session but the one that asks", Who.OWNER, status=204
    ),
    Endpoint(
        "DELETE",
        _ALL + "/{sessionId}",
        end,
        "End a session",
        Who.OWNER,
        status=204,
        problems=(Code.NOT_FOUND,),
    ),
)
