"""What the ledger shows: accounts, balances, lots, transfers, holds, windows. Facts only; commands live beside this file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

OwnerType = Literal["user", "org", "team", "tenant", "system"]
Category = Literal["paid", "promo", "included"]
AccountState = Literal["open", "suspended"]

# Kinds of account, the chart of accounts. Below 100: the customer's side, with a balance row; from 100: the system's side,
# whose balance is the sum of its transfers, so that no row is hot for everybody.
CREDITS: Final = 1
RECEIVABLE: Final = 2
CASH_CLEARING: Final = 100
REVENUE_USAGE: Final = 101
PROMO_EXPENSE: Final = 102
BREAKAGE: Final = 103
REFUNDS: Final = 104
WRITE_OFF: Final = 105
INCLUDED: Final = 106
ADJUSTMENTS: Final = 107
SYSTEM_KINDS: Final = (
    CASH_CLEARING,
    REVENUE_USAGE,
    PROMO_EXPENSE,
    BREAKAGE,
    REFUNDS,
    WRITE_OFF,
    INCLUDED,
    ADJUSTMENTS,
)
KIND_NAMES: Final = {
    CREDITS: "credits",
    RECEIVABLE: "receivable",
    CASH_CLEARING: "cash_clearing",
    REVENUE_USAGE: "revenue_usage",
    PROMO_EXPENSE: "promo_expense",
    BREAKAGE: "breakage",
    REFUNDS: "refunds",
    WRITE_OFF: "write_off",
    INCLUDED: "included",
    ADJUSTMENTS: "adjustments",
}

# Kinds of transfer.
DIRECT: Final = 0
PENDING: Final = 1
POST: Final = 2
VOID: Final = 3
EXPIRE: Final = 4


class AccountKey(NamedTuple):
    """Whose account, of what kind, in which asset. A plain tuple, because every command carries one."""

    tenant: str
    owner_type: str
    owner_id: str
    kind: int
    asset: str


class WindowKey(NamedTuple):
    """One counter of one period: `subject` used so much of `resource` in the `period` that began at `start_us`."""

    tenant: str
    subject: str
    resource: str
    period: str
    start_us: int


class WindowView(NamedTuple):
    """A window's counters after a command."""

    key: WindowKey
    used: int
    held: int
    carried: int | None = None
    """What the period before left over to this one. None: nobody has asked yet."""
    bound: int | None = None
    """The limit that was last claimed against. None: none."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has, in its asset's scale."""

    posted: int = 0
    """Everything received less everything spent; below zero where an overdraft was used."""
    held: int = 0
    """Promised to open holds."""
    overdraft: int = 0
    expirable: int = 0
    """Units of lots past their expiry which no open hold may still draw: gone at the next sweep, not spendable now."""
    state: str = "open"

    @property
    def available(self) -> int:
        """What a new hold may take, without the overdraft."""
        return self.posted - self.held - self.expirable


class Look(NamedTuple):
    """Where an account and some windows stand, asked for together."""

    windows: dict[WindowKey, WindowView]
    """Each that was asked for."""
    balance: Balance
    """Zeros where no account was asked for."""


@dataclass(frozen=True, slots=True)
class LotView:
    """Granted units with their own priority, expiry and cost basis."""

    id: int
    account: AccountKey
    source: str
    source_ref: str
    category: str
    priority: int
    granted: int
    remaining: int
    effective_us: int
    expires_us: int
    paid_nano: int
    paid_currency: str
    recognised_nano: int
    refunded_nano: int
    breakage_nano: int
    moved_nano: int

    @property
    def deferred_nano(self) -> int:
        """What was paid and is not yet earned, refunded, lapsed or moved on."""
        return self.paid_nano - self.recognised_nano - self.refunded_nano - self.breakage_nano - self.moved_nano


@dataclass(frozen=True, slots=True)
class TransferView:
    """One append-only movement as it touches one account."""

    id: int
    group_id: int
    amount: int
    """Signed: what it added to the account."""
    kind: int
    code: str
    other: AccountKey
    """The account on the other side."""
    pending_id: int | None
    related_id: int | None
    ref: str | None
    note: str | None
    occurred_us: int
    booked_us: int


@dataclass(frozen=True, slots=True)
class HoldView:
    """An open hold."""

    id: int
    account: AccountKey
    amount: int
    used: int
    """The last checkpoint."""
    on_expire: str
    created_us: int
    expires_us: int
    ref: str | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, and where the next ones begin."""

    rows: tuple[T, ...]
    next_cursor: str | None
    """None: there are no more rows."""


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant's verdict."""

    name: str
    rows: tuple[tuple[object, ...], ...] = ()
    """What breaks it, at most a hundred rows."""

    @property
    def is_ok(self) -> bool:
        """True when nothing breaks it."""
        return not self.rows


Told: TypeAlias = Callable[[str, Check | None], object]
"""Hears of a proof's checks, in the thread that runs them: of each when it begins, then with its verdict."""


def untold(name: str, verdict: Check | None) -> None:
    """Nobody hears."""
