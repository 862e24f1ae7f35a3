"""Serves the pages with granian; README.md of this folder tells why, with figures."""

import ipaddress
import logging
import resource
import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from store.errors import StoreError
from store.housekeeping import INTERVAL_SECONDS
from store.opening import Store, open_store
from store.settings import Settings, WebSettings
from web_admin.application import make_application
from web_admin.errors import ServeError
from web_admin.gateway import Gateway
from web_admin.passwords import BrokeredPasswords
from web_admin.service_manager import notify
from web_admin.site import Site

_log = logging.getLogger("sftp_mfa.web")

_HEADER_MILLISECONDS = 5_000
_HEADER_BYTES = 32 * 1024
_BACKLOG = 4096
_CONNECTIONS = 8192
"""So many may be half-sent while others get answers; each is given up after the header's time."""
_STOP_SECONDS = 10


class _Server(MPServer):
    """granian, but for a certificate that cannot be read: the old one stays in use."""

    def signal_handler_reload(self, *arguments: Any, **options: Any) -> None:
        """Start a worker with the certificate as it is now, then end the old one."""
        try:
            _check_certificate(*self.pair)
        except ServeError as error:
            _log.error("%s; going on with the certificate from before", error)
            return
        super().signal_handler_reload(*arguments, **options)  # type: ignore[no-untyped-call]

    pair: tuple[Path | None, Path | None] = (None, None)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get their answer."""
    address, port = listening_address(settings.web)
    certificate = Path(settings.web.certificate) if settings.web.certificate else None
    key = Path(settings.web.key) if settings.web.key else None
    _check_certificate(certificate, key)
    server = _Server(
        "web_admin.server:make_gateway",
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_HEADER_BYTES
        ),
        ssl_cert=certificate,
        ssl_key=key,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
    )
    server.pair = (certificate, key)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server.serve(target_loader=partial(make_gateway, settings), wrap_loader=False)


def make_gateway(settings: Settings) -> Gateway:
    """Put the application together, in the process that will serve it."""
    store = open_store(settings)
    site = Site(store, BrokeredPasswords(settings.passwords), settings)
    threading.Thread(target=_keep_house, args=(store,), daemon=True, name="housekeeping").start()
    threading.Thread(target=_announce, args=(settings.web,), daemon=True, name="ready").start()
    return Gateway(make_application(site), settings.web.threads)


def _announce(settings: WebSettings) -> None:
    """Say that we are ready, once somebody who knocks is heard."""
    while True:
        with suppress(OSError), socket.create_connection(listening_address(settings), timeout=1):
            break
        time.sleep(0.02)
    notify(b"READY=1")
    _log.info("ready on %s", settings.listen)


def listening_address(settings: WebSettings) -> tuple[str, int]:
    """Give address and port; ServeError where passwords would cross a network in the clear."""
    text, _, port = settings.listen.rpartition(":")
    address = ipaddress.ip_address(text.strip("[]"))
    if not (address.is_loopback or settings.certificate or settings.trusted_proxies):
        message = (
            "web.listen: other than loopback only with web.certificate and web.key, or behind "
            "web.trusted_proxies that speak HTTPS"
        )
        raise ServeError(message)
    return str(address), int(port)


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        message = "web.certificate and web.key: both or neither"
        raise ServeError(message)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        message = f"web.certificate and web.key: {error}"
        raise ServeError(message) from error


def _keep_house(store: Store) -> None:
    while True:
        try:
            store.housekeeping.run()
        except StoreError as error:
            _log.error("housekeeping: %s", error)
        threading.Event().wait(INTERVAL_SECONDS)
