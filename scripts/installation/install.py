"""`sftp-mfa install`: from a machine as it was to one that asks for codes, or back again."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.host import sshd
from scripts.host.errors import HostError
from scripts.host.programs import run
from scripts.host.service_manager import ServiceManager, service_manager
from scripts.installation import (
    accounts,
    changes,
    checks,
    codes,
    files,
    guardian,
    layout,
    proof,
    recovery,
    state,
)
from scripts.installation.changes import Change
from scripts.installation.errors import RefusedError, UndoneError
from scripts.installation.state import State
from scripts.installation.subjects import MachinesSshd, OwnSshd
from store.database import sqlite_path
from store.settings import Settings, load

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator asked for."""

    config: Path
    port: int | None = None
    """Of an sshd of our own."""
    opens_passwords: bool = False
    overwrites: bool = False
    """Files that were changed since the last installation, too."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done."""

    changes: list[Change]
    kept: list[Change]
    """Files that were changed since the last installation, and stay as they are."""
    warnings: list[str]
    obstacles: list[str]
    settings: sshd.Settings
    before: State | None


def plan(wishes: Wishes) -> Plan:
    """Look at the machine; nothing is changed."""
    before = state.load()
    if before is not None and before.port != wishes.port:
        have = "the machine's sshd" if before.port is None else f"an sshd on port {before.port}"
        message = f"it is installed for {have} already: run `sftp-mfa uninstall` first"
        raise RefusedError(message)
    objection = sshd.trouble()
    if objection is not None:
        message = f"sshd does not accept its own configuration as it is: {objection}"
        raise RefusedError(message)
    settings = sshd.settings()
    version = sshd.version()
    found = [*checks.of_everything()]
    if wishes.port is None:
        found += checks.of_machine(settings, opens_passwords=wishes.opens_passwords)
        wanted = changes.for_machine(version, settings)
    else:
        found += checks.of_port(wishes.port, is_ours=before is not None)
        wanted = changes.for_own_sshd(version, settings, wishes.port)
    missing = [change for change in wanted if not change.is_there()]
    kept = [] if wishes.overwrites else [one for one in missing if _was_changed(one, before)]
    return Plan(
        changes=[change for change in missing if change not in kept],
        kept=kept,
        warnings=[obstacle.text for obstacle in found if not obstacle.stops],
        obstacles=[obstacle.text for obstacle in found if obstacle.stops],
        settings=settings,
        before=before,
    )


def prepare(config: Path, say: Say) -> Settings:
    """Make configuration, key file and store where they are missing; nobody asks them yet."""
    if not config.exists():
        config.parent.mkdir(mode=0o755, exist_ok=True)
        state.write_whole(config, layout.EXAMPLE.read_bytes(), 0o644)
        say(f"made {config} with the defaults")
    settings = load(config)
    program = Path(sys.executable).with_name("sftp-mfa")
    for line in run([program, "upgrade-store", "--config", config]).splitlines():
        say(line)
    return settings


def install(wishes: Wishes, planned: Plan, say: Say) -> None:
    """Make the changes and prove them; UndoneError if they did not stand the proof."""
    settings = prepare(wishes.config, say)
    changing = _record(wishes, planned, settings)
    with guardian.watching():
        state.begin(changing)
        try:
            _change_and_prove(wishes, planned, settings, changing, say)
        except BaseException as error:
            for line in recovery.recover():
                with suppress(OSError):  # nobody may be left to read it
                    say(f"undone: {line}")
            if not isinstance(error, Exception):
                raise
            message = f"{_told(error)}; everything was put back"
            raise UndoneError(message) from error
        files.settle(changing.paths)


def _record(wishes: Wishes, planned: Plan, settings: Settings) -> State:
    """Copy the files that are about to change, and write down what is about to be done."""
    before = planned.before
    paths = [str(change.path) for change in planned.changes]
    copies = files.back_up(change.path for change in planned.changes)
    digests = {str(one.path): files.wanted_digest(one) for one in planned.changes}
    manager = service_manager()
    units = [layout.HELPER_UNIT] + ([layout.OWN_SSHD_UNIT] if wishes.port is not None else [])
    if sqlite_path(settings.store.url) is not None:
        units.append(layout.AUDIT_UNIT)  # of hosts that share a store one is enough
    new_units = [unit for unit in units if manager.starts() and not manager.is_enabled(unit)]
    return State(
        config=str(wishes.config.absolute()),
        paths=paths,
        existed=[path for path in paths if Path(path).exists()],
        originals={**copies, **(before.originals if before else {})},
        written={**(before.written if before else {}), **digests},
        port=wishes.port,
        units=sorted({*(before.units if before else []), *new_units}),
        new_units=new_units,
    )


def _change_and_prove(
    wishes: Wishes, planned: Plan, settings: Settings, changing: State, say: Say
) -> None:
    manager = service_manager()
    _start_helper(manager, settings, say)
    passwords = accounts.make(manager)
    subject = OwnSshd(wishes.port) if wishes.port is not None else MachinesSshd(planned.settings)
    let_in = subject.before(passwords, say)
    files.stage(planned.changes)
    files.exchange(planned.changes, say)
    state.begin(msgspec.structs.replace(changing, has_factor=True))
    given = codes.begin(wishes.config, settings)
    with subject.changed(manager, say) as target:
        bench = proof.Bench(passwords, target)
        for line in bench.after(given, let_in, password_method=subject.takes_password_method()):
            say(f"proved: {line}")
    codes.end(wishes.config, settings)
    accounts.remove(manager)
    if layout.AUDIT_UNIT in changing.new_units:
        manager.start(layout.AUDIT_UNIT)
        say(f"started {layout.AUDIT_UNIT}")
    state.commit()


def _start_helper(manager: ServiceManager, settings: Settings, say: Say) -> None:
    if manager.starts():
        manager.start(layout.HELPER_UNIT)
        say(f"started {layout.HELPER_UNIT}")
    if checks.helper_answers(settings):
        return
    how = (
        f"see `journalctl -u {layout.HELPER_UNIT}`"
        if manager.starts()
        else "there is no systemd here to start it: run `sftp-mfa serve-pam` under what starts "
        "services here, and then this again"
    )
    message = f"the helper does not answer on {settings.pam.socket}: {how}"
    raise HostError(message)


def _was_changed(change: Change, before: State | None) -> bool:
    """Tell whether a file of this name is somebody else's work: not what we have written.

    Of a file that is edited only our lines are exchanged.
    """
    if change.is_edited or files.digest(change.path) is None:
        return False
    written = before.written.get(str(change.path)) if before is not None else None
    return files.digest(change.path) != written


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
