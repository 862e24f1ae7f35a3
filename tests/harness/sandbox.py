"""The place that scripts/test makes: private disks, processes and network for all workers."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOWEST_PORT = 20_000  # below the range that the kernel gives out by itself


def is_inside() -> bool:
    """Tell whether this process runs in the sandbox."""
    return "SFTP_MFA_SANDBOX" in os.environ


def place() -> Path:
    """Return the sandbox's own folder, or refuse to touch the developer's machine."""
    try:
        return Path(os.environ["SFTP_MFA_SANDBOX"])
    except KeyError:
        message = "this test changes accounts, PAM or /dev: run it with scripts/test"
        raise RuntimeError(message) from None


def checkout() -> Path:
    """Return the copy of the checkout that every user can read."""
    return place() / "checkout"


def pam_module() -> Path:
    """Return the module that `make` built."""
    return checkout() / "pam_module" / "pam_sftp_mfa.so"


def command(name: str) -> str:
    """Return the path of an installed command of the project, such as sftp-mfa."""
    return str(place() / "venv" / "bin" / name)


@contextmanager
def exclusively(name: str) -> Iterator[None]:
    """Hold a lock that all workers know by this name."""
    with (place() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once_per_run(name: str, make: Callable[[], str]) -> str:
    """Return what `make` returned to the worker that came first."""
    with exclusively(name):
        kept = place() / f"{name}.once"
        if not kept.exists():
            kept.write_text(make())
        return kept.read_text()


def forget(name: str) -> None:
    """Let the next worker that comes make it anew."""
    (place() / f"{name}.once").unlink()


def free_port() -> int:
    """Return a port that no other test of this run is given; the network is the sandbox's own."""
    with exclusively("port"):
        kept = place() / "port"
        port = int(kept.read_text()) + 1 if kept.exists() else _LOWEST_PORT
        kept.write_text(str(port))
        return port
