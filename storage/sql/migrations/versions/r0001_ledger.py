"""The ledger, its usage rows, kept rows and outbox.

Revision ID: 0001
Revises:
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

I8 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    for create in _TABLES.values():
        create()
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE id_block")  # each number is a block of ids for one process


def downgrade() -> None:
    """Drop every table with its rows."""
    for name in reversed(_TABLES):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE id_block")


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", I8, autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner_type", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("kind", I8, nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("posted", I8, nullable=False),
        sa.Column("held", I8, nullable=False),
        sa.Column("overdraft", I8, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", I8, nullable=False),
        sa.CheckConstraint("held >= 0 AND overdraft >= 0", name="account_held_positive"),
        sa.CheckConstraint("kind >= 100 OR posted >= held - overdraft", name="account_floor"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("account_key", "account", ["tenant", "owner_type", "owner_id", "kind", "asset"], unique=True)


def _batch() -> None:
    op.create_table(
        "batch",
        sa.Column("id", I8, autoincrement=False, nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("n", I8, nullable=False),
        sa.Column("committed_us", I8, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )


def _debt() -> None:
    op.create_table(
        "debt",
        sa.Column("transfer_id", I8, autoincrement=False, nullable=False),
        sa.Column("account_id", I8, nullable=False),
        sa.Column("amount", I8, nullable=False),
        sa.CheckConstraint("amount > 0", name="debt_positive"),
        sa.PrimaryKeyConstraint("transfer_id"),
        sqlite_strict=True,
    )
    op.create_index("debt_account", "debt", ["account_id"], unique=False)


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("transfer_id", I8, autoincrement=False, nullable=False),
        sa.Column("account_id", I8, nullable=False),
        sa.Column("credit_account", I8, nullable=False),
        sa.Column("amount", I8, nullable=False),
        sa.Column("used", I8, nullable=False),
        sa.Column("on_expire", sa.Text(), nullable=False),
        sa.Column("created_us", I8, nullable=False),
        sa.Column("expires_us", I8, nullable=False),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("transfer_id"),
        sqlite_strict=True,
    )
    op.create_index("hold_account", "hold", ["account_id"], unique=False)
    op.create_index("hold_due", "hold", ["expires_us", "transfer_id"], unique=False)


def _hold_window() -> None:
    op.create_table(
        "hold_window",
        sa.Column("transfer_id", I8, autoincrement=False, nullable=False),
        sa.Column("window_id", I8, autoincrement=False, nullable=False),
        sa.Column("amount", I8, nullable=False),
        sa.Column("checkpoint", I8, nullable=False),
        sa.Column("settled", I8, nullable=True),
        sa.PrimaryKeyConstraint("transfer_id", "window_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _idem() -> None:
    op.create_table(
        "idem",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("transfer_id", I8, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_us", I8, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "scope", "key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _kept() -> None:
    op.create_table(
        "kept",
        sa.Column("id", I8, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("valid_from_us", I8, nullable=False),
        sa.Column("expires_us", I8, nullable=False),
        sa.Column("created_us", I8, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index(
        "kept_expiry",
        "kept",
        ["expires_us"],
        unique=False,
        sqlite_where=sa.text("kind = 'answer'"),
        postgresql_where=sa.text("kind = 'answer'"),
    )
    op.create_index("kept_key", "kept", ["tenant", "kind", "key", "id"], unique=False)


def _lot() -> None:
    op.create_table(
        "lot",
        sa.Column("id", I8, autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("account_id", I8, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("priority", I8, nullable=False),
        sa.Column("granted", I8, nullable=False),
        sa.Column("remaining", I8, nullable=False),
        sa.Column("effective_us", I8, nullable=False),
        sa.Column("expires_us", I8, nullable=False),
        sa.Column("paid_nano", I8, nullable=False),
        sa.Column("paid_currency", sa.Text(), nullable=False),
        sa.Column("recognised_nano", I8, nullable=False),
        sa.Column("refunded_nano", I8, nullable=False),
        sa.Column("breakage_nano", I8, nullable=False),
        sa.Column("moved_nano", I8, nullable=False),
        sa.CheckConstraint(
            "recognised_nano >= 0 AND recognised_nano <= paid_nano - refunded_nano - breakage_nano - moved_nano",
            name="lot_value",
        ),
        sa.CheckConstraint("remaining >= 0 AND remaining <= granted", name="lot_remaining"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("lot_account", "lot", ["account_id", "priority", "expires_us", "id"], unique=False)
    op.create_index(
        "lot_due",
        "lot",
        ["expires_us"],
        unique=False,
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index("lot_key", "lot", ["tenant", "source", "source_ref"], unique=True)
    op.create_index(
        "lot_open",
        "lot",
        ["account_id", "priority", "expires_us", "id"],
        unique=False,
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )


def _lot_use() -> None:
    op.create_table(
        "lot_use",
        sa.Column("id", I8, autoincrement=True, nullable=False),
        sa.Column("transfer_id", I8, nullable=False),
        sa.Column("lot_id", I8, nullable=False),
        sa.Column("amount", I8, nullable=False),
        sa.Column("value_nano", I8, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("lot_use_transfer", "lot_use", ["transfer_id", "lot_id"], unique=False)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", I8, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("attempts", I8, nullable=False),
        sa.Column("next_us", I8, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index(
        "outbox_due",
        "outbox",
        ["next_us"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _quota_window() -> None:
    op.create_table(
        "quota_window",
        sa.Column("id", I8, autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("start_us", I8, nullable=False),
        sa.Column("used", I8, nullable=False),
        sa.Column("held", I8, nullable=False),
        sa.CheckConstraint("used >= 0 AND held >= 0", name="quota_window_positive"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index(
        "quota_window_key", "quota_window", ["tenant", "subject", "resource", "period", "start_us"], unique=True
    )


def _transfer() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", I8, autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("group_id", I8, nullable=False),
        sa.Column("debit_account", I8, nullable=False),
        sa.Column("credit_account", I8, nullable=False),
        sa.Column("amount", I8, nullable=False),
        sa.Column("kind", I8, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("pending_id", I8, nullable=True),
        sa.Column("related_id", I8, nullable=True),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("occurred_us", I8, nullable=False),
        sa.Column("booked_us", I8, nullable=False),
        sa.Column("batch_id", I8, nullable=False),
        sa.CheckConstraint("(pending_id IS NOT NULL) = (kind >= 2)", name="transfer_pending"),
        sa.CheckConstraint("amount > 0 OR (amount = 0 AND kind > 0)", name="transfer_amount"),
        sa.CheckConstraint("debit_account <> credit_account", name="transfer_two_accounts"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("transfer_credit", "transfer", ["credit_account", "batch_id", "id"], unique=False)
    op.create_index("transfer_debit", "transfer", ["debit_account", "batch_id", "id"], unique=False)
    op.create_index(
        "transfer_related",
        "transfer",
        ["related_id"],
        unique=False,
        sqlite_where=sa.text("related_id IS NOT NULL"),
        postgresql_where=sa.text("related_id IS NOT NULL"),
    )
    op.create_index(
        "transfer_resolves",
        "transfer",
        ["pending_id"],
        unique=True,
        sqlite_where=sa.text("pending_id IS NOT NULL"),
        postgresql_where=sa.text("pending_id IS NOT NULL"),
    )


def _usage() -> None:
    op.create_table(
        "usage",
        sa.Column("seq", I8, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("occurred_us", I8, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("caller_kind", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("tokens_input", I8, nullable=False),
        sa.Column("tokens_cache_read", I8, nullable=False),
        sa.Column("tokens_cache_write_5m", I8, nullable=False),
        sa.Column("tokens_cache_write_1h", I8, nullable=False),
        sa.Column("tokens_audio_input", I8, nullable=False),
        sa.Column("tokens_image_input", I8, nullable=False),
        sa.Column("tokens_output", I8, nullable=False),
        sa.Column("tokens_reasoning", I8, nullable=False),
        sa.Column("tokens_audio_output", I8, nullable=False),
        sa.Column("tokens_image_output", I8, nullable=False),
        sa.Column("is_estimated", I8, nullable=False),
        sa.Column("is_partial", I8, nullable=False),
        sa.Column("latency_us", I8, nullable=False),
        sa.Column("first_byte_us", I8, nullable=True),
        sa.Column("is_stream", I8, nullable=False),
        sa.Column("feature", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("cost_nano", I8, nullable=True),
        sa.Column("fee_nano", I8, nullable=True),
        sa.Column("charge_amount", I8, nullable=True),
        sa.Column("charge_asset", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("usage_by_time", "usage", ["tenant", "occurred_us", "seq"], unique=False)
    op.create_index("usage_by_user", "usage", ["tenant", "user_id", "occurred_us", "seq"], unique=False)


_TABLES: dict[str, Callable[[], None]] = {
    "account": _account,
    "batch": _batch,
    "debt": _debt,
    "hold": _hold,
    "hold_window": _hold_window,
    "idem": _idem,
    "kept": _kept,
    "lot": _lot,
    "lot_use": _lot_use,
    "outbox": _outbox,
    "quota_window": _quota_window,
    "transfer": _transfer,
    "usage": _usage,
}
