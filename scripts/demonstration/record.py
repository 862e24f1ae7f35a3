"""What the quickstart remembers of a start: what it must clear away, and what it must show again.

The accounts that it made need no record: their home folder, inside its own, tells them apart.
"""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from scripts.demonstration.layout import RECORD
from scripts.demonstration.processes import Process, present_boot


@dataclass(frozen=True, slots=True)
class Login:
    """One of the logins that the start made by itself."""

    what: str
    outcome: str
    seconds: float


@dataclass(slots=True)
class Record:
    """One start."""

    port: int
    web_port: int
    guests: list[str]
    boot: str = field(default_factory=present_boot)
    """Processes of before the machine's last start are gone, whatever has their numbers now."""
    keeper: Process | None = None
    """The program in the foreground that everything ends with; None when detached."""
    processes: dict[str, Process] = field(default_factory=dict)
    made_privilege_separation: bool = False
    password: str = field(default="", repr=False)
    admin_password: str = field(default="", repr=False)
    secret: str | None = field(default=None, repr=False)
    """Of the authenticator; None if the account was left without factors, for a program."""
    uri: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    logins: list[Login] = field(default_factory=list)
    is_complete: bool = False

    def save(self) -> None:
        """Write it in one piece, for root's eyes only."""
        new = RECORD.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file)
        new.replace(RECORD)

    def alive(self) -> list[Process]:
        """List the services that run."""
        if self.boot != present_boot():
            return []
        return [process for process in self.processes.values() if process.is_alive()]

    def is_running(self) -> bool:
        """Tell whether all of it runs, and who started it still watches over it."""
        watched = self.keeper is None or (self.boot == present_boot() and self.keeper.is_alive())
        return self.is_complete and watched and len(self.alive()) == len(self.processes)


def load() -> Record | None:
    """Read the record of the last start, by whichever version; None if there is none."""
    try:
        kept: dict[str, Any] = json.loads(RECORD.read_text())
    except (FileNotFoundError, ValueError):
        return None
    kept = {field.name: kept[field.name] for field in fields(Record) if field.name in kept}
    kept["keeper"] = Process(**kept["keeper"]) if kept["keeper"] else None
    kept["processes"] = {name: Process(**ids) for name, ids in kept["processes"].items()}
    kept["logins"] = [Login(**login) for login in kept["logins"]]
    return Record(**kept)
