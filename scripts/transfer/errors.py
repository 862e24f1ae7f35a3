"""What can go wrong, and the exit code that tells it."""

from enum import IntEnum

from scripts.transfer.names import show


class Exit(IntEnum):
    """Exit codes, for scripts."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    """The server did not let in: password, code or token."""
    HOST_KEY = 4
    """The server could not prove that it is the one that was meant."""
    NETWORK = 5
    """No server, no answer, or a connection that broke."""
    REMOTE_FILE = 6
    LOCAL_FILE = 7


class TransferError(Exception):
    """A failure to be told in one line: its text is safe to show."""

    def __init__(self, code: Exit, message: str) -> None:
        """Keep what a script and what a person is told."""
        super().__init__(message)
        self.code = code


class UselessPartError(TransferError):
    """A failure after which it makes no sense to go on with the part that is there."""


def remote_error(path: bytes, what: str) -> TransferError:
    """Tell of a file on the server, or of the server's answer about it."""
    return TransferError(Exit.REMOTE_FILE, f"{show(path)}: {what}")


def local_error(path: str | bytes, what: str) -> TransferError:
    """Tell of a file on this machine."""
    return TransferError(Exit.LOCAL_FILE, f"{show(path)}: {what}")


def network_error(message: str) -> TransferError:
    """Tell of the way to the server."""
    return TransferError(Exit.NETWORK, message)


def broken_off(what: str) -> TransferError:
    """Tell that a session ended before its work was done; what has come by then stays."""
    return network_error(f"{what}: run the same command to go on")
