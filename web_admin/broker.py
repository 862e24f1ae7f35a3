"""The password broker's life: root, one Unix socket, one short-lived process a request.

Why a process and not a thread: PAM modules are other people's, and few promise to be safe in
threads; a process that hangs is killed by its alarm, one that crashes takes nobody along, and
what it knew of a password goes with its memory. The waits of wrong guesses run side by side.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from store.settings import PasswordSettings
from web_admin import broker_pam, broker_wire
from web_admin.broker_wire import Answer, Verdict
from web_admin.errors import ServeError
from web_admin.service_manager import notify

_log = logging.getLogger("sftp_mfa.passwords")

_REQUEST_SECONDS = 5.0
_PAM_SECONDS = 30
_STOP_SECONDS = 5.0
_BACKLOG = 128
_WRONG = 1
_PEER = struct.Struct("3i")
_FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)


@dataclass(slots=True)
class Guesses:
    """Wrong passwords of the last minute, so that not even the web service can guess fast."""

    limit: int
    _times: dict[str, deque[float]] = field(default_factory=dict)

    def are_too_many(self, account: str, now: float, under_way: int = 0) -> bool:
        """Tell whether an account has had its share; a guess under way counts until it is right."""
        times = self._times.get(account)
        while times and times[0] < now - 60:
            times.popleft()
        if not times:
            self._times.pop(account, None)
        return len(times or ()) + under_way >= self.limit

    def add(self, account: str, now: float) -> None:
        """Count a wrong one; forget accounts that were left alone."""
        if account not in self._times and len(self._times) >= 10_000:  # noqa: PLR2004
            for known in list(self._times):
                self.are_too_many(known, now)
        self._times.setdefault(account, deque(maxlen=self.limit)).append(now)


class Broker:
    """Accepts the web service's questions, and nobody else's."""

    def __init__(self, settings: PasswordSettings, service_uid: int) -> None:
        """Serve the service's user."""
        self._settings = settings
        self._service_uid = service_uid
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[socket.socket, float] = {}
        self._working: dict[int, str] = {}
        self._guesses = Guesses(settings.wrong_per_minute)
        self._stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Serve until SIGTERM or SIGINT; requests under way get their answer."""
        listener.setblocking(False)  # noqa: FBT003
        with _wakeups() as wakeup, listener:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            self._selector.register(wakeup, selectors.EVENT_READ)
            notify(b"READY=1")
            _log.info("ready on %s", self._settings.socket)
            while not self._stopping:
                self._turn(listener, wakeup)
        notify(b"STOPPING=1")
        for connection in list(self._waiting):
            self._forget(connection)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._working and time.monotonic() < deadline:
            time.sleep(0.05)
            self._reap()
        _log.info("stopped")

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _turn(self, listener: socket.socket, wakeup: socket.socket) -> None:
        has_room = len(self._waiting) + len(self._working) < self._settings.max_requests
        is_watched = listener in self._selector.get_map()
        if has_room and not is_watched:
            self._selector.register(listener, selectors.EVENT_READ)
        elif is_watched and not has_room:
            self._selector.unregister(listener)  # who comes now waits in the socket's backlog
        for key, _ in self._selector.select(timeout=1.0):
            if key.fileobj is wakeup:
                with contextlib.suppress(BlockingIOError):
                    wakeup.recv(4096)
            elif key.fileobj is listener:
                self._accept(listener)
            elif isinstance(key.fileobj, socket.socket):
                self._read(key.fileobj)
        self._reap()
        now = time.monotonic()
        for connection in [one for one, until in self._waiting.items() if until < now]:
            self._forget(connection)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if peer_uid(connection) not in {self._service_uid, 0}:
            _log.error("hung up on a peer that is not the service's user")
            connection.close()
            return
        self._waiting[connection] = time.monotonic() + _REQUEST_SECONDS
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        packet = bytearray(broker_wire.MAX_REQUEST + 1)
        try:
            size = connection.recv_into(packet)
        except OSError:
            size = 0
        try:
            if size:
                self._begin(connection, packet, size)
        finally:
            packet[:] = bytes(len(packet))
            self._forget(connection)

    def _begin(self, connection: socket.socket, packet: bytearray, size: int) -> None:
        account = broker_wire.account_of(bytes(packet[: broker_wire.MAX_NAME + 2]))
        under_way = sum(name == account for name in self._working.values())
        if self._guesses.are_too_many(account, time.monotonic(), under_way):
            _log.error("too many wrong passwords for one account within a minute; refusing")
            connection.send(broker_wire.answer(Answer(Verdict.BUSY)))
            return
        child = os.fork()
        if child == 0:
            work_and_exit(connection, bytes(packet[:size]), self._settings.service)
        self._working[child] = account

    def _reap(self) -> None:
        while self._working:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            account = self._working.pop(child, None)
            code = os.waitstatus_to_exitcode(status)
            if code == _WRONG and account is not None:
                self._guesses.add(account, time.monotonic())
            elif code not in {0, _WRONG}:
                _log.error("a request to PAM ended with %d (too slow, or a module crashed)", code)

    def _forget(self, connection: socket.socket) -> None:
        self._waiting.pop(connection, None)
        self._selector.unregister(connection)
        connection.close()


def work_and_exit(connection: socket.socket, packet: bytes, service: str) -> None:
    """Ask PAM in this process, send the answer and end it, whatever happens."""
    code = 2
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(_PAM_SECONDS)
        connection.setblocking(True)  # noqa: FBT003
        reply = broker_pam.answer(broker_wire.parse_request(packet), service)
        connection.send(broker_wire.answer(reply))
        code = _WRONG if reply.verdict is Verdict.WRONG else 0
    except Exception as error:  # noqa: BLE001 - its text could hold what was sent
        _log.error("%s while asking PAM; refusing", type(error).__name__)
    finally:
        os._exit(code)


def run(settings: PasswordSettings, service_uid: int, service_gid: int) -> None:
    """Serve the web service of this host until told to stop."""
    if os.geteuid() != 0:
        message = "run this as root: PAM tells nobody else whether a password is right"
        raise ServeError(message)
    if not (Path("/etc/pam.d") / settings.service).exists():
        message = f"/etc/pam.d/{settings.service} is missing: copy it from sshd_config/pam.d"
        raise ServeError(message)
    _clean_environment()
    broker_pam.load()
    Broker(settings, service_uid).serve(listen(Path(settings.socket), service_gid))


def _clean_environment() -> None:
    """Leave nothing of the caller's environment to modules."""
    kept = {name: os.environ[name] for name in ("NOTIFY_SOCKET", "LISTEN_PID") & os.environ.keys()}
    os.environ.clear()
    os.environ.update(kept, PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8")


def listen(path: Path, group: int) -> socket.socket:
    """Give the socket that the service manager passed, or make one that only a group may use.

    A socket that nobody serves any more is replaced; ServeError if another broker serves it.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        os.set_inheritable(_FIRST_PASSED_DESCRIPTOR, False)  # noqa: FBT003
        return socket.socket(fileno=_FIRST_PASSED_DESCRIPTOR)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own_group, mask = os.getegid(), os.umask(0o117)
    try:
        _remove_stale(path)
        os.setegid(group)  # not chown afterwards: the folder is the service's, names there move
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = f"{path}: {error.strerror}"
        raise ServeError(message) from error
    finally:
        os.setegid(own_group)
        os.umask(mask)
    return listener


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    message = f"{path}: another broker serves this socket"
    raise ServeError(message)


@contextlib.contextmanager
def _wakeups() -> Iterator[socket.socket]:
    """Give a socket that becomes readable with each signal, so that none is slept through."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)  # noqa: FBT003
        writer.setblocking(False)  # noqa: FBT003
        before = signal.set_wakeup_fd(writer.fileno())
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(before)


def peer_uid(connection: socket.socket) -> int:
    """Tell who is at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(data)[1])
