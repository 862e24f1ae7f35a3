"""One connection of the relay: a packet in, a step of the dialogue, packets out."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

from pam_module import wire
from pam_module.counts import Counts, Ending
from pam_module.crew import Crew
from pam_module.dialogue import Dialogue, Message
from store.errors import StoreError

_log = logging.getLogger("sftp_mfa.pam")

_VERDICTS = {wire.GRANTED: Ending.GRANTED, wire.DENIED: Ending.DENIED}


class Session:
    """Served by whichever thread of the crew hears the relay; a lock lets in one at a time."""

    __slots__ = (
        "_closed",
        "_counts",
        "_crew",
        "_deadline",
        "_dialogue",
        "_ending",
        "_line",
        "_lock",
        "_socket",
    )

    def __init__(
        self,
        connection: socket.socket,
        dialogue: Dialogue,
        seconds: float,
        crew: Crew,
        closed: Callable[["Session"], None],
        counts: Counts,
    ) -> None:
        """Take over a connection whose peer was checked; `closed` is called at its end.

        The relay has that many seconds for all its messages together.
        """
        self._socket = connection
        self._dialogue = dialogue
        self._deadline = time.monotonic() + seconds
        self._crew = crew
        self._closed = closed
        self._counts = counts
        self._lock = threading.Lock()
        self._line: str | None = None
        self._ending = Ending.CLIENT_LEFT

    def serve(self) -> None:
        """Answer what the relay has said, if it has, and have it heard again."""
        with self._lock:
            if self._socket.fileno() < 0:
                return
            try:
                self._hear()
            except wire.WireError as error:
                _log.error("the PAM module sent %s; refusing (is it of another version?)", error)
                self._give_up(Ending.PROTOCOL_ERROR)

    def expire(self, now: float) -> None:
        """Give up on a person, or a relay, that has taken too long."""
        if now > self._deadline:
            self._unless_busy(lambda: self._give_up(Ending.TIMED_OUT))

    def leave(self) -> None:
        """Hang up because the helper ends; a step that is under way ends first."""
        self._unless_busy(self._close)

    def _unless_busy(self, end: Callable[[], None]) -> None:
        if self._lock.acquire(blocking=False):
            try:
                if self._socket.fileno() >= 0:
                    end()
            finally:
                self._lock.release()

    def _hear(self) -> None:
        try:
            packet, _, flags, _ = self._socket.recvmsg(wire.MAX_PACKET)
        except BlockingIOError:
            self._listen()
            return
        except OSError:
            packet, flags = b"", 0
        if not packet:
            self._hung_up()
            return
        message = self._parse(packet, cut_off=bool(flags & socket.MSG_TRUNC))
        if isinstance(message, wire.Hello):
            self._line = message.phase
        packets = self._step(lambda: self._dialogue.receive(message))
        if self._is_waited_for():
            self._reply(packets)
        else:
            self._close()

    def _parse(self, packet: bytes, *, cut_off: bool) -> Message:
        if cut_off:
            problem = "a packet that is too long"
            raise wire.WireError(problem)
        message = wire.parse(packet)
        if type(message) is not self._dialogue.awaited:
            problem = f"{type(message).__name__} out of turn"
            raise wire.WireError(problem)
        return message

    def _is_waited_for(self) -> bool:
        """Tell whether the relay is still there; WireError if it spoke before it had its answer."""
        try:
            early = self._socket.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if early:
            problem = "a packet out of turn"
            raise wire.WireError(problem)
        return False

    def _reply(self, packets: list[bytes]) -> None:
        for packet in packets:
            self._send(packet)
        self._ending = _VERDICTS.get(packets[-1], self._ending)
        if packets[-1] == wire.UNAVAILABLE or self._dialogue.awaited is None:
            self._close()
        else:
            self._listen()

    def _listen(self) -> None:
        self._crew.listen(self._socket.fileno(), self.serve)

    def _hung_up(self) -> None:
        if self._dialogue.awaited is wire.Continue:
            self._ending = Ending.PASSWORD_REFUSED
            self._step(self._dialogue.refused)
        self._close()

    def _step(self, work: Callable[[], list[bytes]]) -> list[bytes]:
        begun = time.monotonic()
        try:
            return work()
        except StoreError as error:
            _log.error("%s; refusing", error)
            self._ending = Ending.STORE_UNAVAILABLE
        except Exception:  # noqa: BLE001 - whatever it is, it must end in a refusal
            _log.exception("a fault of this program; refusing")
            self._ending = Ending.FAULT
        finally:
            self._counts.step_took(time.monotonic() - begun)
        return [wire.UNAVAILABLE]

    def _give_up(self, ending: Ending) -> None:
        self._ending = ending
        self._send(wire.UNAVAILABLE)
        self._close()

    def _close(self) -> None:
        self._crew.remove(self._socket.fileno())
        self._socket.close()
        if self._line is not None:
            self._counts.ended(self._line, self._ending)
        self._closed(self)
        self._dialogue.close()

    def _send(self, packet: bytes) -> None:
        # A relay that does not read has given up: it sees the end of the connection.
        with contextlib.suppress(OSError):
            self._socket.send(packet)
