"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("id", _Number),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("barred_at", sa.BigInteger),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("locked_at", sa.BigInteger),
        sa.Column("last_wrong", sa.LargeBinary),
        sa.Column("audit_sequence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("audit_digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.create_table(
        "totp_factors",
        sa.Column("id", sa.String(16)),
        sa.Column("account_id", _Number, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("last_used_step", sa.BigInteger, nullable=False, server_default="-1"),
        sa.Column("last_used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_totp_factors"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_totp_factors_account_id"),
    )
    op.create_index("ix_totp_factors_account_id", "totp_factors", ["account_id"])
    op.create_index("ix_totp_factors_key_id", "totp_factors", ["key_id"])
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(8)),
        sa.Column("account_id", _Number, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(64), nullable=False),
        sa.Column("networks", sa.String(1024), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("last_used_address", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_access_tokens_account_id"
        ),
    )
    op.create_index(
        "ix_access_tokens_account_id_created_at", "access_tokens", ["account_id", "created_at"]
    )
    op.create_table(
        "throttles",
        sa.Column("gate", sa.String(32)),
        sa.Column("subject", sa.String(256)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locks", sa.Integer, nullable=False),
        sa.Column("locked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("gate", "subject", name="pk_throttles"),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", _Number),
        sa.Column("account_id", _Number, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(48), nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("reason", sa.String(48)),
        sa.Column("factor_id", sa.String(16)),
        sa.Column("subject", sa.String(256)),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_audit_events_account_id"),
        sa.UniqueConstraint("account_id", "sequence", name="uq_audit_events_account_id_sequence"),
    )
    op.create_table(
        "sealed_keys",
        sa.Column("name", sa.String(32)),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sealed_keys"),
    )
