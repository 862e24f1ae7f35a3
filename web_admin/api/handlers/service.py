"""The service about itself: health, metrics, documentation."""

from web_admin.api import docs
from web_admin.api.call import Call
from web_admin.api.endpoint import Endpoint, File, Reply, Who
from web_admin.api.models import Health
from web_admin.api.problems import Code
from web_admin.metrics import MEDIA_TYPE


def health(call: Call) -> Reply:
    """Read from the store, without which nothing can be decided."""
    call.store.authentication.factors_of("")
    return Reply(Health("ok"))


def metrics(call: Call) -> File:
    """Give the metrics."""
    return File(call.site.metrics.write(), MEDIA_TYPE)


def openapi(call: Call) -> File:
    """Give the documentation for programs."""
    return File(call.document, "application/json")


def page(_call: Call) -> File:
    """Give the documentation for people."""
    return docs.page()


def asset(_call: Call, name: str) -> File:
    """Give a file that the documentation page needs."""
    return docs.asset(name)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/health",
        health,
        "Tell whether the service can decide",
        Who.ANYBODY,
        Health,
        description="503 while the store cannot be used: everybody is refused then.",
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        "Give metrics in Prometheus' text form",
        Who.METRICS,
        "text/plain",
        description="For administrators, unless the configuration opens them (web.public_metrics). "
        "Logins and events are those of the whole store, through every door and host.",
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        openapi,
        "Give this documentation for programs",
        Who.ANYBODY,
        "application/json",
    ),
    Endpoint("GET", "/docs", page, "Give this documentation for people", Who.ANYBODY, "text/html"),
    Endpoint(
        "GET",
        "/docs/assets/{name}",
        asset,
        "Give a file of the documentation page",
        Who.ANYBODY,
        "text/css",
        problems=(Code.NOT_FOUND,),
    ),
)
