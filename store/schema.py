"""The tables, as SQLAlchemy Core knows them. Nobody outside the store imports this.

Times are milliseconds since 1970-01-01 UTC, as the clock gives them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives numbers of its own only to a column that is exactly INTEGER PRIMARY KEY."""

SYSTEM_ACCOUNT = ""
"""The row whose audit chain holds what concerns no account; NSS knows no empty name."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", _Number, primary_key=True),
    # In the order of its bytes everywhere, so that pages by name do not depend on a locale.
    Column(
        "name",
        String(256).with_variant(String(256, collation="C"), "postgresql"),
        nullable=False,
        unique=True,
    ),
    Column("created_at", BigInteger, nullable=False),
    Column("barred_at", BigInteger),
    # Since when the account has an active TOTP factor; null: it has none. Kept beside the factors
    # so that logins and lists need not count them; a login without a code looks at them too.
    Column("adopted_at", BigInteger),
    # Grows with whatever ends the account's sessions: see store.sessions.
    Column("generation", Integer, nullable=False, server_default="0"),
    # Wrong codes in a row, and the lock they led to: see store.lockout.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("locks", Integer, nullable=False, server_default="0"),
    Column("locked_at", BigInteger),
    Column("last_wrong", LargeBinary),
    # Which factors and recovery codes there are: see store.holdings.
    Column("holdings", LargeBinary, nullable=False),
    # Over all of the above and the chain's head: see store.integrity.
    Column("mac", LargeBinary, nullable=False),
    # The head of this account's audit chain, behind its last event: see store.audit.
    Column("audit_sequence", BigInteger, nullable=False, server_default="0"),
    Column("audit_digest", LargeBinary, nullable=False),
    # The last event that was pruned, and the head behind it.
    Column("audit_base_sequence", BigInteger, nullable=False, server_default="0"),
    Column("audit_base_digest", LargeBinary, nullable=False),
)

for _name in ("adopted_at", "barred_at", "locked_at"):
    # For pages of only those accounts, by name.
    _some = accounts.c[_name].is_not(None)
    Index(f"ix_accounts_name_{_name}", accounts.c.name, sqlite_where=_some, postgresql_where=_some)

Index(
    "ix_accounts_name_not_adopted",
    accounts.c.name,
    sqlite_where=accounts.c.adopted_at.is_(None),
    postgresql_where=accounts.c.adopted_at.is_(None),
)

totp_factors = Table(
    "totp_factors",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("key_id", String(32), nullable=False, index=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),  # null: the enrollment is pending
    Column("last_used_step", BigInteger, nullable=False, server_default="-1"),
    Column("mac", LargeBinary, nullable=False),
    Column("last_used_at", BigInteger),
)

# For the housekeeping, which looks for old pending ones among all that are old.
_pending = totp_factors.c.completed_at.is_(None)
Index(
    "ix_totp_factors_created_at",
    totp_factors.c.created_at,
    sqlite_where=_pending,
    postgresql_where=_pending,
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("name", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),  # words, separated by a space
    Column("networks", String(1024), nullable=False),  # CIDR, separated by a space; empty: all
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("mac", LargeBinary, nullable=False),
    Column("last_used_at", BigInteger),
    Column("last_used_address", String(64)),
    Index("ix_access_tokens_account_id_created_at", "account_id", "created_at"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

graces = Table(
    "graces",
    metadata,
    # The last accepted code of an account from an address: see store.grace.
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("accepted_at", BigInteger, nullable=False, index=True),
    Column("mac", LargeBinary, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("protocol", String(8), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, index=True),
    Column("confirmed_at", BigInteger),
    Column("mac", LargeBinary, nullable=False),
    Column("address", String(64)),
    Column("agent", String(200), nullable=False),
)

throttles = Table(
    "throttles",
    metadata,
    # Wrong answers at the gates that are not the code check: see store.lockout.
    Column("gate", String(32), primary_key=True),
    Column("subject", String(256), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locks", Integer, nullable=False),
    Column("locked_at", BigInteger),
    Column("counted_at", BigInteger, nullable=False, index=True),
)

used_forms = Table(
    "used_forms",
    metadata,
    # Tokens of web forms that were sent: see store.forms.
    Column("digest", LargeBinary, primary_key=True),
    Column("used_at", BigInteger, nullable=False, index=True),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("event", String(48), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("protocol", String(8), nullable=False),
    Column("address", String(64)),
    Column("reason", String(48)),
    Column("factor_id", String(16)),
    Column("subject", String(256)),
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("account_id", "sequence"),
    # Newest first, of all events or of some.
    Index("ix_audit_events_at_id", "at", "id"),
    Index("ix_audit_events_account_id_at_id", "account_id", "at", "id"),
    Index("ix_audit_events_event_at_id", "event", "at", "id"),
    Index("ix_audit_events_address_at_id", "address", "at", "id"),
)

sealed_keys = Table(
    "sealed_keys",
    metadata,
    # Keys that must outlive a rotation of the key file, sealed under its key.
    Column("name", String(32), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
