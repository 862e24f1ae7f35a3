"""What the helper counts of its conversations, for a monitoring system."""

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds of durations, in seconds."""


class Ending(StrEnum):
    """How a conversation with a relay ended."""

    GRANTED = "granted"
    DENIED = "denied"
    PASSWORD_REFUSED = "password_refused"
    CLIENT_LEFT = "client_left"
    TIMED_OUT = "timed_out"
    STORE_UNAVAILABLE = "store_unavailable"
    PROTOCOL_ERROR = "protocol_error"
    FAULT = "fault"


@dataclass(slots=True)
class Counts:
    """Since this process started; threads count at the same time."""

    endings: Counter[tuple[str, Ending]] = field(default_factory=Counter)
    """By line of the PAM stack (auth, account) and ending."""
    turned_away: int = 0
    """Connections that got no conversation."""
    open: int = 0
    steps: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    step_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def step_took(self, seconds: float) -> None:
        """Count one step of a conversation, from a message that was read to its answer."""
        with self._lock:
            self.steps[bisect_left(BUCKETS, seconds)] += 1
            self.step_seconds += seconds

    def ended(self, line: str, ending: Ending) -> None:
        """Count a conversation that ended."""
        with self._lock:
            self.endings[line, ending] += 1
