"""Prometheus itself, and node_exporter, read what the bed's services export."""

import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from container_bed import Bed
from harness.processes import Process
from harness.sandbox import free_port
from harness.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

MONITORING = Path(__file__).parent.parent.parent / "containers" / "monitoring"
ALERTS = MONITORING / "alerts.yml"


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels."""
    found: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return found


def queries() -> list[str]:
    """Return each query of the dashboard."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


class Prometheus:
    """A running Prometheus with the shipped configuration, but for the addresses."""

    def __init__(self, bed: Bed, folder: Path, token: str) -> None:
        """Start it, and a node_exporter for the first host."""
        folder.mkdir()
        first = bed.container("sftp1").attrs["State"]["Pid"]
        exporter, self.port = free_port(), free_port()
        (folder / "token").write_text(token)
        (folder / "alerts.yml").write_text(ALERTS.read_text())
        (folder / "prometheus.yml").write_text(_adapted(bed, folder, exporter))
        self._processes = [
            Process(
                [
                    "prometheus-node-exporter",
                    "--collector.disable-defaults",
                    "--collector.textfile",
                    f"--collector.textfile.directory=/proc/{first}/root/run/sftp-mfa/metrics",
                    f"--web.listen-address=127.0.0.1:{exporter}",
                ],
                log=folder / "exporter.log",
            ),
            Process(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                log=folder / "prometheus.log",
            ),
        ]
        self._processes[1].wait_until_ready(self._listens, 30)

    def ask(self, path: str, **given: str) -> Any:
        """Ask its API."""
        query = urllib.parse.urlencode(given)
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def stop(self) -> None:
        """End it."""
        for process in self._processes:
            process.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _adapted(bed: Bed, folder: Path, exporter: int) -> str:
    text = (MONITORING / "prometheus.yml").read_text()
    ports = bed.ports
    for shipped, here in (
        ("15s", "1s"),
        ('"sftp1.example.com:9100", "sftp2.example.com:9100"', f'"127.0.0.1:{exporter}"'),
        ('"web1.example.com:8443"', f'"localhost:{ports["web1"]}"'),
        ('"web2.example.com:8443"', f'"localhost:{ports["web2"]}"'),
        ("sftp-mfa-token", str(folder / "token")),
        ("scheme: https", f"scheme: https\n    tls_config: {{ca_file: {bed.secrets / 'web.pem'}}}"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    return text


@pytest.fixture
def prometheus(bed: Bed, tmp_path: Path) -> Iterator[Prometheus]:
    """Run Prometheus beside the bed."""
    administrator = bed.add_person("sftp-mfa-admin")
    session = bed.sign_in("web1", administrator)
    given = {"name": "prometheus", "scopes": ["api"]}
    made = bed.call("web1", "POST", "/users/me/auth-factors/access-tokens", given, session)
    running = Prometheus(bed, tmp_path / "prometheus", made.json["token"])
    yield running
    running.stop()


def test_dashboard_and_alerts_use_what_is_exported(bed: Bed, prometheus: Prometheus) -> None:
    """Every metric that they name is there, and every expression is one for Prometheus."""
    person = bed.add_person()
    assert bed.log_in("sftp1", person.name, person.password).ok
    assert not bed.log_in("sftp1", person.name, "wrong").ok
    groups = prometheus.ask("rules")["groups"]
    rules = [rule["query"] for group in groups for rule in group["rules"]]
    wanted = set(re.findall(r"\b(?:sftp_mfa|process)_[a-z_]+\b", " ".join([*queries(), *rules])))
    assert len(wanted) >= 10, wanted
    assert len(rules) == ALERTS.read_text().count("- alert:")

    def absent() -> set[str]:
        return wanted - set(prometheus.ask("label/__name__/values"))

    until(lambda: not absent(), "all are there", 60)
    for query in queries():
        prometheus.ask("query", query=query)
    targets = prometheus.ask("query", query="up")["result"]
    assert [float(target["value"][1]) for target in targets] == [1, 1, 1]
    until(
        lambda: (
            {
                rule["health"]
                for group in prometheus.ask("rules")["groups"]
                for rule in group["rules"]
            }
            == {"ok"}
        ),
        "all alerts were computed",
        30,
    )
    silent = prometheus.ask("query", query='ALERTS{alertname="SftpMfaHelperSilent"}')["result"]
    assert silent == []
    series = prometheus.ask("series", **{"match[]": '{__name__=~"sftp_mfa.*"}'})
    assert person.name not in json.dumps(series)


def test_the_helpers_file_is_for_who_reads_metrics_only_to_read(bed: Bed) -> None:
    """Promtool finds no fault in it, and nobody else can write to it."""
    text = bed.run_in("sftp1", "cat", "/run/sftp-mfa/metrics/pam.prom")
    shown = bed.run_in("sftp1", "stat", "--format=%a %U", "/run/sftp-mfa/metrics/pam.prom")
    assert shown.strip() == "644 sftp-mfa"
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


_SERIES = """
rule_files: [{alerts}]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
{series}
    alert_rule_test:
{expected}
"""


@pytest.mark.parametrize(
    ("alert", "bad", "good"),
    [
        (
            "SftpMfaHelperSilent",
            ['sftp_mfa_pam_written_timestamp_seconds{instance="a"} 0x240'],
            ['sftp_mfa_pam_written_timestamp_seconds{instance="a"} 0+15x240'],
        ),
        (
            "SftpMfaHelperSilent",
            ['up{job="sftp-mfa-hosts",instance="a"} 1x240'],
            [
                'up{job="sftp-mfa-hosts",instance="a"} 1x240',
                'sftp_mfa_pam_written_timestamp_seconds{instance="a"} 0+15x240',
            ],
        ),
        ("SftpMfaWebDown", ['up{job="sftp-mfa-web"} 0x240'], ['up{job="sftp-mfa-web"} 1x240']),
        (
            "SftpMfaHostRefusesAll",
            ['sftp_mfa_pam_conversations_total{ending="store_unavailable"} 0+1x240'],
            ['sftp_mfa_pam_conversations_total{ending="store_unavailable"} 7x240'],
        ),
        (
            "SftpMfaWebRefusesAll",
            ['sftp_mfa_unavailable_total{part="store"} 0+1x240'],
            ['sftp_mfa_unavailable_total{part="store"} 7x240'],
        ),
        (
            "SftpMfaStoreSlow",
            [
                'sftp_mfa_pam_step_duration_seconds_bucket{le="1.0"} 0+1x240',
                'sftp_mfa_pam_step_duration_seconds_bucket{le="2.5"} 0+2x240',
                'sftp_mfa_pam_step_duration_seconds_bucket{le="+Inf"} 0+2x240',
            ],
            [
                'sftp_mfa_pam_step_duration_seconds_bucket{le="1.0"} 0+2x240',
                'sftp_mfa_pam_step_duration_seconds_bucket{le="2.5"} 0+2x240',
                'sftp_mfa_pam_step_duration_seconds_bucket{le="+Inf"} 0+2x240',
            ],
        ),
        (
            "SftpMfaFault",
            ['sftp_mfa_pam_conversations_total{ending="fault"} 0+1x240'],
            ['sftp_mfa_pam_conversations_total{ending="denied"} 0+1x240'],
        ),
        (
            "SftpMfaTurnedAway",
            ["sftp_mfa_pam_connections_turned_away_total 0+1x240"],
            ["sftp_mfa_pam_connections_turned_away_total 3x240"],
        ),
        (
            "SftpMfaManyLocks",
            ['sftp_mfa_audit_events_total{event="codes_locked",door="ssh"} 0+1x240'],
            ['sftp_mfa_audit_events_total{event="totp_started",door="ssh"} 0+1x240'],
        ),
        (
            "SftpMfaGuessing",
            ['sftp_mfa_logins_total{outcome="denied",door="ssh"} 0+30x240'],
            ['sftp_mfa_logins_total{outcome="granted",door="ssh"} 0+30x240'],
        ),
        (
            "SftpMfaDescriptors",
            ["sftp_mfa_pam_process_open_fds 900x240", "sftp_mfa_pam_process_max_fds 1024x240"],
            ["sftp_mfa_pam_process_open_fds 90x240", "sftp_mfa_pam_process_max_fds 1024x240"],
        ),
        (
            "SftpMfaVersionsDiffer",
            [
                'sftp_mfa_pam_build_info{version="1"} 1x480',
                'sftp_mfa_pam_build_info{version="2"} 1x480',
            ],
            [
                'sftp_mfa_pam_build_info{version="1",instance="a"} 1x480',
                'sftp_mfa_pam_build_info{version="1",instance="b"} 1x480',
            ],
        ),
    ],
)
def test_each_alert_fires_and_only_then(
    tmp_path: Path, alert: str, bad: list[str], good: list[str]
) -> None:
    """By Prometheus' own tool, with series made for it: bad ones, then good ones."""
    assert _fires(tmp_path, alert, bad)
    assert not _fires(tmp_path, alert, good)


def _fires(folder: Path, alert: str, series: list[str]) -> bool:
    """Tell whether an alert fires after a while; promtool shows what it got."""
    lines = []
    for line in series:
        name, _, values = line.partition(" ")
        lines.append(f"      - {{ series: '{name}', values: '{values}' }}")
    late = "1h55m" if "480" in series[0] else "55m"
    expected = f"      - {{ eval_time: {late}, alertname: {alert}, exp_alerts: [] }}"
    file = folder / "test.yml"
    text = _SERIES.format(alerts=ALERTS, series="\n".join(lines), expected=expected)
    file.write_text(text)
    tested = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )
    said = tested.stdout + tested.stderr
    assert "exp:[" in said or "SUCCESS" in said, said
    return tested.returncode != 0
