"""Turns a page into HTML. Templates escape whatever they show, unless they say `!`."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import bottle

from web_admin.routes import Page
from web_admin.visit import Visit
from web_admin.words import catalogues

_FOLDER = Path(__file__).parent
_TEMPLATES = str(_FOLDER / "templates")
STATIC = _FOLDER / "static"


def render(page: Page, visit: Visit) -> str:
    """Give the HTML of a page."""
    words = visit.words
    common = {
        "visit": visit,
        "session": visit.session,
        "t": words.say,
        "n": words.count,
        "has": words.has,
        "time": words.time,
        "iso": lambda value: value.isoformat(timespec="seconds"),
        "ago": lambda value: words.ago((datetime.now(UTC) - value).total_seconds()),
        "span": words.span,
        "asset": asset,
        "languages": {key: one.locale.display_name for key, one in catalogues().items()},
    }
    return str(_template(page.template).render(common | page.values))


@cache
def _template(name: str) -> Any:
    return bottle.SimpleTemplate(name=f"{name}.tpl", lookup=[_TEMPLATES])


@cache
def asset(name: str) -> str:
    """Give the address of a file of ours, which changes with the file."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?{digest[:12]}"
