"""containers/README.md names what operators meet: log lines, metrics, alerts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pam_module.counts import Counts, Ending
from pam_module.metrics_file import MetricsFile

ROOT = Path(__file__).parent.parent
README = (ROOT / "containers" / "README.md").read_text()
SERVICES = ("pam_module", "store", "web_admin")
_LEVELS = {"info", "warning", "error", "exception", "critical"}


def logged() -> Iterator[str]:
    """Yield the longest fixed part of each line that a service or the module can log."""
    for folder in SERVICES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in _LEVELS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "_log"
                    and isinstance(node.args[0], ast.Constant)
                ):
                    yield fixed(str(node.args[0].value))
    source = (ROOT / "pam_module" / "pam_sftp_mfa.c").read_text()
    for call in re.findall(r"pam_syslog\((.*?)\);", source, re.DOTALL):
        yield fixed("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', call)))


def fixed(template: str) -> str:
    """Return the longest part of a template that is the same in every line."""
    parts = re.split(r"%(?:\.\d+)?(?:02)?[a-z]+", template)
    return max((part.strip(" :;()") for part in parts), key=len)


# The audit's own line is the store's: tests/test_docs.py has its events and reasons.
LINES = sorted(set(logged()) - {"protocol="})


def test_lines_were_found() -> None:
    """The search finds what is there."""
    assert len(LINES) >= 20
    assert "hung up on a peer that is not the service's user" in LINES
    assert "cannot decide: see its log; refusing" in LINES


@pytest.mark.parametrize("line", LINES)
def test_every_log_line_is_explained(line: str) -> None:
    """What an operator can find in a log stands in the table."""
    assert line in README, line


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_is_named(ending: Ending) -> None:
    """The values of the label stand beside the metric."""
    assert f"`{ending}`" in README


def test_every_metric_of_the_helper_is_explained(tmp_path: Path) -> None:
    """Each family that the file has stands in the table."""
    for family in MetricsFile(tmp_path / "pam.prom", Counts()).collect():
        assert re.search(rf"`{family.name}(_total|_info)?`", README), family.name


def test_every_alert_says_what_to_do() -> None:
    """Each alert stands in the table of alerts."""
    alerts = (ROOT / "containers" / "monitoring" / "alerts.yml").read_text()
    names = re.findall(r"- alert: (\w+)", alerts)
    assert names
    for name in names:
        assert f"`{name}`" in README, name
