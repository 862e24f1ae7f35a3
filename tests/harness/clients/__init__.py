"""SFTP clients that people use, each driven as a person or a job would drive it."""

from pathlib import Path

from harness.clients.common import Answer, Client, Method, Outcome, TransferError
from harness.clients.lftp import Lftp
from harness.clients.openssh import OpenSsh
from harness.clients.putty import Psftp
from harness.clients.python import Paramiko

__all__ = [
    "CLIENTS",
    "Answer",
    "Client",
    "Lftp",
    "Method",
    "OpenSsh",
    "Outcome",
    "Paramiko",
    "Psftp",
    "TransferError",
    "make_client",
]

CLIENTS = {kind.name: kind for kind in (OpenSsh, Psftp, Lftp, Paramiko)}


def make_client(name: str, folder: Path) -> Client:
    """Make the client of this name, with a folder for its files."""
    return CLIENTS[name](folder)
