"""What is offered to a server: algorithms, methods of login, and the order of both."""

from typing import Any

import asyncssh

from scripts.transfer.errors import Exit, TransferError
from scripts.transfer.known_hosts import Trust
from scripts.transfer.names import show
from scripts.transfer.settings import Settings

_KEEPALIVE_SECONDS = 15
# Twice as fast here as OpenSSH's first choice, which costs more calls for each packet.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_CERTIFICATE = "-cert-v01@openssh.com"
_HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_METHODS = "gssapi-with-mic,publickey,keyboard-interactive,password"
_ALGORITHMS = {"ciphers": "encryption_algs", "kexalgorithms": "kex_algs", "macs": "mac_algs"}


def connection_options(
    settings: Settings, client: asyncssh.SSHClient, trust: Trust
) -> dict[str, Any]:
    """Say everything to asyncssh that its own reading of the configuration would."""
    preferred = settings.text("preferredauthentications")
    options: dict[str, Any] = {
        "config": None,
        "client_factory": lambda: client,
        "username": settings.user,
        "known_hosts": trust.matcher(),
        "host_key_alias": trust.name,
        "server_host_key_algs": _host_keys(settings, trust),
        "encryption_algs": _CIPHERS,
        "login_timeout": 0,  # people answer; the login sees to the server
        "keepalive_interval": settings.number("serveraliveinterval", 0) or _KEEPALIVE_SECONDS,
        "keepalive_count_max": settings.number("serveralivecountmax", 3),
        "proxy_command": settings.proxy,
        "client_keys": None,  # the client gives them
        "gss_kex": False,
        "gss_auth": settings.is_on("gssapiauthentication", default=False),
        "host_based_auth": False,
        "password_auth": settings.is_on("passwordauthentication", default=True),
        "kbdint_auth": settings.is_on("kbdinteractiveauthentication", default=True),
        "preferred_auth": preferred or _METHODS,
        "x509_trusted_certs": None,
        "send_env": None,
        "tcp_keepalive": settings.is_on("tcpkeepalive", default=True),
    }
    for option, name in _ALGORITHMS.items():
        if option in settings.chosen:
            options[name] = _supported(name, settings.chosen[option])
    return options


def _host_keys(settings: Settings, trust: Trust) -> list[str]:
    """Ask for what can be judged first, but not for that only: a changed key is to be seen."""
    if "hostkeyalgorithms" in settings.chosen:
        allowed = _supported("server_host_key_algs", settings.chosen["hostkeyalgorithms"])
    else:
        allowed = [f"{name}{_CERTIFICATE}" for name in _HOST_KEYS] + list(_HOST_KEYS)
    known = {name.decode("ascii") for key in trust.keys for name in key.sig_algorithms}
    if not trust.authorities:  # a certificate would prove nothing
        allowed = [name for name in allowed if not name.endswith(_CERTIFICATE)]
    return sorted(allowed, key=lambda name: name not in known and not name.endswith(_CERTIFICATE))


def _supported(name: str, wanted: str) -> list[str]:
    """Leave out what asyncssh does not have, as OpenSSH's lists name more."""
    kept = []
    for word in wanted.split(","):
        try:
            asyncssh.SSHClientConnectionOptions(config=None, client_keys=None, **{name: [word]})
        except ValueError:
            continue
        kept.append(word)
    if not kept:
        message = f"none of the {name} of the SSH configuration is known here: {show(wanted)}"
        raise TransferError(Exit.USAGE, message)
    return kept
