"""Reads a store's audit like an auditor who has the key file and trusts no code of ours."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from store.opening import Store
from store.schema import accounts, audit_events, sealed_keys
from store.settings import Settings

SYSTEM = ""
"""The name under which the store keeps what concerns no account."""

Rows = Sequence[Any]


def events(store: Store, account: str) -> Rows:
    """Give the rows of an account's events, in order."""
    query = select(audit_events).join(accounts, accounts.c.id == audit_events.c.account_id)
    query = query.where(accounts.c.name == account).order_by(audit_events.c.sequence)
    with store.units.database.read() as connection:
        return connection.execute(query).all()


def told(store: Store, account: str = "alice") -> list[str]:
    """Give an account's events as "event" or "event reason"."""
    return [" ".join(filter(None, (row.event, row.reason))) for row in events(store, account)]


def broken_chains(store: Store, settings: Settings) -> list[str]:
    """Name the accounts whose chain does not verify; the system's among them."""
    key = _audit_key(store, settings)
    with store.units.database.read() as connection:
        heads = connection.execute(select(accounts)).all()
    return [head.name for head in heads if not _holds(key, head, events(store, head.name))]


def _holds(key: bytes, head: Any, rows: Rows) -> bool:
    number, tip = head.audit_base_sequence, head.audit_base_digest[:32]
    context = f"pruned {number} {head.name}".encode()
    if number and head.audit_base_digest[32:] != hmac.digest(key, tip + context, hashlib.sha256):
        return False
    if not number:
        tip = hmac.digest(key, b"first head of " + head.name.encode(), hashlib.sha256)
    for row in rows:
        number += 1
        fields = [
            head.name,
            number,
            row.at,
            row.event,
            row.actor,
            row.protocol,
            row.address,
            row.reason,
            row.factor_id,
            row.subject,
        ]
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        digest = hmac.digest(key, tip + text.encode(), hashlib.sha256)
        tip = hmac.digest(key, b"next head " + tip + digest, hashlib.sha256)
        if (row.sequence, row.digest) != (number, digest):
            return False
    return bool((head.audit_sequence, head.audit_digest) == (number, tip))


def _audit_key(store: Store, settings: Settings) -> bytes:
    with store.units.database.read() as connection:
        row = connection.execute(select(sealed_keys).where(sealed_keys.c.name == "audit")).one()
    lines = Path(settings.store.key_file).read_text().splitlines()
    keys = dict(line.split(":") for line in lines if ":" in line)
    cipher = AESGCM(base64.b64decode(keys[row.key_id]))
    return cipher.decrypt(row.sealed[:12], row.sealed[12:], b"store audit")
