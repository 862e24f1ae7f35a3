"""The switch of language."""

from web_admin.routes import Answer, Need, Redirect, Route
from web_admin.visit import Visit
from web_admin.words import catalogues


def choose(visit: Visit) -> Answer:
    """Remember the choice in this browser, and go to the first page."""
    wanted = visit.text("language")
    if wanted in catalogues():
        visit.set_language(wanted)
    return Redirect("/")


ROUTES = (Route("POST", "/language", Need.NOTHING, choose),)
