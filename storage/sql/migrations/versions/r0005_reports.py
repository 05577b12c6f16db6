"""Usage rows know the key, the kind, what else than tokens was counted, and who told of them; and they are summed up.

Revision ID: 0005
Revises: 0004
"""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DIMENSIONS = (
    "user_id", "organization_id", "key_id", "provider", "model", "method", "tier", "caller_kind", "feature", "kind", "unit",
    "outcome", "source", "charge_asset",
)  # fmt: skip
TOKENS = (
    "tokens_input", "tokens_cache_read", "tokens_cache_write_5m", "tokens_cache_write_1h", "tokens_audio_input",
    "tokens_image_input", "tokens_output", "tokens_reasoning", "tokens_audio_output", "tokens_image_output",
)  # fmt: skip
LEVELS = (("tenant", *DIMENSIONS[3:]), ("tenant", *DIMENSIONS), ("tenant", "user_id", "charge_asset"))
"""What each level of series looks at."""
HOUR_US = 3_600_000_000
SLOTS = ((0, 0, HOUR_US), (0, 1, 24 * HOUR_US), (1, 0, HOUR_US), (2, 1, 24 * HOUR_US))
"""Level, grain, length."""
SLOT_KEY = ("series", "grain", "start_us")
SPLIT = ("quantity_nano", "cost_nano", "fee_nano", "charge_amount")
MEASURES = (
    "requests", "failed", "partial", "estimated", "unpriced", *TOKENS, "latency_us", "first_byte_us", "first_bytes",
    *(f"{name}_{part}" for name in SPLIT for part in ("whole", "rest")),
)  # fmt: skip
MEASURED = (
    "count(*)", "count(CASE WHEN outcome IN ('failed', 'refused') THEN 1 END)", "sum(is_partial)", "sum(is_estimated)",
    f"count(CASE WHEN cost_nano IS NULL AND {'+'.join(TOKENS)}>0 THEN 1 END)", *(f"sum({name})" for name in TOKENS),
    "sum(latency_us)", "sum(coalesce(first_byte_us, 0))", "count(first_byte_us)",
    *(f"sum(coalesce({name}, 0){part}1000000000)" for name in SPLIT for part in ("/", "%")),
)  # fmt: skip
OF_ORGANIZATIONS = "organization_id IS NOT NULL"


def upgrade() -> None:
    """Add what is new. All that was kept so far came through the gateway and counted tokens."""
    op.add_column("usage", sa.Column("key_id", sa.Text()))
    op.add_column("usage", sa.Column("kind", sa.Text(), nullable=False, server_default="TOKEN_USAGE"))
    op.add_column("usage", sa.Column("unit", sa.Text()))
    op.add_column("usage", sa.Column("quantity_nano", I8))
    op.add_column("usage", sa.Column("source", sa.Text(), nullable=False, server_default="gateway"))
    _index_organizations()
    if op.get_bind().dialect.name == "postgresql":
        _divide()
    _create_series()
    _create_slots()
    _fill()


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("usage_slot")
    op.drop_table("usage_series")
    if op.get_bind().dialect.name == "postgresql":
        _unite()
    op.drop_index("usage_by_organization", "usage")
    for name in ("source", "quantity_nano", "unit", "kind", "key_id"):
        op.drop_column("usage", name)


def _create_series() -> None:
    op.create_table(
        "usage_series",
        sa.Column("id", I8, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("level", I8, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in DIMENSIONS),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        sqlite_strict=True,
    )
    op.create_index("usage_series_user", "usage_series", ["tenant", "level", "user_id"])
    for name, column in (("usage_series_organization", "organization_id"), ("usage_series_key", "key_id")):
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "usage_series", ["tenant", column], sqlite_where=known, postgresql_where=known)


def _create_slots() -> None:
    op.create_table(
        "usage_slot",
        *(sa.Column(name, I8, autoincrement=False, nullable=False) for name in SLOT_KEY),
        *(sa.Column(name, I8, nullable=False) for name in MEASURES),
        sa.PrimaryKeyConstraint(*SLOT_KEY),
        sqlite_strict=True,
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 70},
    )


