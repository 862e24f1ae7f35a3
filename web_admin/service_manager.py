"""What broker and web server say to the service manager that started them, if one did."""

import contextlib
import os
import socket


def notify(state: bytes) -> None:
    """Tell it a state (sd_notify(3)); a worker is heard with NotifyAccess=all only."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.sendto(state, name)
