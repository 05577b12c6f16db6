"""The working rows that evaluation changes, one class per table with a mutable row. They know no rule."""

from typing import Final

from storage.records.ledger import AccountKey, WindowKey
from storage.records.money import NEVER_US
from storage.records.usage import UsageRow

CLEAN: Final = 0
CHANGED: Final = 1
NEW: Final = 2
UNBORN: Final = 3
"""Looked for and not there; it becomes NEW when something first touches it."""


class Lot:
    """Granted units; see `LotView` for the meaning of the fields."""

    __slots__ = (
        "account_id", "breakage_nano", "category", "effective_us", "expires_us", "granted", "id", "moved_nano", "order",
        "paid_currency", "paid_nano", "priority", "recognised_nano", "refunded_nano", "remaining", "source", "source_ref",
        "status", "tenant",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002  # the column's name
        tenant: str,
        account_id: int,
        source: str,
        source_ref: str,
        category: str,
        priority: int,
        granted: int,
        remaining: int,
        effective_us: int,
        expires_us: int,
        paid_nano: int,
        paid_currency: str,
        recognised_nano: int = 0,
        refunded_nano: int = 0,
        breakage_nano: int = 0,
        moved_nano: int = 0,
    ) -> None:
        self.id = id
        self.tenant = tenant
        self.account_id = account_id
        self.source = source
        self.source_ref = source_ref
        self.category = category
        self.priority = priority
        self.granted = granted
        self.remaining = remaining
        self.effective_us = effective_us
        self.expires_us = expires_us
        self.paid_nano = paid_nano
        self.paid_currency = paid_currency
        self.recognised_nano = recognised_nano
        self.refunded_nano = refunded_nano
        self.breakage_nano = breakage_nano
        self.moved_nano = moved_nano
        self.order = (priority, expires_us, id)
        self.status = CLEAN

    def save(self) -> tuple[int, ...]:
        """What `restore` needs."""
        return (self.remaining, self.recognised_nano, self.refunded_nano, self.breakage_nano, self.moved_nano)

    def restore(self, saved: tuple[int, ...]) -> None:
        """Undo every change since `save`."""
        self.remaining, self.recognised_nano, self.refunded_nano, self.breakage_nano, self.moved_nano = saved


class Account:
    """An account with all that is open in it: lots in the order of spending, holds, and charges that no lot covers yet."""

    __slots__ = (
        "debts",
        "expiry_us",
        "held",
        "holds",
        "id",
        "key",
        "lots",
        "overdraft",
        "posted",
        "state",
        "status",
        "version",
    )

    def __init__(
        self,
        id: int,  # noqa: A002  # the column's name
        key: AccountKey,
        posted: int = 0,
        held: int = 0,
        overdraft: int = 0,
        state: str = "open",
        version: int = 0,
    ) -> None:
        self.id = id
        self.key = key
        self.posted = posted
        self.held = held
        self.overdraft = overdraft
        self.state = state
        self.version = version
        self.lots: list[Lot] = []
        self.holds: dict[int, Hold] = {}
        self.debts: dict[int, int] = {}
        self.expiry_us = NEVER_US
        self.status = CLEAN

    @property
    def free(self) -> int:
        """What can be taken now, the overdraft included."""
        return self.posted - self.held + self.overdraft

    def save(self) -> tuple[object, ...]:
        """What `restore` needs."""
        scalars = (self.posted, self.held, self.overdraft, self.state, self.version, self.expiry_us, self.status)
        return (scalars, list(self.lots), dict(self.holds), dict(self.debts))

    def restore(self, saved: tuple[object, ...]) -> None:
        """Undo every change since `save`."""
        scalars, self.lots, self.holds, self.debts = saved  # type: ignore[assignment]  # as `save` made it
        self.posted, self.held, self.overdraft, self.state, self.version, self.expiry_us, self.status = scalars  # type: ignore[misc]  # same


class HoldWindow:
    """A hold's part in one window. `settled` stays None while the hold is open."""

    __slots__ = ("amount", "checkpoint", "hold_id", "settled", "status", "window")

    def __init__(self, hold_id: int, window: "Window", amount: int, checkpoint: int = 0) -> None:
        self.hold_id = hold_id
        self.window = window
        self.amount = amount
        self.checkpoint = checkpoint
        self.settled: int | None = None
        self.status = CLEAN

    def save(self) -> tuple[int, int, int | None]:
        """What `restore` needs."""
        return (self.amount, self.checkpoint, self.settled)

    def restore(self, saved: tuple[int, int, int | None]) -> None:
        """Undo every change since `save`."""
        self.amount, self.checkpoint, self.settled = saved


