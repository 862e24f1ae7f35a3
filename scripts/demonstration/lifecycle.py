"""A start from nothing to a checked demonstration, and the way back to nothing."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.demonstration import (
    accounts,
    building,
    configuration,
    factors,
    logins,
    processes,
    services,
)
from scripts.demonstration.commands import QuickstartError, say
from scripts.demonstration.layout import (
    BUILT,
    MODULE,
    PACKAGES,
    PLACE,
    PRIVILEGE_SEPARATION,
    RUN,
    SOURCE,
    SSHD,
    VENV,
)
from scripts.demonstration.record import Record, load

_BUILD = {BUILT, MODULE.parent, PACKAGES, SOURCE, VENV}
_PAUSE = 0.3


@contextmanager
def turn() -> Iterator[None]:
    """Let one program at a time start, stop or look.

    The lock is on the quickstart's own folder, so that no lock file is left; who waited for a
    folder that was removed meanwhile makes and locks a new one.
    """
    while True:
        PLACE.mkdir(mode=0o755, exist_ok=True)
        folder = os.open(PLACE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(folder)
            if PLACE.exists() and os.path.samestat(os.fstat(folder), PLACE.stat()):
                yield
                return
        finally:
            os.close(folder)


def _lock(folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another quickstart is at work; waiting for it")
        fcntl.flock(folder, fcntl.LOCK_EX)


def start(record: Record, *, for_program: bool) -> None:
    """Build, run and check everything; what another start left behind goes first."""
    remove(keep_build=True)
    services.require_free(record.port, "--port")
    services.require_free(record.web_port, "--web-port")
    record.save()
    building.build()
    say("starting the helper, the web pages and an sshd")
    accounts.make_service_user()
    record.password = accounts.make_demo_account()
    record.admin_password = accounts.make_administrator()
    configuration.write(record.port, record.web_port, record.guests)
    services.start(record)
    _check_logins(record)
    if not for_program:
        authenticator = factors.enroll("your phone")
        record.secret, record.uri = authenticator.secret, authenticator.uri
        record.token = factors.issue_token("quickstart").text
    record.is_complete = True
    record.save()


def _check_logins(record: Record) -> None:
    """Log in, with factors that are gone after that."""
    say("logging in: with password and code, with the password alone, with an access token")
    authenticator, token = factors.enroll("self-check"), factors.issue_token("self-check")
    try:
        record.logins = logins.check(record.port, record.password, authenticator, token)
    except logins.UnexpectedOutcomeError as error:
        message = f"a login did not end as it must\n{error}\nThe logs:\n{services.logs()}"
        raise QuickstartError(message) from error
    factors.remove(authenticator, token)


def wait(record: Record) -> None:
    """Wait until a service ends."""
    while len(record.alive()) == len(record.processes):
        time.sleep(_PAUSE)


def finish(record: Record, *, ended_by_itself: bool) -> None:
    """Remove what this start made, if nobody else did so and no other start followed."""
    with turn():
        present = load()
        is_mine = present is not None and present.keeper == record.keeper
        logs = services.logs() if is_mine and ended_by_itself else None
        if is_mine or present is None:
            remove()
    if logs is not None:
        message = f"a service ended by itself, and so everything was stopped. The logs:\n{logs}"
        raise QuickstartError(message)


def remove(*, keep_build: bool = False) -> bool:
    """Remove all that was made, however far that got; tell whether there was anything.

    The quickstart's folder goes last: as long as something else is left, it tells what.
    """
    record = load()
    found = record is not None or BUILT.exists()
    if record is not None:
        processes.end(record.alive())
    accounts.remove()
    for file in configuration.pam_files():
        file.unlink()
    shutil.rmtree(RUN, ignore_errors=True)
    if record is not None and record.made_privilege_separation:
        _remove_privilege_separation()
    installed = PACKAGES.read_text().split() if PACKAGES.exists() else []
    _empty(PLACE, _BUILD if keep_build else set())
    if not keep_build:
        PLACE.rmdir()
        if installed:
            say(f"the packages that were installed stay: {' '.join(installed)}")
    return found


def _remove_privilege_separation() -> None:
    """Remove sshd's folder, unless an sshd of the machine was started meanwhile and needs it."""
    if PRIVILEGE_SEPARATION.exists() and not processes.any_runs(SSHD):
        PRIVILEGE_SEPARATION.rmdir()


def _empty(folder: Path, keep: set[Path]) -> None:
    for path in folder.iterdir():
        if path in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
