"""Every table, defined once for both databases. No statements of the hot path, no rows: definitions only.

Amounts are int64 in the scale of their asset; times are int64 microseconds since 1970 UTC, from the server's own clock.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.sql.ledger_rows import MOVED
from storage.sql.rollups import DIMENSIONS, MEASURES, SINCE_0006, SLOT_KEY, WEIGHED, WEIGHT_KEY
from storage.sql.usage_rows import BUCKETS

metadata = MetaData()

I8 = BigInteger().with_variant(Integer(), "sqlite")
"""Eight bytes on both databases; SQLite only makes a rowid of the exact word INTEGER."""

usage = Table(
    "usage",
    metadata,
    Column("seq", I8, autoincrement=True, nullable=False),
    Column("id", Text, nullable=False),
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
    Column("key_id", Text),
    Column("kind", Text, nullable=False, server_default="TOKEN_USAGE"),
    Column("unit", Text),
    Column("quantity_nano", I8),
    Column("source", Text, nullable=False, server_default="gateway"),
    Column("asked_model", Text),
    Column("saving_nano", I8),
    Index("usage_by_user", "tenant", "user_id", "occurred_us", "seq"),
    Index("usage_by_time", "tenant", "occurred_us", "seq"),
    PrimaryKeyConstraint("seq").ddl_if(dialect="sqlite"),
    UniqueConstraint("id").ddl_if(dialect="sqlite"),
    UniqueConstraint("id", "occurred_us").ddl_if(dialect="postgresql"),
    sqlite_strict=True,
    postgresql_partition_by="RANGE (occurred_us)",
)
"""PostgreSQL keeps each month in a partition of its own (see `storage.sql.postgres.months`), where every unique key must hold the
time; that an id is there once, whatever its time, its writer sees to."""
Index("usage_by_organization", usage.c.tenant, usage.c.organization_id, usage.c.occurred_us, usage.c.seq,
      sqlite_where=text("organization_id IS NOT NULL"), postgresql_where=text("organization_id IS NOT NULL"))  # fmt: skip

usage_series = Table(
    "usage_series",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("level", I8, nullable=False),
    Column("tenant", Text, nullable=False),
    *(Column(name, Text) for name in DIMENSIONS[1:]),
    Index("usage_series_user", "tenant", "level", "user_id"),
    sqlite_strict=True,
)
"""The combinations of dimensions that usage is summed by: see `storage.sql.rollups`."""
Index("usage_series_organization", usage_series.c.tenant, usage_series.c.organization_id,
      sqlite_where=text("organization_id IS NOT NULL"), postgresql_where=text("organization_id IS NOT NULL"))  # fmt: skip
Index("usage_series_key", usage_series.c.tenant, usage_series.c.key_id,
      sqlite_where=text("key_id IS NOT NULL"), postgresql_where=text("key_id IS NOT NULL"))  # fmt: skip

usage_slot = Table(
    "usage_slot",
    metadata,
    *(Column(name, I8, primary_key=True, autoincrement=False) for name in SLOT_KEY),
    *(Column(name, I8, nullable=False) for name in MEASURES[: -len(SINCE_0006)]),
    *(Column(name, I8, nullable=False, server_default="0") for name in SINCE_0006),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 70},
)
"""Sums of one series and one hour, day, or some days."""

usage_weight = Table(
    "usage_weight",
    metadata,
    *(Column(name, I8, primary_key=True, autoincrement=False) for name in WEIGHT_KEY),
    *(Column(name, I8, nullable=False) for name in WEIGHED),
    sqlite_strict=True,
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 70},
)
"""What a user weighs in one day or some: see `storage.sql.rollups`."""

account = Table(
    "account",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("owner_type", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("kind", I8, nullable=False),
    Column("asset", Text, nullable=False),
    Column("posted", I8, nullable=False),
    Column("held", I8, nullable=False),
    Column("overdraft", I8, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", I8, nullable=False),
    CheckConstraint("held >= 0 AND overdraft >= 0", name="account_held_positive"),
    CheckConstraint("kind >= 100 OR posted >= held - overdraft", name="account_floor"),
    Index("account_key", "tenant", "owner_type", "owner_id", "kind", "asset", unique=True),
    sqlite_strict=True,
)

transfer = Table(
    "transfer",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("group_id", I8, nullable=False),
    Column("debit_account", I8, nullable=False),
    Column("credit_account", I8, nullable=False),
    Column("amount", I8, nullable=False),
    Column("kind", I8, nullable=False),
    Column("code", Text, nullable=False),
    Column("pending_id", I8),
    Column("related_id", I8),
    Column("ref", Text),
    Column("note", Text),
    Column("occurred_us", I8, nullable=False),
    Column("booked_us", I8, nullable=False),
    Column("batch_id", I8, nullable=False),
    CheckConstraint("debit_account <> credit_account", name="transfer_two_accounts"),
    CheckConstraint("amount > 0 OR (amount = 0 AND kind > 0)", name="transfer_amount"),
    CheckConstraint("(pending_id IS NOT NULL) = (kind >= 2)", name="transfer_pending"),
    sqlite_strict=True,
)
# A hold is resolved at most once, whoever tries.
Index("transfer_resolves", transfer.c.pending_id, unique=True, sqlite_where=text("pending_id IS NOT NULL"),
      postgresql_where=text("pending_id IS NOT NULL"))  # fmt: skip
Index("transfer_related", transfer.c.related_id, sqlite_where=text("related_id IS NOT NULL"),
      postgresql_where=text("related_id IS NOT NULL"))  # fmt: skip
# What moved something: holds, releases and calls that cost nothing are no movement, so they cost no place in these indexes.
Index("transfer_debit", transfer.c.debit_account, transfer.c.batch_id, transfer.c.id,
      sqlite_where=text(MOVED), postgresql_where=text(MOVED))  # fmt: skip
Index("transfer_credit", transfer.c.credit_account, transfer.c.batch_id, transfer.c.id,
      sqlite_where=text(MOVED), postgresql_where=text(MOVED))  # fmt: skip

hold = Table(
    "hold",
    metadata,
    Column("transfer_id", I8, primary_key=True, autoincrement=False),
    Column("account_id", I8, nullable=False),
    Column("credit_account", I8, nullable=False),
    Column("amount", I8, nullable=False),
    Column("used", I8, nullable=False),
    Column("on_expire", Text, nullable=False),
    Column("created_us", I8, nullable=False),
    Column("expires_us", I8, nullable=False),
    Column("ref", Text),
    Column("note", Text),
    Index("hold_due", "expires_us", "transfer_id"),
    Index("hold_account", "account_id"),
    sqlite_strict=True,
)

quota_window = Table(
    "quota_window",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("start_us", I8, nullable=False),
    Column("used", I8, nullable=False),
    Column("held", I8, nullable=False),
    Column("bound", I8),
    Column("marks", Text),
    Column("told", I8),
    Column("carried", I8),
    CheckConstraint("used >= 0 AND held >= 0", name="quota_window_positive"),
    Index("quota_window_key", "tenant", "subject", "resource", "period", "start_us", unique=True),
    sqlite_strict=True,
)

hold_window = Table(
    "hold_window",
    metadata,
    Column("transfer_id", I8, primary_key=True, autoincrement=False),
    Column("window_id", I8, primary_key=True, autoincrement=False),
    Column("amount", I8, nullable=False),
    Column("checkpoint", I8, nullable=False),
    Column("settled", I8),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""A hold's part in a window. `settled` is NULL while the hold is open; direct charges are settled from the start.

Once a part is old it goes, and the window's row with transfer 0 keeps the sum of what went."""