def _fill() -> None:
    """Sum up the rows that are there: first who and what occurs in them, then how much."""
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        connection = bind.connection.driver_connection
        assert connection is not None, "alembic runs over an open connection"
        connection.create_function("usage_digest", 1, _digest, deterministic=True)
    for level, looks_at in enumerate(LEVELS):
        names = ", ".join(looks_at)
        op.execute(
            f"INSERT INTO usage_series (digest, level, {names}) SELECT {_digest_of(level)}, {level}, {names} "
            f"FROM (SELECT DISTINCT {names} FROM usage) d"
        )
    for level, grain, length_us in SLOTS:
        names, start = ", ".join(LEVELS[level]), f"occurred_us - occurred_us % {length_us}"
        measured = ", ".join(f"{measure} AS {name}" for name, measure in zip(MEASURES, MEASURED, strict=True))
        summed = f"SELECT {names}, {start} AS start_us, {measured} FROM usage GROUP BY {names}, {start}"
        op.execute(
            f"INSERT INTO usage_slot ({', '.join((*SLOT_KEY, *MEASURES))}) "
            f"SELECT s.id, {grain}, d.start_us, {', '.join(f'd.{name}' for name in MEASURES)} "
            f"FROM ({summed}) d JOIN usage_series s ON s.digest={_digest_of(level)}"
        )


def _digest_of(level: int) -> str:
    """The text by which a series is known, of the row `d`; as the program makes it."""
    said = " || ".join(
        f"coalesce('|' || length(d.{name}) || ':' || d.{name}, '|-')" if name in LEVELS[level] else "'|-'"
        for name in ("tenant", *DIMENSIONS)
    )
    if op.get_bind().dialect.name == "sqlite":
        return f"usage_digest('{level}' || {said})"
    return f"left(encode(sha256(convert_to('{level}' || {said}, 'UTF8')), 'hex'), 32)"


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:32]


MONTHS = (
    'SELECT to_char(m, \'"usage_y"YYYY"m"MM\'), (extract(epoch FROM m)*1000000)::bigint, '
    "(extract(epoch FROM m + interval '1 month')*1000000)::bigint FROM (SELECT DISTINCT "
    "date_trunc('month', to_timestamp(occurred_us/1000000) AT TIME ZONE 'UTC') AS m FROM usage) d"
)


def _divide() -> None:
    """Move the rows into a table with a partition for every month that has some."""
    bind = op.get_bind()
    months = [tuple(row) for row in bind.exec_driver_sql(MONTHS)]
    op.execute("ALTER TABLE usage RENAME TO usage_whole")
    for name in ("usage_by_organization", "usage_by_time", "usage_by_user"):
        op.execute(f"DROP INDEX {name}")
    op.execute("ALTER TABLE usage_whole DROP CONSTRAINT usage_pkey, DROP CONSTRAINT usage_id_key")
    op.execute("CREATE TABLE usage (LIKE usage_whole INCLUDING DEFAULTS) PARTITION BY RANGE (occurred_us)")
    for name, since_us, until_us in months:
        op.execute(f"CREATE TABLE {name} PARTITION OF usage FOR VALUES FROM ({since_us}) TO ({until_us})")
    op.execute("INSERT INTO usage SELECT * FROM usage_whole")
    op.execute("ALTER SEQUENCE usage_seq_seq OWNED BY usage.seq")
    op.execute("DROP TABLE usage_whole")
    op.execute("ALTER TABLE usage ADD CONSTRAINT usage_id_occurred_us_key UNIQUE (id, occurred_us)")
    _index()


def _unite() -> None:
    """One table for all months again."""
    op.execute("ALTER TABLE usage RENAME TO usage_divided")
    for name in ("usage_by_organization", "usage_by_time", "usage_by_user"):
        op.execute(f"DROP INDEX {name}")
    op.execute("CREATE TABLE usage (LIKE usage_divided INCLUDING DEFAULTS)")
    op.execute("INSERT INTO usage SELECT * FROM usage_divided")
    op.execute("ALTER SEQUENCE usage_seq_seq OWNED BY usage.seq")
    op.execute("DROP TABLE usage_divided")
    op.execute("ALTER TABLE usage ADD CONSTRAINT usage_pkey PRIMARY KEY (seq)")
    op.execute("ALTER TABLE usage ADD CONSTRAINT usage_id_key UNIQUE (id)")
    _index()


def _index() -> None:
    op.create_index("usage_by_time", "usage", ["tenant", "occurred_us", "seq"])
    op.create_index("usage_by_user", "usage", ["tenant", "user_id", "occurred_us", "seq"])
    _index_organizations()


def _index_organizations() -> None:
    op.create_index(
        "usage_by_organization",
        "usage",
        ["tenant", "organization_id", "occurred_us", "seq"],
        sqlite_where=sa.text(OF_ORGANIZATIONS),
        postgresql_where=sa.text(OF_ORGANIZATIONS),
    )
