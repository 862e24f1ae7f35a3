"""Where one is signed in, and ending that."""

from web_admin.routes import Answer, Need, Page, Redirect, Route
from web_admin.visit import Visit


def show(visit: Visit) -> Answer:
    """List the account's sessions."""
    return Page("sessions", {"sessions": visit.site.store.sessions.list(visit.me.account)})


def end(visit: Visit, session_id: str) -> Answer:
    """End one session."""
    if session_id == visit.me.id:
        visit.end_session()
        return Redirect("/sign-in?done=signed_out")
    visit.site.store.sessions.end(visit.me.account, session_id, visit.actor)
    return Redirect("/sessions?done=session_ended")


def end_others(visit: Visit) -> Answer:
    """End every session but this one."""
    visit.site.store.sessions.end_others(visit.me.account, visit.actor)
    return Redirect("/sessions?done=sessions_ended")


ROUTES = (
    Route("GET", "/sessions", Need.FULL, show),
    Route("POST", "/sessions/end-others", Need.FULL, end_others),
    Route("POST", "/sessions/<session_id>/end", Need.FULL, end),
)
