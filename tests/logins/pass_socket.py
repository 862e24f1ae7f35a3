"""Makes a listening socket and runs a command with it, as a service manager does."""

import os
import socket
import sys

FIRST_PASSED = 3  # sd_listen_fds(3)


def main(path: str, *argv: str) -> None:
    """Bind, listen and become the command."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen()
    os.dup2(listener.fileno(), FIRST_PASSED)
    os.set_inheritable(FIRST_PASSED, True)  # noqa: FBT003
    os.execve(argv[0], argv, {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
