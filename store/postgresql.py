"""Connections to PostgreSQL that give up a server which neither answers nor hangs up.

The server's own timeouts do not end a wait for a server that is frozen or cut off, nor for a
synchronous standby that is away: only the client can.
"""

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

from store.errors import StoreUnavailableError
from store.name_resolution import with_addresses


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which no round trip takes longer than its patience."""

    patience = 4.0
    """Seconds; set by who connects."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        """Wait for the server, but not for ever: then the connection is closed."""
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, gen: PQGen[RV]) -> PQGen[RV]:
        """Pass on what psycopg's generator wants; psycopg comes back every 0.1 s by itself."""
        deadline = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    message = f"connection given up: no answer in {self.patience:g} s"
                    raise psycopg.OperationalError(message)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result


def connect(options: Mapping[str, Any], wait: float) -> BoundedConnection:
    """Connect to a database; StoreUnavailableError for one that could not keep every name."""
    connection = BoundedConnection.connect(**with_addresses(options, wait))
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        message = (
            f"the database keeps texts in {encoding}, and the store needs UTF8: "
            "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
        raise StoreUnavailableError(message)
    return connection
