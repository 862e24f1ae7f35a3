"""Waiting for something that happens elsewhere."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(attempt: Callable[[], T | None], what: str, timeout: float = 10) -> T:
    """Return the first true result, or say what did not happen in time."""
    deadline = time.monotonic() + timeout
    while not (result := attempt()):
        if time.monotonic() > deadline:
            message = f"not within {timeout} s: {what}"
            raise TimeoutError(message)
        time.sleep(0.01)
    return result
