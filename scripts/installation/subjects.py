"""The sshd that an installation changes, before and after: the machine's, or one of our own."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scripts.host import sshd, sshd_config
from scripts.host.errors import HostError
from scripts.host.service_manager import ServiceManager
from scripts.installation import layout, proof
from scripts.installation.logins import Ended, Target, host_keys

Say = Callable[[str], None]


class MachinesSshd:
    """The machine's own."""

    def __init__(self, settings: sshd.Settings) -> None:
        """Take what held before the change."""
        self._settings = settings
        self._why_a_copy = self._reason_for_a_copy()

    def before(self, passwords: dict[str, str], say: Say) -> Ended:
        """See how far an account gets before the change."""
        methods = ("passwordauthentication", "kbdinteractiveauthentication")
        if all(sshd.value(self._settings, method) == "no" for method in methods):
            return Ended.IN
        with self._target(self._settings) as target:
            let_in = proof.Bench(passwords, target).before()
        say(f"before the change: no MFA, password: {let_in}")
        return let_in

    @contextmanager
    def changed(self, manager: ServiceManager, say: Say) -> Iterator[Target]:
        """Let it read its new configuration, and say where it listens."""
        objection = sshd.trouble()
        if objection is not None:
            message = f"sshd does not accept the new configuration: {objection}"
            raise HostError(message)
        settings = sshd.settings()
        _require_ours(settings)
        if manager.reload_sshd():
            say("sshd has read its new configuration")
        if self._why_a_copy is not None:
            say(f"proving on a copy of it on loopback: {self._why_a_copy}")
        with self._target(settings) as target:
            yield target

    def takes_password_method(self) -> bool:
        """Tell whether the `password` method can be tried."""
        return sshd.value(sshd.settings(), "passwordauthentication") == "yes"

    @contextmanager
    def _target(self, settings: sshd.Settings) -> Iterator[Target]:
        listener = sshd.machines_own()
        if self._why_a_copy is None and listener is not None:
            yield proof.target_of(listener, settings)
            return
        with proof.copy_of_machines_sshd(settings) as target:
            yield target

    def _reason_for_a_copy(self) -> str | None:
        if sshd.machines_own() is None:
            return "the machine's sshd does not run"
        if proof.selects_users(self._settings):
            return "sshd lets in certain users only (AllowUsers, AllowGroups …), and none of ours"
        return None


class OwnSshd:
    """One of our own on a port of its own."""

    def __init__(self, port: int) -> None:
        """Take its port."""
        self._port = port

    def before(self, passwords: dict[str, str], say: Say) -> Ended:
        """There is none before."""
        del passwords, say
        return Ended.IN

    @contextmanager
    def changed(self, manager: ServiceManager, say: Say) -> Iterator[Target]:
        """Start it, or let it read its configuration again."""
        objection = sshd.trouble(layout.OWN_SSHD_CONFIG)
        if objection is not None:
            message = f"sshd does not accept {layout.OWN_SSHD_CONFIG}: {objection}"
            raise HostError(message)
        keys = host_keys(sshd.settings(layout.OWN_SSHD_CONFIG).get("hostkey", []))
        target = Target("127.0.0.1", self._port, keys)
        argv = [str(layout.OWN_SSHD), "-D", "-f", str(layout.OWN_SSHD_CONFIG)]
        running = next(
            (one for one in sshd.listeners() if one.config == layout.OWN_SSHD_CONFIG), None
        )
        if manager.starts():
            manager.start(layout.OWN_SSHD_UNIT)
            manager.reload(layout.OWN_SSHD_UNIT)
            say(f"started {layout.OWN_SSHD_UNIT}")
            proof.wait_for(self._port)
            yield target
        elif running is not None:
            os.kill(running.pid, signal.SIGHUP)
            proof.wait_for(self._port)
            yield target
        else:
            with proof.running(argv, self._port):
                yield target
            shown = " ".join(argv)
            say(f"it ran for the proof only; there is no systemd here to start it: run `{shown}`")

    def takes_password_method(self) -> bool:
        """Say yes."""
        return True


def _require_ours(settings: sshd.Settings) -> None:
    """Make sure that our drop-in is what holds, and not another file that was read first."""
    wanted = {"usepam": "yes", "kbdinteractiveauthentication": "yes"}
    if sshd.version() >= sshd.NAMES_ITS_PAM_SERVICE:
        wanted["pamservicename"] = layout.PAM_SERVICE
    for keyword, value in wanted.items():
        holds = sshd.value(settings, keyword)
        if holds != value:
            line = sshd_config.first(sshd_config.read(), keyword)
            where = f", set by {line.where}" if line is not None else ""
            message = f"sshd says {keyword} {holds or '-'}{where}, where {value} is needed"
            raise HostError(message)
