"""Days are summed up by longer times once they have ended: a mark says how far that has come.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

from storage.sql.migrations.versions.r0007_longer_sums import LONGER, fill

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

EVERY_DAY = 2**62
"""So far every day was summed up at once."""


def upgrade() -> None:
    """Say so. The row is there from now on, so that it can be locked."""
    op.execute(f"INSERT INTO pruned (resource, before_us) VALUES ('weighed', {EVERY_DAY})")  # noqa: S608  # our own number


def downgrade() -> None:
    """Sum everything up again, what waited among it."""
    op.execute("DELETE FROM pruned WHERE resource='weighed'")
    op.execute("DELETE FROM usage_weight")
    op.execute(f"DELETE FROM usage_slot WHERE grain IN ({', '.join(str(grain) for grain, _, _ in LONGER)})")  # noqa: S608  # same
    fill()
