"""What the commands of `sftp-mfa-admin` share: the store, names, who does it, how it is shown."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from scripts import privileges
from scripts.command_line import load_settings
from store.access_tokens import AccessToken
from store.accounts import canonical_name
from store.audit import Actor
from store.decisions import Protocol
from store.opening import Store, open_store
from store.totp_factors import TotpFactor


@contextmanager
def store_of(config: Path) -> Iterator[Store]:
    """Open the store as the service's user, and close it."""
    settings = load_settings(config)
    privileges.become_service(settings)
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def account(typed: str) -> str:
    """Turn what was typed into the account's one name."""
    name = canonical_name(typed)
    if name is None:
        message = f"there is no account {typed!r} on this host"
        raise click.UsageError(message)
    return name


user_argument = click.argument("user", callback=lambda _context, _option, typed: account(typed))


def actor() -> Actor:
    """Say who does it: root, and through whose hands where sudo tells."""
    caller = os.environ.get("SUDO_USER")
    return Actor(f"root ({caller})" if caller else "root", Protocol.HOST)


def totp_data(factor: TotpFactor) -> dict[str, Any]:
    """Give an authenticator as data for programs."""
    return {
        "id": factor.id,
        "name": factor.name,
        "status": "active" if factor.completed_at else "pending",
        "createdAt": factor.created_at,
        "lastUsedAt": factor.last_used_at,
    }


def token_data(token: AccessToken) -> dict[str, Any]:
    """Give an access token, without its secret, as data for programs."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "networks": token.networks,
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "lastUsedAt": token.last_used_at,
        "lastUsedAddress": token.last_used_address,
    }


def show_time(value: datetime | None) -> str:
    """Show a time to a person, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if value is not None else "-"


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their heads, each column as wide as it must be."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