lot = Table(
    "lot",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("account_id", I8, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_ref", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("priority", I8, nullable=False),
    Column("granted", I8, nullable=False),
    Column("remaining", I8, nullable=False),
    Column("effective_us", I8, nullable=False),
    Column("expires_us", I8, nullable=False),
    Column("paid_nano", I8, nullable=False),
    Column("paid_currency", Text, nullable=False),
    Column("recognised_nano", I8, nullable=False),
    Column("refunded_nano", I8, nullable=False),
    Column("breakage_nano", I8, nullable=False),
    Column("moved_nano", I8, nullable=False),
    CheckConstraint("remaining >= 0 AND remaining <= granted", name="lot_remaining"),
    CheckConstraint("recognised_nano >= 0 AND recognised_nano <= paid_nano - refunded_nano - breakage_nano - moved_nano",
                    name="lot_value"),
    Index("lot_key", "tenant", "source", "source_ref", unique=True),
    sqlite_strict=True,
)  # fmt: skip
Index("lot_open", lot.c.account_id, lot.c.priority, lot.c.expires_us, lot.c.id, sqlite_where=text("remaining > 0"),
      postgresql_where=text("remaining > 0"))  # fmt: skip
Index("lot_account", lot.c.account_id, lot.c.priority, lot.c.expires_us, lot.c.id)
Index("lot_due", lot.c.expires_us, sqlite_where=text("remaining > 0"), postgresql_where=text("remaining > 0"))

lot_use = Table(
    "lot_use",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=True),
    Column("transfer_id", I8, nullable=False),
    Column("lot_id", I8, nullable=False),
    Column("amount", I8, nullable=False),
    Column("value_nano", I8, nullable=False),
    Index("lot_use_transfer", "transfer_id", "lot_id"),
    sqlite_strict=True,
)
"""Every use, expiry, refund or move, per lot; negative where units went back."""

