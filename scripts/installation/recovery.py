"""Puts back what an installation left half-done; each step may be done twice."""

from collections.abc import Iterator
from pathlib import Path

from scripts.host import sshd
from scripts.host.errors import HostError
from scripts.host.service_manager import ServiceManager, service_manager
from scripts.installation import accounts, codes, files, state
from scripts.privileges import PrivilegeError
from store.settings import SettingsError, load


def recover() -> Iterator[str]:
    """Undo a change that has not come to its end, if there is one; say what was done.

    HostError where something could not be undone: the next call tries again.
    """
    left = state.unfinished()
    if left is None:
        installed = state.load()
        if installed is not None:
            files.settle(installed.paths)
        return
    manager = service_manager()
    files.put_back(left.paths, left.existed)
    yield "all files are as they were"
    if left.port is None:
        yield from _reload(manager)
    for unit in left.new_units:
        manager.stop(unit)
    accounts.remove(manager)
    if left.has_factor:
        yield from _remove_factor(Path(left.config))
    state.revert()


def _reload(manager: ServiceManager) -> Iterator[str]:
    objection = sshd.trouble()
    if objection is not None:
        yield f"sshd was not told to reload: its configuration does not please it: {objection}"
    elif manager.reload_sshd():
        yield "sshd has read them again"


def _remove_factor(config: Path) -> Iterator[str]:
    try:
        codes.end(config, load(config))
    except (HostError, SettingsError, PrivilegeError) as error:
        yield f"the store may still have a factor of the proof, of an account that is gone: {error}"
