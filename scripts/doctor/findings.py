"""What is found is a value: where it stands, how bad it is, and what to do."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    INFO = "info"
    """As designed; an operator should know it."""
    RISK = "risk"
    """Somebody may get in without a second factor, or will not get in one day."""
    BROKEN = "broken"
    """Somebody who should get in does not, or nothing is asked."""


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    id: str
    """Stays the same in all versions."""
    severity: Severity
    text: str
    remedy: str = ""
    is_accepted: bool = False
    """The operator said that it is meant to be so."""


_ORDER = list(Severity)


def worst(findings: Iterable[Finding]) -> Severity:
    """Tell how the machine stands; what was accepted does not count."""
    found = [finding.severity for finding in findings if not finding.is_accepted]
    return max(found, key=_ORDER.index, default=Severity.OK)


def ok(name: str, text: str) -> Finding:
    """Say that something is right."""
    return Finding(name, Severity.OK, text)


def info(name: str, text: str, remedy: str = "") -> Finding:
    """Say something that an operator should know."""
    return Finding(name, Severity.INFO, text, remedy)


def risk(name: str, text: str, remedy: str) -> Finding:
    """Say that something is a risk."""
    return Finding(name, Severity.RISK, text, remedy)


def broken(name: str, text: str, remedy: str) -> Finding:
    """Say that something does not work."""
    return Finding(name, Severity.BROKEN, text, remedy)
