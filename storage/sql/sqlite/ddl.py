"""The embedded file's tables and indexes as SQL, written down so that a new file needs no library to be made.

Made from `storage/sql/tables.py` by `make ddl`; a test fails when the two differ.
"""

from typing import Final

STATEMENTS: Final = (
    """CREATE TABLE IF NOT EXISTS account (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    owner_type TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    asset TEXT NOT NULL,
    posted INTEGER NOT NULL,
    held INTEGER NOT NULL,
    overdraft INTEGER NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT account_held_positive CHECK (held >= 0 AND overdraft >= 0),
    CONSTRAINT account_floor CHECK (kind >= 100 OR posted >= held - overdraft)
)
 STRICT""",
    """CREATE UNIQUE INDEX IF NOT EXISTS account_key ON account (tenant, owner_type, owner_id, kind, asset)""",
    """CREATE TABLE IF NOT EXISTS batch (
    id INTEGER NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    n INTEGER NOT NULL,
    committed_us INTEGER NOT NULL,
    PRIMARY KEY (id)
)
 STRICT""",
    """CREATE TABLE IF NOT EXISTS debt (
    transfer_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (transfer_id),
    CONSTRAINT debt_positive CHECK (amount > 0)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS debt_account ON debt (account_id)""",
    """CREATE TABLE IF NOT EXISTS directory (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    "key" TEXT NOT NULL,
    owner TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_us INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, "key")
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS directory_expiry ON directory (expires_us)""",
    """CREATE INDEX IF NOT EXISTS directory_owner ON directory (tenant, owner, kind, "key")""",
    """CREATE UNIQUE INDEX IF NOT EXISTS directory_seq ON directory (seq)""",
    """CREATE TABLE IF NOT EXISTS hold (
    transfer_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    credit_account INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    used INTEGER NOT NULL,
    on_expire TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    ref TEXT,
    note TEXT,
    PRIMARY KEY (transfer_id)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS hold_account ON hold (account_id)""",
    """CREATE INDEX IF NOT EXISTS hold_due ON hold (expires_us, transfer_id)""",
    """CREATE TABLE IF NOT EXISTS hold_window (
    transfer_id INTEGER NOT NULL,
    window_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL,
    settled INTEGER,
    PRIMARY KEY (transfer_id, window_id)
)
 WITHOUT ROWID,
 STRICT""",
    """CREATE TABLE IF NOT EXISTS idem (
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL,
    "key" TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    transfer_id INTEGER NOT NULL,
    result TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER,
    PRIMARY KEY (tenant, scope, "key")
)
 WITHOUT ROWID,
 STRICT""",
    """CREATE INDEX IF NOT EXISTS idem_expiry ON idem (expires_us) WHERE expires_us IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS kept (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    "key" TEXT NOT NULL,
    body TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    valid_from_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (id)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS kept_expiry ON kept (expires_us) WHERE kind = 'answer'""",
    """CREATE INDEX IF NOT EXISTS kept_key ON kept (tenant, kind, "key", id)""",
    """CREATE INDEX IF NOT EXISTS kept_kind ON kept (tenant, kind, id) WHERE kind <> 'answer'""",
    """CREATE TABLE IF NOT EXISTS lot (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    source_ref TEXT NOT NULL,
    category TEXT NOT NULL,
    priority INTEGER NOT NULL,
    granted INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    effective_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    paid_nano INTEGER NOT NULL,
    paid_currency TEXT NOT NULL,
    recognised_nano INTEGER NOT NULL,
    refunded_nano INTEGER NOT NULL,
    breakage_nano INTEGER NOT NULL,
    moved_nano INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT lot_remaining CHECK (remaining >= 0 AND remaining <= granted),
    CONSTRAINT lot_value CHECK (recognised_nano >= 0
        AND recognised_nano <= paid_nano - refunded_nano - breakage_nano - moved_nano)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS lot_account ON lot (account_id, priority, expires_us, id)""",
    """CREATE INDEX IF NOT EXISTS lot_due ON lot (expires_us) WHERE remaining > 0""",
    """CREATE UNIQUE INDEX IF NOT EXISTS lot_key ON lot (tenant, source, source_ref)""",
    """CREATE INDEX IF NOT EXISTS lot_open ON lot (account_id, priority, expires_us, id) WHERE remaining > 0""",
    """CREATE TABLE IF NOT EXISTS lot_use (
    id INTEGER NOT NULL,
    transfer_id INTEGER NOT NULL,
    lot_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    value_nano INTEGER NOT NULL,
    PRIMARY KEY (id)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS lot_use_transfer ON lot_use (transfer_id, lot_id)""",
    """CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (id)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS outbox_due ON outbox (next_us) WHERE state = 'waiting'""",
    """CREATE TABLE IF NOT EXISTS pruned (
    resource TEXT NOT NULL,
    before_us INTEGER NOT NULL,
    PRIMARY KEY (resource)
)
 WITHOUT ROWID,
 STRICT""",
    """CREATE TABLE IF NOT EXISTS quota_window (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    resource TEXT NOT NULL,
    period TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    used INTEGER NOT NULL,
    held INTEGER NOT NULL,
    bound INTEGER,
    marks TEXT,
    told INTEGER,
    carried INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT quota_window_positive CHECK (used >= 0 AND held >= 0)
)
 STRICT""",
    """CREATE UNIQUE INDEX IF NOT EXISTS quota_window_key ON quota_window (tenant, subject, resource, period, start_us)""",
    """CREATE TABLE IF NOT EXISTS transfer (
    id INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    group_id INTEGER NOT NULL,
    debit_account INTEGER NOT NULL,
    credit_account INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    code TEXT NOT NULL,
    pending_id INTEGER,
    related_id INTEGER,
    ref TEXT,
    note TEXT,
    occurred_us INTEGER NOT NULL,
    booked_us INTEGER NOT NULL,
    batch_id INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT transfer_two_accounts CHECK (debit_account <> credit_account),
    CONSTRAINT transfer_amount CHECK (amount > 0 OR (amount = 0 AND kind > 0)),
    CONSTRAINT transfer_pending CHECK ((pending_id IS NOT NULL) = (kind >= 2))
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS transfer_credit ON transfer (credit_account, batch_id, id) WHERE amount > 0 AND kind <> 1""",
    """CREATE INDEX IF NOT EXISTS transfer_debit ON transfer (debit_account, batch_id, id) WHERE amount > 0 AND kind <> 1""",
    """CREATE INDEX IF NOT EXISTS transfer_related ON transfer (related_id) WHERE related_id IS NOT NULL""",
    """CREATE UNIQUE INDEX IF NOT EXISTS transfer_resolves ON transfer (pending_id) WHERE pending_id IS NOT NULL""",
    """CREATE TABLE IF NOT EXISTS usage (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    occurred_us INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    user_id TEXT,
    organization_id TEXT,
    caller_kind TEXT NOT NULL,
    tier TEXT NOT NULL,
    method TEXT NOT NULL,
    door TEXT NOT NULL,
    provider TEXT,
    model TEXT,
    outcome TEXT NOT NULL,
    tokens_input INTEGER NOT NULL,
    tokens_cache_read INTEGER NOT NULL,
    tokens_cache_write_5m INTEGER NOT NULL,
    tokens_cache_write_1h INTEGER NOT NULL,
    tokens_audio_input INTEGER NOT NULL,
    tokens_image_input INTEGER NOT NULL,
    tokens_output INTEGER NOT NULL,
    tokens_reasoning INTEGER NOT NULL,
    tokens_audio_output INTEGER NOT NULL,
    tokens_image_output INTEGER NOT NULL,
    is_estimated INTEGER NOT NULL,
    is_partial INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    first_byte_us INTEGER,
    is_stream INTEGER NOT NULL,
    feature TEXT,
    metadata TEXT,
    price_version TEXT,
    cost_nano INTEGER,
    fee_nano INTEGER,
    charge_amount INTEGER,
    charge_asset TEXT,
    key_id TEXT,
    kind TEXT DEFAULT 'TOKEN_USAGE' NOT NULL,
    unit TEXT,
    quantity_nano INTEGER,
    source TEXT DEFAULT 'gateway' NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (id)
)
 STRICT""",
    """CREATE INDEX IF NOT EXISTS usage_by_organization ON usage (tenant, organization_id, occurred_us, seq)
        WHERE organization_id IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS usage_by_time ON usage (tenant, occurred_us, seq)""",
    """CREATE INDEX IF NOT EXISTS usage_by_user ON usage (tenant, user_id, occurred_us, seq)""",
)
