"""What a monitoring system reads. Who logged in how comes from the audit, where every door writes.

The audit's events are counted as they come, those of the last seconds at the next reading: by
then every transaction that could still commit one has ended.
"""

import platform
import threading
from datetime import datetime, timedelta
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from store.audit import Event
from store.audit_log import Tally
from store.clock import from_milliseconds
from store.database import SCHEMA_VERSION
from store.decisions import Protocol, Reason
from store.errors import StoreError
from store.opening import Store
from web_admin.errors import BrokerUnavailableError

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SETTLED_AFTER = timedelta(seconds=10)
_FACTORS = {
    Reason.CODE_ACCEPTED: "totp",
    Reason.CODE_WRONG: "totp",
    Reason.CODE_WRONG_AGAIN: "totp",
    Reason.CODE_REPLAYED: "totp",
    Reason.CODE_MALFORMED: "totp",
    Reason.CODE_MISSING: "totp",
    Reason.CODES_LOCKED: "totp",
    Reason.RECOVERY_CODE_ACCEPTED: "recovery_code",
    Reason.TOKEN_ACCEPTED: "token",
    Reason.TOKEN_UNKNOWN: "token",
    Reason.TOKEN_REVOKED: "token",
    Reason.TOKEN_EXPIRED: "token",
    Reason.TOKEN_OUT_OF_SCOPE: "token",
    Reason.TOKEN_FROM_OTHER_NETWORK: "token",
    Reason.PASSWORD_REFUSED: "password",
    Reason.MFA_NOT_ADOPTED: "password",
    Reason.GRACE: "password",
}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts since this process started."""

    def __init__(self, store: Store) -> None:
        """Count from now on."""
        self._store = store
        self._lock = threading.Lock()
        self._counted_until = self._settled()
        self._registry = CollectorRegistry()
        self._logins = Counter(
            "sftp_mfa_logins",
            "Attempts to log in that were decided, through every door",
            ["door", "factor", "outcome", "reason"],
            registry=self._registry,
        )
        self._events = Counter(
            "sftp_mfa_audit_events",
            "Events in the audit, such as codes_locked",
            ["event", "door"],
            registry=self._registry,
        )
        self._errors = Counter(
            "sftp_mfa_unavailable",
            "Requests refused because the store or the password broker could not be used",
            ["part"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "sftp_mfa_http_request_duration_seconds",
            "How long requests took, by endpoint and status",
            ["endpoint", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        # Zero from the start, or the first one would be no increase.
        for part in ("store", "broker"):
            self._errors.labels(part)
        for door in Protocol:
            self._events.labels(Event.CODES_LOCKED, door)
        ProcessCollector(registry=self._registry)
        build = Info("sftp_mfa_build", "What runs here", registry=self._registry)
        build.info(
            {
                "version": version("sftp-mfa"),
                "schema": SCHEMA_VERSION,
                "python": platform.python_version(),
            }
        )

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._durations.labels(endpoint, status).observe(seconds)

    def count_unavailable(self, error: StoreError | BrokerUnavailableError) -> None:
        """Count a request that was refused since a part could not be used."""
        self._errors.labels("store" if isinstance(error, StoreError) else "broker").inc()

    def write(self) -> bytes:
        """Give the counts in Prometheus' text form."""
        with self._lock:
            until = self._settled()
            if until > self._counted_until:
                for tally in self._store.audit_log.tally(self._counted_until, until):
                    self._add(tally)
                self._counted_until = until
            return generate_latest(self._registry)

    def _add(self, tally: Tally) -> None:
        if tally.event not in {Event.LOGIN_GRANTED, Event.LOGIN_DENIED}:
            self._events.labels(tally.event, tally.protocol).inc(tally.count)
            return
        outcome = "granted" if tally.event == Event.LOGIN_GRANTED else "denied"
        reason = tally.reason or ""
        factor = _FACTORS.get(Reason(reason), "none") if reason in set(Reason) else "none"
        self._logins.labels(tally.protocol, factor, outcome, reason).inc(tally.count)

    def _settled(self) -> datetime:
        return from_milliseconds(self._store.units.clock()) - _SETTLED_AFTER
