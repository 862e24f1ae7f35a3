"""The helper's life: its socket, its sessions, its clean end."""

import contextlib
import errno
import fcntl
import logging
import math
import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pam_module.conversation import Prompts
from pam_module.counts import Counts
from pam_module.crew import Crew
from pam_module.dialogue import Dialogue
from pam_module.errors import HelperError
from pam_module.session import Session
from store.errors import StoreError
from store.housekeeping import INTERVAL_SECONDS
from store.opening import Store
from store.settings import Settings

if TYPE_CHECKING:
    from pam_module.metrics_file import MetricsFile

_log = logging.getLogger("sftp_mfa.pam")

_WORKERS = 8
_BACKLOG = 1024
_SWEEP_SECONDS = 2.0
_PAUSE_SECONDS = 1.0
_START_SECONDS = 2.0
_LOCK_PAUSE_SECONDS = 0.01
_FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
_SPARE_DESCRIPTORS = 64
_PEER = struct.Struct("3i")


class Helper:
    """Accepts relays and keeps their sessions."""

    def __init__(self, store: Store, settings: Settings, listener: socket.socket) -> None:
        """Serve that store on that socket."""
        self._store = store
        self._settings = settings.pam
        self._prompts = Prompts(
            settings.pam.password_prompt, settings.pam.code_prompt, settings.enforcement.text()
        )
        self._listener = listener
        self._crew = Crew(_WORKERS)
        self._housekeeper = ThreadPoolExecutor(1, thread_name_prefix="housekeeping")
        self._sessions: set[Session] = set()
        self._counts = Counts()
        self._metrics = self._metrics_file()
        self._manager = _ServiceManager()
        self._most = settings.pam.max_conversations

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = _stop_signals()
        self._most = min(self._most, _raise_descriptor_limit())
        self._listener.setblocking(False)  # noqa: FBT003
        self._crew.listen(self._listener.fileno(), self._accept)
        self._crew.start()
        try:
            self._manager.tell(b"READY=1")
            _log.info("ready on %s", self._settings.socket)
            self._look_after(stop)
        finally:
            self._manager.tell(b"STOPPING=1")
            self._end()
        _log.info("stopped")

    def _end(self) -> None:
        """Hang up on everybody; steps that have begun wait for the store, for seconds at most."""
        self._crew.dismiss()
        self._leave()
        self._housekeeper.shutdown(cancel_futures=True)
        self._crew.join()
        self._leave()
        self._listener.close()
        if self._metrics is not None:
            self._metrics.remove()

    def _look_after(self, stop: int) -> None:
        """Do what is due from time to time, until there is something to read from `stop`."""
        cleaned = -math.inf  # a helper may never run for as long as the interval
        while True:
            if self._metrics is not None:
                self._counts.open = len(self._sessions)
                self._metrics.write_when_due()
            if select.select([stop], [], [], _SWEEP_SECONDS)[0]:
                return
            if "WATCHDOG_USEC" in os.environ:
                self._manager.tell(b"WATCHDOG=1")
            now = time.monotonic()
            for session in list(self._sessions):
                session.expire(now)
            if now - cleaned > INTERVAL_SECONDS:
                cleaned = now
                self._housekeeper.submit(self._clean)

    def _leave(self) -> None:
        for session in list(self._sessions):
            session.leave()

    def _metrics_file(self) -> "MetricsFile | None":
        if not self._settings.metrics_file:
            return None
        from pam_module.metrics_file import MetricsFile  # noqa: PLC0415 - 10 MB for who wants it

        return MetricsFile(Path(self._settings.metrics_file), self._counts)

    def _clean(self) -> None:
        try:
            self._store.housekeeping.run()
        except StoreError as error:
            _log.warning("housekeeping: %s", error)
        except Exception:  # noqa: BLE001 - nobody asks for what comes of it
            _log.exception("a fault of this program")

    def _accept(self) -> None:
        try:
            session = self._next_session()
        finally:
            # For the next one, now that this one is counted, or whatever went wrong with it.
            self._crew.listen(self._listener.fileno(), self._accept)
        if session is not None:
            session.serve()

    def _next_session(self) -> Session | None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            short = error.errno in {errno.EMFILE, errno.ENFILE}
            advice = ": raise LimitNOFILE" if short else ""
            _log.error("cannot accept a connection: %s%s", error.strerror, advice)
            time.sleep(_PAUSE_SECONDS)  # it would fail again at once, and without end
            return None
        if _peer_uid(connection) != 0 or len(self._sessions) >= self._most:
            self._counts.turned_away += 1
            _log.error("hung up on a peer that is not root, or above pam.max_conversations")
            connection.close()
            return None
        connection.setblocking(False)  # noqa: FBT003
        dialogue = Dialogue(self._store.authentication, self._prompts)
        seconds, forget = self._settings.prompt_seconds, self._sessions.discard
        session = Session(connection, dialogue, seconds, self._crew, forget, self._counts)
        self._sessions.add(session)
        return session


def listen(path: Path) -> socket.socket:
    """Give the socket that the service manager passed, or make one at that path.

    A socket that nobody serves any more is replaced; HelperError if another helper serves it.
    """
    passed = _passed(path)
    if passed is not None:
        return passed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _alone_in(path.parent):
            _remove_stale(path)
            mask = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"{path}: {error.strerror}"
        raise HelperError(message) from error
    return listener


def _passed(path: Path) -> socket.socket | None:
    """Take over the one socket that the service manager passes (sd_listen_fds(3)), if it does.

    HelperError where it is not the one that the configuration names: sshd would knock in vain.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)  # meant for this process alone
    try:
        listener = socket.socket(fileno=_FIRST_PASSED_DESCRIPTOR)
        listener.set_inheritable(False)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        found = listener.type, listener.getsockname(), listens, count
    except OSError as error:
        message = f"the service manager passed no socket: {error.strerror}"
        raise HelperError(message) from error
    if found != (socket.SOCK_SEQPACKET, str(path), 1, "1"):
        message = (
            f"the service manager does not pass the socket {path}, which pam.socket names, and "
            "no other: mend ListenSequentialPacket= of its unit, or pam.socket"
        )
        raise HelperError(message)
    return listener


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep another helper out that starts as well, lest each removes the other's socket.

    Who may read a folder may lock it, and everybody may read this one: who holds it for longer than
    a start takes is no helper, and keeps none from starting.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _locks(descriptor) and time.monotonic() < deadline:
            time.sleep(_LOCK_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)  # noqa: FBT003
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # somebody listens, and has much to do
    message = f"{path}: another helper serves this socket"
    raise HelperError(message)


def run(store: Store, settings: Settings, listener: socket.socket) -> None:
    """Serve the relays of this host until told to stop."""
    Helper(store, settings, listener).serve()
    store.close()


def _peer_uid(connection: socket.socket) -> int:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, uid, _ = _PEER.unpack(data)
    return int(uid)


def _stop_signals() -> int:
    """Give a descriptor that can be read once SIGTERM or SIGINT has come, to whichever thread."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _raise_descriptor_limit() -> int:
    """Allow as many connections as the system lets; give how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - _SPARE_DESCRIPTORS)


class _ServiceManager:
    """Told of the helper's state (sd_notify(3)), where one wants to hear of it."""

    def __init__(self) -> None:
        """Take the descriptor at the start: later there may be none left."""
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def tell(self, state: bytes) -> None:
        """Tell it; never fails."""
        if self._address:
            with contextlib.suppress(OSError):
                self._channel.sendto(state, self._address)
