"""Who starts services here: systemd, or nobody that this program knows (a container, a chroot)."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from scripts.host import sshd
from scripts.host.errors import HostError
from scripts.host.programs import attempt, run

_SYSTEMD = Path("/run/systemd/system")
"""sd_booted(3)."""
_USERS = Path("/run/systemd/users")
"""What logind keeps of each user who is logged in, by number."""
_UNITS_OF_SSHD = ("ssh", "sshd")
"""Debian's and Ubuntu's name comes first; elsewhere it is sshd."""
_PATIENCE = 10.0
_PAUSE = 0.05


class ServiceManager(Protocol):
    """What the installation asks of it."""

    name: str

    def starts(self) -> bool:
        """Tell whether it can start and enable services."""
        ...

    def is_enabled(self, unit: str) -> bool:
        """Tell whether a unit is started at boot."""
        ...

    def is_active(self, unit: str) -> bool:
        """Tell whether a unit runs."""
        ...

    def start(self, unit: str) -> None:
        """Start a unit, now and at boot."""
        ...

    def stop(self, unit: str) -> None:
        """Stop a unit, for good."""
        ...

    def reload(self, unit: str) -> None:
        """Let a unit read its configuration again."""
        ...

    def reload_sshd(self) -> bool:
        """Let the machine's sshd read its configuration again; False: it does not run."""
        ...

    def forget_user(self, uid: int) -> None:
        """End what is kept for a user, by number, who was logged in."""
        ...


class Systemd:
    """systemd."""

    name = "systemd"

    def starts(self) -> bool:
        """Say yes."""
        return True

    def is_enabled(self, unit: str) -> bool:
        """Ask it."""
        return attempt(["systemctl", "is-enabled", "--quiet", unit]).returncode == 0

    def is_active(self, unit: str) -> bool:
        """Ask it."""
        return attempt(["systemctl", "is-active", "--quiet", unit]).returncode == 0

    def start(self, unit: str) -> None:
        """Start and enable it."""
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "enable", "--now", unit])

    def stop(self, unit: str) -> None:
        """Stop and disable it; one that is gone needs neither."""
        attempt(["systemctl", "disable", "--now", unit])

    def reload(self, unit: str) -> None:
        """Reload it."""
        run(["systemctl", "reload", unit])

    def reload_sshd(self) -> bool:
        """Reload it; one that waits for its first connection (ssh.socket) reads it then."""
        for name in _UNITS_OF_SSHD:
            socket_activated = self.is_active(f"{name}.socket")
            if self.is_active(f"{name}.service"):
                if socket_activated:
                    # The sockets are systemd's, and open sessions go on: KillMode=process.
                    run(["systemctl", "restart", f"{name}.service"])
                else:
                    _reloaded(partial(self.reload, f"{name}.service"))
                return True
            if socket_activated:
                return True
        return Bare().reload_sshd()

    def forget_user(self, uid: int) -> None:
        """End the user's manager, which lingers for a while.

        Only where there is one: at boot logind, which waits for others, must not be waited for.
        """
        if (_USERS / str(uid)).exists():
            attempt(["loginctl", "terminate-user", str(uid)])


class Bare:
    """No service manager."""

    name = "none"

    def starts(self) -> bool:
        """Say no."""
        return False

    def is_enabled(self, unit: str) -> bool:
        """Nothing is."""
        del unit
        return False

    def is_active(self, unit: str) -> bool:
        """Nobody knows."""
        del unit
        return False

    def start(self, unit: str) -> None:
        """Refuse."""
        message = f"there is no systemd here that could start {unit}"
        raise HostError(message)

    def stop(self, unit: str) -> None:
        """Nothing was started."""

    def reload(self, unit: str) -> None:
        """Refuse."""
        message = f"there is no systemd here that could reload {unit}"
        raise HostError(message)

    def reload_sshd(self) -> bool:
        """Send it the signal by its process id."""
        running = sshd.machines_own()
        if running is None:
            return False
        _reloaded(lambda: os.kill(running.pid, signal.SIGHUP))
        return True

    def forget_user(self, uid: int) -> None:
        """Nothing is kept."""


def service_manager() -> ServiceManager:
    """Find out who starts services here."""
    return Systemd() if _SYSTEMD.is_dir() else Bare()


def _reloaded(reload: Callable[[], object]) -> None:
    """Reload the machine's sshd, and wait until it listens anew: it does so by itself, later."""
    before = sshd.machines_own()
    reload()
    if before is None:
        return  # it cannot be seen from within a unit with disks of its own
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        now = sshd.machines_own()
        if now is not None and now.inodes and (before is None or now.inodes != before.inodes):
            return
        time.sleep(_PAUSE)
    message = f"sshd did not come back within {_PATIENCE:.0f} s after it was told to reload"
    raise HostError(message)
