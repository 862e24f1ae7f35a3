"""The command `doctor`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts import privileges
from scripts.command_line import (
    EXIT_BROKEN,
    EXIT_REFUSED,
    config_option,
    guarded,
    json_option,
    print_json,
)

if TYPE_CHECKING:
    from scripts.doctor.findings import Finding


@click.command("doctor")
@click.option(
    "--accept",
    metavar="ID",
    multiple=True,
    help="A finding that is meant to be so; it is shown and does not count. Repeatable.",
)
@json_option
@config_option
@guarded
def doctor_command(accept: tuple[str, ...], as_json: bool, config: Path) -> None:  # noqa: FBT001
    """Say how this machine stands: what is right, what is a risk, what is broken, what to do.

    It looks at sshd (each Match block, too), the PAM stack, the sockets, permissions, key file,
    store, clock, certificate and what became of installed files, and changes nothing. Exit code:
    0 all is well, 1 there is a risk, 3 something is broken.

    \b
    Examples:
      sftp-mfa doctor
      sftp-mfa doctor --json --accept sshd.shell
    """
    # They read what the installation wrote, with the help of large libraries.
    from msgspec.structs import replace  # noqa: PLC0415

    from scripts.doctor.examination import examine  # noqa: PLC0415
    from scripts.doctor.findings import Severity, worst  # noqa: PLC0415

    privileges.require_root()
    findings = [
        replace(finding, is_accepted=True) if finding.id in accept else finding
        for finding in examine(config)
    ]
    status = worst(findings)
    if as_json:
        print_json({"status": status, "findings": [_data(finding) for finding in findings]})
    else:
        _show(findings)
    codes = {Severity.BROKEN: EXIT_BROKEN, Severity.RISK: EXIT_REFUSED}
    sys.exit(codes.get(status, 0))


def _data(finding: "Finding") -> dict[str, object]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "text": finding.text,
        "remedy": finding.remedy,
        "accepted": finding.is_accepted,
    }


def _show(findings: Iterable["Finding"]) -> None:
    for finding in findings:
        word = "accepted" if finding.is_accepted else finding.severity
        click.echo(f"{word:8}  {finding.text}  [{finding.id}]")
        if finding.remedy and not finding.is_accepted:
            click.echo(f"          → {finding.remedy}")
