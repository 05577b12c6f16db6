"""Every table, defined once for both databases. No statements of the hot path, no rows: definitions only.

Amounts are int64 in the scale of their asset; times are int64 microseconds since 1970 UTC, from the server's own clock.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

from storage.sql.usage_rows import BUCKETS

metadata = MetaData()

I8 = BigInteger().with_variant(Integer(), "sqlite")
"""Eight bytes on both databases; SQLite only makes a rowid of the exact word INTEGER."""

usage = Table(
    "usage",
    metadata,
    Column("seq", I8, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("request_id", Text, nullable=False),
    Column("occurred_us", I8, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user_id", Text),
    Column("organization_id", Text),
    Column("caller_kind", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("provider", Text),
    Column("model", Text),
    Column("outcome", Text, nullable=False),
    *(Column(f"tokens_{bucket}", I8, nullable=False) for bucket in BUCKETS),
    Column("is_estimated", I8, nullable=False),
    Column("is_partial", I8, nullable=False),
    Column("latency_us", I8, nullable=False),
    Column("first_byte_us", I8),
    Column("is_stream", I8, nullable=False),
    Column("feature", Text),
    Column("metadata", Text),
    Column("price_version", Text),
    Column("cost_nano", I8),
    Column("fee_nano", I8),
    Column("charge_amount", I8),
    Column("charge_asset", Text),
    Index("usage_by_user", "tenant", "user_id", "occurred_us"),
    sqlite_strict=True,
)
