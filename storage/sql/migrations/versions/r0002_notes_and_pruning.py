"""Holds keep the usage row of their expiry; keys and usage rows may be pruned; only what moved is indexed as a movement.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY_US = 24 * 3600 * 1_000_000
MOVED = "amount > 0 AND kind <> 1"


def upgrade() -> None:
    """Add what is new. The keys of calls may be forgotten after 35 days; those of payments and grants never."""
    op.add_column("hold", sa.Column("note", sa.Text()))
    op.add_column("idem", sa.Column("expires_us", I8))
    op.execute(f"UPDATE idem SET expires_us = created_us + {35 * DAY_US} WHERE scope LIKE 'executeAIRequest:%'")  # noqa: S608  # a number of ours
    can_expire = sa.text("expires_us IS NOT NULL")
    op.create_index("idem_expiry", "idem", ["expires_us"], sqlite_where=can_expire, postgresql_where=can_expire)
    op.create_table(
        "pruned",
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("before_us", I8, nullable=False),
        sa.PrimaryKeyConstraint("resource"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _index_movements(sa.text(MOVED))


def downgrade() -> None:
    """Take it away again."""
    _index_movements(None)
    op.drop_table("pruned")
    op.drop_index("idem_expiry", "idem")
    op.drop_column("idem", "expires_us")
    op.drop_column("hold", "note")


def _index_movements(where: sa.TextClause | None) -> None:
    for side in ("debit", "credit"):
        name = f"transfer_{side}"
        op.drop_index(name, "transfer")
        op.create_index(
            name, "transfer", [f"{side}_account", "batch_id", "id"], sqlite_where=where, postgresql_where=where
        )
