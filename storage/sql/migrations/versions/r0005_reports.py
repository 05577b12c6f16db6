"""Usage rows know the key, the kind, what else than tokens was counted, and who told of them.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_ORGANIZATIONS = "organization_id IS NOT NULL"


def upgrade() -> None:
    """Add what is new. All that was kept so far came through the gateway and counted tokens."""
    op.add_column("usage", sa.Column("key_id", sa.Text()))
    op.add_column("usage", sa.Column("kind", sa.Text(), nullable=False, server_default="TOKEN_USAGE"))
    op.add_column("usage", sa.Column("unit", sa.Text()))
    op.add_column("usage", sa.Column("quantity_nano", I8))
    op.add_column("usage", sa.Column("source", sa.Text(), nullable=False, server_default="gateway"))
    op.create_index(
        "usage_by_organization",
        "usage",
        ["tenant", "organization_id", "occurred_us", "seq"],
        sqlite_where=sa.text(OF_ORGANIZATIONS),
        postgresql_where=sa.text(OF_ORGANIZATIONS),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("usage_by_organization", "usage")
    for name in ("source", "quantity_nano", "unit", "kind", "key_id"):
        op.drop_column("usage", name)
