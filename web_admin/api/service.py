"""What is made once for the whole API."""

from dataclasses import dataclass

from web_admin.api.metrics import Metrics


@dataclass(frozen=True)
class Service:
    """What the API tells about itself."""

    document: bytes
    metrics: Metrics
