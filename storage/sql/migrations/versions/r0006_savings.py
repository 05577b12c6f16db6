"""Usage knows which model was asked for where another one served, and what that saved.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MEASURES = ("saving_nano_whole", "saving_nano_rest")


def upgrade() -> None:
    """Add what is new; nothing was ever saved before."""
    op.add_column("usage", sa.Column("asked_model", sa.Text()))
    op.add_column("usage", sa.Column("saving_nano", I8))
    for name in MEASURES:
        op.add_column("usage_slot", sa.Column(name, I8, nullable=False, server_default="0"))


def downgrade() -> None:
    """Take it away again."""
    for name in MEASURES:
        op.drop_column("usage_slot", name)
    for name in ("saving_nano", "asked_model"):
        op.drop_column("usage", name)
