"""The relay's end of the helper's socket, without sshd and libpam."""

import socket
from pathlib import Path
from typing import Self

_LARGEST = 4096


class RelayClient:
    """One conversation, in packets as pam_module/README.md defines them."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        """Connect; the peer must be root to be heard."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(path))  # waits for a place in the queue, as the relay does
        self.socket.settimeout(timeout)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.socket.close()

    def hello(self, user: str, phase: str = "auth", address: str = "192.0.2.7") -> bytes:
        """Begin, and return what the helper says."""
        fields = ("1", phase, "sshd", user, address, "ssh")
        return self.say(b"H" + b"\0".join(field.encode() for field in fields))

    def answer(self, text: str) -> bytes:
        """Answer a prompt, and return what the helper says to that."""
        return self.say(b"A" + text.encode())

    def go_on(self) -> bytes:
        """Tell that the stack accepted the password, and return what the helper says."""
        return self.say(b"C")

    def say(self, packet: bytes) -> bytes:
        """Send a packet and return the next one; nothing means that the helper hung up."""
        self.socket.send(packet)
        return self.hear()

    def hear(self) -> bytes:
        """Return the next packet."""
        return self.socket.recv(_LARGEST)

    def log_in(self, user: str, password: str, code: str) -> bytes:
        """Have a whole conversation with a right password, and return the verdict."""
        assert self.hello(user) == b"PPassword: "
        assert self.answer(password) == b"N" + password.encode()
        assert self.go_on() == b"PVerification code: "
        return self.answer(code)
