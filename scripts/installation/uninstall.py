"""`sftp-mfa uninstall`: back to the files of before, byte for byte."""

from collections.abc import Callable
from pathlib import Path

from scripts.host import sshd
from scripts.host.errors import HostError
from scripts.host.service_manager import service_manager
from scripts.installation import accounts, files, layout, pam_lines, state
from scripts.installation.state import Original, State

Say = Callable[[str], None]


def uninstall(say: Say) -> None:
    """Put back what an installation has changed. Ended half-way, it goes on when called again."""
    present = state.load()
    if present is None:
        say("nothing is installed")
        return
    manager = service_manager()
    if present.port is not None:
        manager.stop(layout.OWN_SSHD_UNIT)
    # First what names other files; sshd lets go of them before they are removed.
    named, naming = _in_order(present)
    for path in naming:
        _put_back(path, present, say)
    objection = sshd.trouble()
    if objection is not None:
        message = f"the files are back, but sshd does not accept its configuration: {objection}"
        raise HostError(message)
    if present.port is None and manager.reload_sshd():
        say("sshd has read its configuration again")
    for path in named:
        _put_back(path, present, say)
    accounts.remove(manager)
    for unit in present.units:
        manager.stop(unit)
        say(f"stopped {unit}")
    state.forget()


def _in_order(present: State) -> tuple[list[Path], list[Path]]:
    naming = {layout.DROP_IN, layout.SSHDS_SERVICE, layout.OWN_SSHD_CONFIG}
    paths = [Path(path) for path in present.originals]
    return [path for path in paths if path not in naming], [
        path
        for path in (layout.DROP_IN, layout.SSHDS_SERVICE, layout.OWN_SSHD_CONFIG)
        if path in paths
    ]


def _put_back(path: Path, present: State, say: Say) -> None:
    original = present.originals[str(path)]
    now = files.digest(path)
    if now == original.sha256:
        return
    if now in {present.written.get(str(path)), None}:
        files.restore(path, original)
        say(f"{'restored' if original.copy else 'removed'} {path}")
        return
    _put_back_changed(path, original, say)


def _put_back_changed(path: Path, original: Original, say: Say) -> None:
    """Deal with a file that somebody has changed since: nothing of theirs is lost."""
    if path == layout.SSHDS_SERVICE:
        text = path.read_text(errors="surrogateescape")
        without = pam_lines.take_out(text)
        if without != text:
            files.overwrite(path, without.encode("utf-8", "surrogateescape"))
            say(f"took our lines out of {path}, which was changed since and stays so")
        return
    copy = next(iter(files.back_up([path]).values())).copy
    files.restore(path, original)
    say(f"{'restored' if original.copy else 'removed'} {path}; as it was changed since: {copy}")
