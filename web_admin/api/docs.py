"""The documentation page: Swagger UI, from the files that the package flask-swagger-ui ships.

Nothing of that package is imported. It is what PyPI has that follows Swagger UI month by month
with the plain files in it; the page itself and its few lines of script are ours, since our policy
forbids scripts within a page.
"""

from importlib.metadata import distribution
from pathlib import Path

from store.errors import NotFoundError
from web_admin.api.endpoint import PREFIX, File

_OWN = Path(__file__).parent / "static"
_PACKAGE = "flask-swagger-ui"
_FOLDER = "flask_swagger_ui/dist"
_KINDS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "docs.js": "text/javascript",
}
# Swagger UI's icons are data: URIs. Everything it fetches is ours.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{PREFIX}/docs/assets/swagger-ui.css">
</head>
<body>
<div id="api" data-document="{PREFIX}/openapi.json"></div>
<script src="{PREFIX}/docs/assets/swagger-ui-bundle.js"></script>
<script src="{PREFIX}/docs/assets/docs.js"></script>
</body>
</html>
"""


def page() -> File:
    """Give the page."""
    return File(_PAGE.encode(), "text/html; charset=UTF-8", _POLICY)


def asset(name: str) -> File:
    """Give one of the page's files; NotFoundError for any other."""
    kind = _KINDS.get(name)
    if kind is None:
        message = f"the documentation has no file {name!r}"
        raise NotFoundError(message)
    own = _OWN / name
    path = own if own.exists() else Path(str(distribution(_PACKAGE).locate_file(_FOLDER))) / name
    return File(path.read_bytes(), f"{kind}; charset=UTF-8", is_static=True)