debt = Table(
    "debt",
    metadata,
    Column("transfer_id", I8, primary_key=True, autoincrement=False),
    Column("account_id", I8, nullable=False),
    Column("amount", I8, nullable=False),
    CheckConstraint("amount > 0", name="debt_positive"),
    Index("debt_account", "account_id"),
    sqlite_strict=True,
)
"""The part of a charge that no lot covers yet; the row goes when the next lots have paid it."""

idem = Table(
    "idem",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("transfer_id", I8, nullable=False),
    Column("result", Text, nullable=False),
    Column("created_us", I8, nullable=False),
    Column("expires_us", I8),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Keys that were used, with their first answers. `expires_us` NULL: remembered for ever."""
Index("idem_expiry", idem.c.expires_us, sqlite_where=text("expires_us IS NOT NULL"),
      postgresql_where=text("expires_us IS NOT NULL"))  # fmt: skip

pruned = Table(
    "pruned",
    metadata,
    Column("resource", Text, primary_key=True),
    Column("before_us", I8, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Up to when rows of a table may have been deleted because of their age: what a proof must not miss."""

batch = Table(
    "batch",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("n", I8, nullable=False),
    Column("committed_us", I8, nullable=False),
    sqlite_strict=True,
)

kept = Table(
    "kept",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("valid_from_us", I8, nullable=False),
    Column("expires_us", I8, nullable=False),
    Column("created_us", I8, nullable=False),
    Index("kept_key", "tenant", "kind", "key", "id"),
    sqlite_strict=True,
)
"""Answers that may be asked for again, and an operator's own documents, append-only: see `storage.records.kept`."""
Index(
    "kept_kind",
    kept.c.tenant,
    kept.c.kind,
    kept.c.id,
    sqlite_where=text("kind <> 'answer'"),
    postgresql_where=text("kind <> 'answer'"),
)
Index(
    "kept_expiry",
    kept.c.expires_us,
    sqlite_where=text("kind = 'answer'"),
    postgresql_where=text("kind = 'answer'"),
)

directory = Table(
    "directory",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("expires_us", I8, nullable=False),
    Column("version", I8, nullable=False),
    Column("seq", I8, nullable=False),
    Column("changed_us", I8, nullable=False),
    Index("directory_owner", "tenant", "owner", "kind", "key"),
    Index("directory_seq", "seq", unique=True),
    Index("directory_expiry", "expires_us"),
    sqlite_strict=True,
)
"""What is known of users, organizations and keys: see `storage.records.directory`."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", I8, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("attempts", I8, nullable=False),
    Column("next_us", I8, nullable=False),
    Column("state", Text, nullable=False),
    sqlite_strict=True,
)
Index(
    "outbox_due", outbox.c.next_us, sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")
)
