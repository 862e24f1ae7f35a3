"""What a monitoring system reads of this host's helper: a file in Prometheus' text form.

A file, for node_exporter's textfile collector, since whatever listens can be spoken to. No account
and no address is in it, and no label has more values than are written here.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pam_module.counts import BUCKETS, Counts, Ending
from store.database import SCHEMA_VERSION

_log = logging.getLogger("sftp_mfa.pam")

INTERVAL_SECONDS = 10.0
"""How old the file may become."""


class MetricsFile(Collector):
    """Writes the counts to a file that everybody may read."""

    def __init__(self, path: Path, counts: Counts) -> None:
        """Write to that path; its folder is made where it is missing."""
        self._path = path
        self._counts = counts
        self._due = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(namespace="sftp_mfa_pam", registry=self._registry)

    def write_when_due(self) -> None:
        """Put a new file in the old one's place once it is too old; never fails."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + INTERVAL_SECONDS
        try:
            self._write()
        except OSError as error:
            _log.error("pam.metrics_file: %s: %s", error.filename, error.strerror)

    def _write(self) -> None:
        if not self._path.parent.exists():
            self._path.parent.mkdir()
            self._path.parent.chmod(0o755)  # the service's umask would keep the reader out
        fresh = self._path.with_name(f".{self._path.name}.new")
        fresh.write_bytes(generate_latest(self._registry))
        fresh.chmod(0o644)
        fresh.replace(self._path)

    def remove(self) -> None:
        """Take the file away, so that nobody reads it as being of now."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def collect(self) -> Iterator[Metric]:
        """Give every metric, as prometheus_client asks for it."""
        counts = self._counts
        yield InfoMetricFamily(
            "sftp_mfa_pam_build",
            "What runs here",
            {"version": version("sftp-mfa"), "schema": SCHEMA_VERSION},
        )
        ended = CounterMetricFamily(
            "sftp_mfa_pam_conversations",
            "Conversations with sshd that ended, by line of the PAM stack and ending",
            labels=["line", "ending"],
        )
        for line in ("auth", "account"):
            for ending in Ending:  # zeros too: a rate needs them
                ended.add_metric([line, ending], counts.endings[line, ending])
        yield ended
        yield CounterMetricFamily(
            "sftp_mfa_pam_connections_turned_away",
            "Connections of a peer that is not root, or above pam.max_conversations",
            counts.turned_away,
        )
        yield GaugeMetricFamily(
            "sftp_mfa_pam_conversations_open", "Conversations under way", counts.open
        )
        yield self._steps()
        yield GaugeMetricFamily(
            "sftp_mfa_pam_written_timestamp_seconds", "When this file was written", time.time()
        )

    def _steps(self) -> Metric:
        buckets, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts.steps, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return HistogramMetricFamily(
            "sftp_mfa_pam_step_duration_seconds",
            "How long the answer to a message of sshd took, the store's time in it",
            buckets=buckets,
            sum_value=self._counts.step_seconds,
        )
