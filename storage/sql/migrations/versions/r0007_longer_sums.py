"""A tenant's sums by eight and by sixty-four days, and what users weigh: so that an operator's year reads few rows.

Revision ID: 0007
Revises: 0006
"""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY_US = 86_400_000_000
OF_TENANT, OF_WHO = 0, 2
DAY = 1
LONGER = ((2, 1, 8 * DAY_US), (3, 2, 64 * DAY_US))
"""A grain, the one that it is summed up from, and how long it is."""
TOKENS = (
    "tokens_input", "tokens_cache_read", "tokens_cache_write_5m", "tokens_cache_write_1h", "tokens_audio_input",
    "tokens_image_input", "tokens_output", "tokens_reasoning", "tokens_audio_output", "tokens_image_output",
)  # fmt: skip
SPLIT = ("quantity_nano", "cost_nano", "fee_nano", "charge_amount", "saving_nano")
MEASURES = (
    "requests", "failed", "partial", "estimated", "unpriced", *TOKENS, "latency_us", "first_byte_us", "first_bytes",
    *(f"{name}_{part}" for name in SPLIT for part in ("whole", "rest")),
)  # fmt: skip
WEIGHT_KEY = ("grain", "start_us", "series")
WEIGHED = ("requests", "tokens", "cost_nano_whole", "cost_nano_rest")


def upgrade() -> None:
    """Sum up the days that are there, each grain from the one before; no row is looked at."""
    op.create_table(
        "usage_weight",
        *(sa.Column(name, I8, autoincrement=False, nullable=False) for name in WEIGHT_KEY),
        *(sa.Column(name, I8, nullable=False) for name in WEIGHED),
        sa.PrimaryKeyConstraint(*WEIGHT_KEY),
        sqlite_strict=True,
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 70},
    )
    fill()


def fill() -> None:
    """Sum up the days that are there."""
    used = "+".join(f"t.{name}" for name in TOKENS)
    op.execute(
        f"INSERT INTO usage_weight ({', '.join((*WEIGHT_KEY, *WEIGHED))}) "
        f"SELECT {DAY}, t.start_us, t.series, t.requests, {used}, t.cost_nano_whole, t.cost_nano_rest "
        f"FROM usage_series s JOIN usage_slot t ON t.series=s.id AND t.grain={DAY} WHERE s.level={OF_WHO} "
        "ORDER BY t.start_us, t.series"
    )
    for grain, finer, length_us in LONGER:
        _sum_slots(grain, finer, length_us)
        _sum_weights(grain, finer, length_us)


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("usage_weight")
    op.execute(f"DELETE FROM usage_slot WHERE grain IN ({', '.join(str(grain) for grain, _, _ in LONGER)})")


def _sum_slots(grain: int, finer: int, length_us: int) -> None:
    start = f"t.start_us - t.start_us % {length_us}"
    op.execute(
        f"INSERT INTO usage_slot (series, grain, start_us, {', '.join(MEASURES)}) "
        f"SELECT t.series, {grain}, {start}, {', '.join(f'sum(t.{name})' for name in MEASURES)} "
        f"FROM usage_series s JOIN usage_slot t ON t.series=s.id AND t.grain={finer} WHERE s.level={OF_TENANT} "
        f"GROUP BY t.series, {start}"
    )


def _sum_weights(grain: int, finer: int, length_us: int) -> None:
    start = f"t.start_us - t.start_us % {length_us}"
    op.execute(
        f"INSERT INTO usage_weight ({', '.join((*WEIGHT_KEY, *WEIGHED))}) "
        f"SELECT {grain}, {start}, t.series, {', '.join(f'sum(t.{name})' for name in WEIGHED)} "
        f"FROM usage_weight t WHERE t.grain={finer} GROUP BY {start}, t.series ORDER BY {start}, t.series"
    )
