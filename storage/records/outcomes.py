"""What the ledger answers. A refused command is a value: it changes nothing and harms no neighbour."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from storage.records.fact import fact
from storage.records.ledger import WindowView

RefusalReason = Literal[
    "insufficient",  # data: needed, available
    "quota_exceeded",  # data: subject, resource, period, startUs, used, held, limit, amount
    "account_suspended",
    "hold_not_open",  # data: state: unknown | settled | released | expired
    "hold_not_due",
    "key_reused",
    "out_of_range",
    "not_found",
    "version_changed",  # data: kind, key, version: the one that stands; 0: there is none
    "not_empty",  # data: posted, held, asset
    "not_refundable",  # data: refundable
    "invalid",
]


@fact
class Done:
    """What a command did, and the account after it."""

    id: int
    """The transfer it wrote (for Hold: the hold's own id); 0 where it wrote none."""
    amount: int = 0
    """What it held, charged, granted, returned or moved."""
    posted: int = 0
    held: int = 0
    overdraft: int = 0
    written_off: int = 0
    """Used but covered by nothing."""
    value_nano: int = 0
    """RefundPurchase: the money that the returned units stand for."""
    expires_us: int = 0
    """Hold, Extend: when the hold expires. Grant: when the lot does."""
    windows: tuple[WindowView, ...] = ()
    """The windows it touched, after it."""
    is_late: bool = False
    """Settle: the hold had expired, so this is a charge beside it; `amount` is below zero where the expiry had taken more."""
    is_replay: bool = False
    """The command had been applied before; this is its first answer."""

    @property
    def available(self) -> int:
        """What a new hold may take, without the overdraft."""
        return self.posted - self.held


@fact
class Refusal:
    """Why a command changed nothing."""

    reason: RefusalReason
    data: Mapping[str, object] = field(default_factory=dict)
    index: int = 0
    """Which command of a group was refused."""


Outcome: TypeAlias = Done | Refusal
