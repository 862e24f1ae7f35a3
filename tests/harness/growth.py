"""Stores of any size, filled by the database itself: what services did in years, in minutes."""

from sqlalchemy import Connection

NOW = 1_800_000_000_000
DAY = 86_400_000
EVENTS_OF_EACH = 10
"""Audit events of each account."""

_COUNTED = "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
_FILL = [
    """
    INSERT INTO accounts (id, name, created_at, barred_at, adopted_at, failures, locks, locked_at,
        holdings, mac, audit_sequence, audit_digest, audit_base_sequence, audit_base_digest)
    SELECT i * 1000 + 1000, {name}, {now} - {day}, CASE WHEN i % 20 = 0 THEN {now} END,
        {now} - {day}, 0, CASE WHEN i % 20 = 1 THEN 1 ELSE 0 END,
        CASE WHEN i % 20 = 1 THEN {now} END, {blob}, {blob}, {events}, {blob}, 0, {blob} FROM n
    """,
    """
    INSERT INTO totp_factors (id, account_id, name, key_id, sealed_secret, created_at, completed_at,
        last_used_step, mac, last_used_at)
    SELECT {hex}, i * 1000 + 1000, 'phone', 'somekey1', {blob}, {now} - {day}, {now} - {day},
        {now} / 30000 - 2880, {blob}, {now} - {day} FROM n
    """,
    """
    INSERT INTO access_tokens (id, account_id, digest, name, scopes, networks, created_at, mac)
    SELECT {token}, i * 1000 + 1000, {blob}, 'job', 'sftp', '', {now} - {day} + k.k, {blob}
    FROM n CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) AS k
    """,
    """
    INSERT INTO recovery_codes (account_id, digest, created_at)
    SELECT i * 1000 + 1000, {blob}, {now} - {day} FROM n
    """,
    """
    INSERT INTO sessions (id, digest, account_id, protocol, stage, created_at, seen_at,
        confirmed_at, mac, address, agent)
    SELECT {hex}, {digest}, i * 1000 + 1000, 'web', 'full', {now}, {now}, {now}, {blob},
        '192.0.2.7', 'Firefox'
    FROM n
    """,
]
_EVENTS = """
    INSERT INTO audit_events (account_id, sequence, at, event, actor, protocol, address, reason,
        digest)
    SELECT i * 1000 + 1000, {sequence}, {now} - {day} + {sequence} * 3600000 + i % 3600000,
        CASE WHEN i % 1000 = 7 THEN 'codes_locked' WHEN i % 10 = 3 THEN 'login_denied'
            ELSE 'login_granted' END,
        {name}, 'ssh', {address}, 'code_accepted', {blob} FROM n
    """
_WORDS = {
    "sqlite": {
        "name": "printf('u%08d', i)",
        "hex": "printf('%012x', i)",
        "token": "printf('%08d', i * 3 + k.k)",
        "address": "printf('10.%d.%d.%d', i / 65536 % 256, i / 256 % 256, i % 256)",
        "digest": "CAST(printf('%032d', i) AS BLOB)",
        "blob": "zeroblob(32)",
    },
    "postgresql": {
        "name": "'u' || lpad(i::text, 8, '0')",
        "hex": "lpad(to_hex(i), 12, '0')",
        "token": "lpad((i * 3 + k.k)::text, 8, '0')",
        "address": "'10.' || i / 65536 % 256 || '.' || i / 256 % 256 || '.' || i % 256",
        "digest": "lpad(i::text, 32, '0')::bytea",
        "blob": "decode(repeat('00', 32), 'hex')",
    },
}


def name_of(number: int) -> str:
    """Give the name of an account that was filled in."""
    return f"u{number:08d}"


def fill(connection: Connection, first: int, last: int, events: int = EVENTS_OF_EACH) -> None:
    """Add accounts by number, each with a factor, three tokens, a session and audit events."""
    words = {**_WORDS[connection.dialect.name], "now": NOW, "day": DAY, "events": events}
    counted = _COUNTED.format(first=first, last=last)
    for statement in _FILL:
        _execute(connection, counted + statement.format(**words))
    for sequence in range(1, events + 1):
        _execute(connection, counted + _EVENTS.format(sequence=sequence, **words))


def _execute(connection: Connection, statement: str) -> None:
    is_psycopg = connection.dialect.name == "postgresql"
    connection.exec_driver_sql(statement.replace("%", "%%") if is_psycopg else statement)
