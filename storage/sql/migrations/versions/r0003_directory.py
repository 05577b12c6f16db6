"""The directory: what is known of users, organizations and keys; and kept rows in pages.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table and the index."""
    op.create_table(
        "directory",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("expires_us", I8, nullable=False),
        sa.Column("version", I8, nullable=False),
        sa.Column("seq", I8, nullable=False),
        sa.Column("changed_us", I8, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", "key"),
        sqlite_strict=True,
    )
    op.create_index("directory_owner", "directory", ["tenant", "owner", "kind", "key"])
    op.create_index("directory_seq", "directory", ["seq"], unique=True)
    op.create_index("directory_expiry", "directory", ["expires_us"])
    no_answers = sa.text("kind <> 'answer'")
    op.create_index("kept_kind", "kept", ["tenant", "kind", "id"], sqlite_where=no_answers, postgresql_where=no_answers)


def downgrade() -> None:
    """Drop them, with every entry."""
    op.drop_index("kept_kind", "kept")
    op.drop_table("directory")
