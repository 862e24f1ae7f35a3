"""What Schemathesis loads: a new session for each call, names that exist, passwords that are right.

A refused password waits for seconds, so what is shaped like a login logs in.
"""

import os
from pathlib import Path
from typing import Any

import schemathesis

from store.decisions import Attempt, Protocol
from store.opening import open_store
from store.sessions import Stage
from store.settings import load

_STORE = open_store(load(Path(os.environ["SFTP_MFA_CONFIG"])))
_ACCOUNT = os.environ["SFTP_MFA_TEST_ACCOUNT"]
_PASSWORD = os.environ["SFTP_MFA_TEST_PASSWORD"]
_LONGEST = {"account": 256, "password": 1024}


@schemathesis.auth(refresh_interval=None)
class NewSession:
    """Logs in for each call, since some calls end the session."""

    def get(self, _case: Any, _context: Any) -> str:
        """Begin a session."""
        attempt = Attempt(_ACCOUNT, Protocol.API, "127.0.0.1")
        return _STORE.sessions.begin(attempt, Stage.FULL, "schemathesis")[0].text()

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Send its secret."""
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_path_parameters(_context: Any, parameters: Any) -> Any:
    """Name oneself now and then, so that more than 403 and 404 is seen."""
    if parameters and isinstance(parameters.get("id"), str) and len(parameters["id"]) % 3:
        parameters["id"] = "me"
    return parameters


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Turn what is shaped like a login into one."""
    if not isinstance(body, dict) or set(body) != set(_LONGEST):
        return body
    for name, longest in _LONGEST.items():
        if not isinstance(body[name], str) or not 0 < len(body[name]) <= longest:
            return body
    return {"account": _ACCOUNT, "password": _PASSWORD}
