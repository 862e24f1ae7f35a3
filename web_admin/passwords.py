"""Asks the broker: is this password right, and change it. The web service never sees PAM."""

import socket
import struct
from typing import Protocol

from store.secret import Secret
from store.settings import PasswordSettings
from web_admin import broker_wire
from web_admin.broker_wire import Answer
from web_admin.errors import BrokerUnavailableError

_SECONDS = 60.0
"""More than the broker grants PAM, and the wait for a free place before that."""
_PEER = struct.Struct("3i")


class Passwords(Protocol):
    """Whoever knows about passwords."""

    def check(self, account: str, address: str, password: Secret) -> Answer:
        """Tell whether a password is right; BrokerUnavailableError if nobody can."""
        ...

    def change(self, account: str, address: str, old: Secret, new: Secret) -> Answer:
        """Change a password by the machine's own rules; likewise."""
        ...


class BrokeredPasswords:
    """One connection a question; blocks until the answer, which takes seconds for a refusal."""

    def __init__(self, settings: PasswordSettings) -> None:
        """Ask at that socket."""
        self._socket = settings.socket

    def check(self, account: str, address: str, password: Secret) -> Answer:
        """Tell whether a password is right."""
        return self._ask(broker_wire.request(account, address, password))

    def change(self, account: str, address: str, old: Secret, new: Secret) -> Answer:
        """Change a password."""
        return self._ask(broker_wire.request(account, address, old, new))

    def _ask(self, packet: bytes | None) -> Answer:
        # What could never be a password still waits as long as a wrong one: an empty one does.
        packet = packet or b"C\0\0"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.settimeout(_SECONDS)
                channel.connect(self._socket)
                if _peer_uid(channel) != 0:
                    message = f"{self._socket} is served by somebody who is not root"
                    raise BrokerUnavailableError(message)
                channel.sendall(packet)
                reply = channel.recv(broker_wire.MAX_ANSWER)
            answer = broker_wire.parse_answer(reply)
        except (OSError, broker_wire.WireError) as error:
            message = f"{self._socket}: {error}"
            raise BrokerUnavailableError(message) from error
        if answer.verdict is broker_wire.Verdict.UNAVAILABLE:
            message = f"{self._socket}: PAM is not working; see the broker's log"
            raise BrokerUnavailableError(message)
        return answer


def _peer_uid(connection: socket.socket) -> int:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(data)[1])
