"""Windows of quotas know their limit and thresholds, what was told of them, and what the period before left over.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; the windows of today look for nothing until the next claim."""
    op.add_column("quota_window", sa.Column("bound", I8))
    op.add_column("quota_window", sa.Column("marks", sa.Text()))
    op.add_column("quota_window", sa.Column("told", I8))
    op.add_column("quota_window", sa.Column("carried", I8))


def downgrade() -> None:
    """Take it away again."""
    for name in ("carried", "told", "marks", "bound"):
        op.drop_column("quota_window", name)
