"""Makes a listening socket and runs a command with it, as a service manager does.

Of another kind if $PASSED_KIND is set, and said to be as many as $PASSED_COUNT.
"""

import os
import socket
import sys

FIRST_PASSED = 3  # sd_listen_fds(3)


def main(path: str, *argv: str) -> None:
    """Bind, listen and become the command."""
    kind = os.environ.get("PASSED_KIND", "SOCK_SEQPACKET")
    count = os.environ.get("PASSED_COUNT", "1")
    listener = socket.socket(socket.AF_UNIX, socket.SocketKind[kind])
    listener.bind(path)
    listener.listen()
    os.dup2(listener.fileno(), FIRST_PASSED)
    os.set_inheritable(FIRST_PASSED, True)  # noqa: FBT003
    os.execve(argv[0], argv, {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
