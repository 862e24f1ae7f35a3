"""Threads that wait together: whoever wakes does the work, and hands nothing over to another."""

import logging
import os
import select
import threading
from collections.abc import Callable

_log = logging.getLogger("sftp_mfa.pam")

_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class Crew:
    """Threads on one epoll(7): what they listen to is heard by one of them, once."""

    def __init__(self, size: int) -> None:
        """Have so many threads; `start` starts them."""
        self._epoll = select.epoll()
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._end, select.EPOLLIN)
        self._work: dict[int, Callable[[], None]] = {}
        self._threads = [
            threading.Thread(target=self._wait, name=f"crew-{number}") for number in range(size)
        ]

    def start(self) -> None:
        """Begin to wait."""
        for thread in self._threads:
            thread.start()

    def listen(self, descriptor: int, work: Callable[[], None]) -> None:
        """Have work done, once, when a descriptor can be read or its other end is gone."""
        if descriptor in self._work:
            self._epoll.modify(descriptor, _ONCE)
        else:
            self._work[descriptor] = work
            self._epoll.register(descriptor, _ONCE)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor that is closed next; the kernel forgets it by that."""
        self._work.pop(descriptor, None)

    def dismiss(self) -> None:
        """Tell the threads to end after what they are doing."""
        os.eventfd_write(self._end, 1)

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()
        self._epoll.close()
        os.close(self._end)

    def _wait(self) -> None:
        while True:
            ((descriptor, _),) = self._epoll.poll(maxevents=1)
            if descriptor == self._end:  # stays readable, for all of them
                return
            work = self._work.get(descriptor)
            if work is None:
                continue  # removed just now
            try:
                work()
            except Exception:  # noqa: BLE001 - whatever it is, it must not cost a thread
                _log.exception("a fault of this program")