class Hold:
    """An open hold."""

    __slots__ = (
        "account", "amount", "created_us", "credit_account_id", "expires_us", "id", "on_expire", "ref", "status", "usage",
        "used", "windows",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002  # the column's name
        account: Account,
        credit_account_id: int,
        amount: int,
        used: int,
        on_expire: str,
        created_us: int,
        expires_us: int,
        ref: str | None = None,
        usage: UsageRow | None = None,
    ) -> None:
        self.id = id
        self.account = account
        self.credit_account_id = credit_account_id
        self.amount = amount
        self.used = used
        self.on_expire = on_expire
        self.created_us = created_us
        self.expires_us = expires_us
        self.ref = ref
        self.usage = usage
        """The row that its expiry writes; None until something was noted."""
        self.windows: list[HoldWindow] = []
        self.status = CLEAN

    def save(self) -> tuple[object, ...]:
        """What `restore` needs."""
        return (self.amount, self.used, self.expires_us, list(self.windows), self.usage)

    def restore(self, saved: tuple[object, ...]) -> None:
        """Undo every change since `save`."""
        self.amount, self.used, self.expires_us, self.windows, self.usage = saved  # type: ignore[assignment]  # as `save` made it


class Window:
    """A quota window's counters, and what is looked for in them."""

    __slots__ = ("alarm", "bound", "carried", "held", "id", "is_aimed", "key", "marks", "status", "told", "used")

    def __init__(
        self,
        id: int,  # noqa: A002  # the column's name
        key: WindowKey,
        used: int = 0,
        held: int = 0,
        bound: int | None = None,
        marks: tuple[int, ...] = (),
        told: int = 0,
        carried: int | None = None,
    ) -> None:
        self.id = id
        self.key = key
        self.used = used
        self.held = held
        self.bound = bound
        """The limit of the last claim that named thresholds."""
        self.marks = marks
        """Its thresholds in percent, rising."""
        self.told = told
        """The highest threshold that was told of."""
        self.carried = carried
        self.is_aimed = True
        """Whether more than its counters may differ from what is stored."""
        self.status = CLEAN
        self.aim()

    def aim(self) -> None:
        """Find the use from which on the next threshold is reached; what is looked for has changed."""
        self.is_aimed = True
        mark = next((mark for mark in self.marks if mark > self.told), None)
        self.alarm = NEVER_US if mark is None or self.bound is None else self.reach(mark)

    def reach(self, percent: int) -> int:
        """The use that is so much of the limit; of a limit of nothing, the first."""
        return max(1, -(-percent * ((self.bound or 0) + (self.carried or 0)) // 100))

    def save(self) -> tuple[object, ...]:
        """What `restore` needs."""
        return (self.used, self.held, self.bound, self.marks, self.told, self.carried, self.alarm, self.status)

    def restore(self, saved: tuple[object, ...]) -> None:
        """Undo every change since `save`."""
        self.used, self.held, self.bound, self.marks, self.told, self.carried, self.alarm, self.status = saved  # type: ignore[assignment]  # as `save` made it


class ChargeUse:
    """What one charge took from one lot, and how much of that was given back."""

    __slots__ = ("amount", "lot_id", "returned", "returned_nano", "value_nano")

    def __init__(self, lot_id: int, amount: int, value_nano: int, returned: int = 0, returned_nano: int = 0) -> None:
        self.lot_id = lot_id
        self.amount = amount
        self.value_nano = value_nano
        self.returned = returned
        self.returned_nano = returned_nano

    def save(self) -> tuple[int, int]:
        """What `restore` needs."""
        return (self.returned, self.returned_nano)

    def restore(self, saved: tuple[int, int]) -> None:
        """Undo every change since `save`."""
        self.returned, self.returned_nano = saved


class ChargeRow:
    """A charge that shall be given back: loaded for one batch only."""

    __slots__ = ("account", "amount", "credit_account_id", "id", "refunded", "tenant", "uses")

    def __init__(
        self,
        id: int,  # noqa: A002  # the column's name
        tenant: str,
        account: Account,
        credit_account_id: int,
        amount: int,
        refunded: int,
    ) -> None:
        self.id = id
        self.tenant = tenant
        self.account = account
        self.credit_account_id = credit_account_id
        self.amount = amount
        self.refunded = refunded
        self.uses: list[ChargeUse] = []

    def add_use(self, lot_id: int, amount: int, value_nano: int) -> None:
        """A lot covered a part of the charge after the charge was made."""
        self.uses.append(ChargeUse(lot_id, amount, value_nano))

    def save(self) -> tuple[int, list[ChargeUse]]:
        """What `restore` needs."""
        return (self.refunded, list(self.uses))

    def restore(self, saved: tuple[int, list[ChargeUse]]) -> None:
        """Undo every change since `save`."""
        self.refunded, self.uses = saved


class Resolution:
    """How a hold that is no longer open ended: loaded for one batch only."""

    __slots__ = ("account", "charged", "credit_account_id", "is_late_charged", "kind", "windows", "written_off")

    def __init__(
        self,
        account: Account,
        credit_account_id: int,
        kind: int,
        charged: int,
        windows: list[HoldWindow],
        written_off: int,
        *,
        is_late_charged: bool,
    ) -> None:
        self.account = account
        self.credit_account_id = credit_account_id
        self.kind = kind
        self.charged = charged
        self.windows = windows
        self.written_off = written_off
        """Of what the resolution asked for."""
        self.is_late_charged = is_late_charged

    def save(self) -> tuple[int, bool]:
        """What `restore` needs."""
        return (self.charged, self.is_late_charged)

    def restore(self, saved: tuple[int, bool]) -> None:
        """Undo every change since `save`."""
        self.charged, self.is_late_charged = saved
