"""The whole examination, in an order that reads well."""

from collections.abc import Iterator
from pathlib import Path

from scripts.doctor import machine, methods, parts, stack
from scripts.doctor.findings import Finding, broken
from scripts.host import sshd, sshd_config
from scripts.host.errors import HostError
from scripts.installation import layout, state


def examine(config: Path) -> Iterator[Finding]:
    """Look at everything."""
    settings, found = parts.settings_of(config)
    yield from found
    if settings is not None:
        yield from parts.look(config, settings)
    try:
        yield from _machine()
    except HostError as error:
        yield broken("machine", str(error), "mend it, and run this again")


def _machine() -> Iterator[Finding]:
    installed = state.load()
    yield from machine.look_at_files(installed)
    is_own = installed is not None and installed.port is not None
    own = layout.OWN_SSHD_CONFIG if is_own else sshd_config.MAIN
    service = layout.PAM_SERVICE if is_own else "sshd"
    asked = service
    if sshd.trouble(own) is None:
        present = sshd.settings(own)
        asked = sshd.pam_service(present, service)
        yield from machine.look_at_break_glass(present)
    yield from stack.look(asked)
    yield from methods.look(own, service)
    yield from machine.look_at_sshds(own)
    yield from stack.look_at_others(asked)
