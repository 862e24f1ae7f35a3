"""One connection of the relay: packets in, a dialogue's steps in a worker thread, packets out."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Executor

from pam_module import wire
from pam_module.counts import Counts, Ending
from pam_module.dialogue import Dialogue, Message
from store.errors import StoreError

_log = logging.getLogger("sftp_mfa.pam")

_VERDICTS = {wire.GRANTED: Ending.GRANTED, wire.DENIED: Ending.DENIED}


class Session:
    """Runs in the event loop's thread, but for the steps of its dialogue."""

    __slots__ = (
        "_begun",
        "_closed",
        "_counts",
        "_deadline",
        "_dialogue",
        "_ending",
        "_executor",
        "_line",
        "_loop",
        "_socket",
        "_stepping",
    )

    def __init__(
        self,
        connection: socket.socket,
        dialogue: Dialogue,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        closed: Callable[["Session"], None],
        counts: Counts,
    ) -> None:
        """Take over a connection whose peer was checked; `closed` is called at its end."""
        self._socket = connection
        self._dialogue = dialogue
        self._loop = loop
        self._executor = executor
        self._closed = closed
        self._counts = counts
        self._line: str | None = None
        self._ending = Ending.CLIENT_LEFT
        self._stepping = False
        self._begun = 0.0
        self._deadline = 0.0

    def start(self, seconds: float) -> None:
        """Listen; the relay has that many seconds for all its messages together."""
        self._deadline = self._loop.time() + seconds
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def expire(self, now: float) -> None:
        """Give up on a person, or a relay, that has taken too long."""
        if now > self._deadline and not self._stepping:
            self._give_up(Ending.TIMED_OUT)

    def close(self) -> None:
        """Hang up; a step that still runs finds nobody to answer."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._line is not None:
            self._counts.endings[self._line, self._ending] += 1
        self._closed(self)
        if not self._stepping:
            self._dialogue.close()

    def _readable(self) -> None:
        try:
            packet, _, flags, _ = self._socket.recvmsg(wire.MAX_PACKET)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            packet, flags = b"", 0
        if not packet:
            self._hung_up()
            return
        try:
            message = self._parse(packet, cut_off=bool(flags & socket.MSG_TRUNC))
        except wire.WireError as error:
            _log.error("the PAM module sent %s; refusing (is it of another version?)", error)
            self._give_up(Ending.PROTOCOL_ERROR)
            return
        if isinstance(message, wire.Hello):
            self._line = message.phase
        self._step(lambda: self._dialogue.receive(message))

    def _parse(self, packet: bytes, *, cut_off: bool) -> Message:
        if self._stepping or cut_off:
            problem = "a packet out of turn, or too long"
            raise wire.WireError(problem)
        message = wire.parse(packet)
        if type(message) is not self._dialogue.awaited:
            problem = f"{type(message).__name__} out of turn"
            raise wire.WireError(problem)
        return message

    def _hung_up(self) -> None:
        refused = self._dialogue.awaited is wire.Continue and not self._stepping
        if not refused:
            self.close()
            return
        self._loop.remove_reader(self._socket.fileno())
        self._ending = Ending.PASSWORD_REFUSED
        self._step(self._dialogue.refused)

    def _step(self, work: Callable[[], list[bytes] | None]) -> None:
        self._stepping = True
        self._begun = self._loop.time()
        future = self._loop.run_in_executor(self._executor, work)
        future.add_done_callback(self._stepped)

    def _stepped(self, future: "asyncio.Future[list[bytes] | None]") -> None:
        self._stepping = False
        self._counts.step_took(self._loop.time() - self._begun)
        try:
            packets = future.result()
        except asyncio.CancelledError:  # the helper ends, and the step had not begun
            packets = None
        except StoreError as error:
            _log.error("%s; refusing", error)
            self._ending = Ending.STORE_UNAVAILABLE
            packets = [wire.UNAVAILABLE]
        except Exception:  # noqa: BLE001 - whatever it is, it must end in a refusal
            _log.exception("a fault of this program; refusing")
            self._ending = Ending.FAULT
            packets = [wire.UNAVAILABLE]
        if packets is None or self._socket.fileno() < 0:
            self._dialogue.close()
            self.close()
            return
        for packet in packets:
            self._send(packet)
        self._ending = _VERDICTS.get(packets[-1], self._ending)
        if packets[-1] == wire.UNAVAILABLE or self._dialogue.awaited is None:
            self.close()

    def _give_up(self, ending: Ending) -> None:
        self._ending = ending
        self._send(wire.UNAVAILABLE)
        self.close()

    def _send(self, packet: bytes) -> None:
        # A relay that does not read has given up: it sees the end of the connection.
        with contextlib.suppress(OSError):
            self._socket.send(packet)
