"""Purchases as the operator's documents: what was bought, what of it could be used, and what the platform kept. Pure."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from storage.records.kept import KeptRow

PURCHASE: Final = "purchase"
"""Kept rows of this kind: key the buyer's user id, body a purchase, or what went back of one."""

PurchaseType = Literal["subscription", "one_time"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase beside its lot."""

    source: str
    source_ref: str
    """With `source`, the lot's business key."""
    asset: str
    type: PurchaseType
    bought: int
    """What was paid for, in the asset's scale."""
    fee: int
    """Of `bought`, what the platform kept: the rest is the lot."""
    paid_nano: int = 0
    """The money paid, in nano units of `currency`. 0 in rows from before it was kept here; the lot always says it."""
    currency: str = "USD"

    @property
    def granted(self) -> int:
        """What the buyer may use."""
        return self.bought - self.fee


@dataclass(frozen=True, slots=True)
class Returned:
    """What went back of a purchase."""

    source: str
    source_ref: str
    amount: int
    """Of the lot."""
    fee: int
    """Of the platform's share."""
    value_nano: int = 0
    key: str | None = None
    """The idempotency key of the refund, where it had one."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything kept about one user's purchases."""

    purchases: dict[tuple[str, str], Purchase] = field(default_factory=dict)
    returns: list[Returned] = field(default_factory=list)

    def returned(self, source: str, source_ref: str) -> tuple[int, int]:
        """How much of a purchase went back: of the lot, and of the platform's share."""
        mine = [back for back in self.returns if (back.source, back.source_ref) == (source, source_ref)]
        return sum(back.amount for back in mine), sum(back.fee for back in mine)

    def repeated(self, key: str | None) -> Returned | None:
        """What an earlier refund under the same key gave back."""
        return next((back for back in self.returns if key is not None and back.key == key), None)

    def fees(self, asset: str) -> tuple[int, int]:
        """The platform's share of this user's purchases: in all, and what of it went back with refunds."""
        bought = {key: purchase.fee for key, purchase in self.purchases.items() if purchase.asset == asset}
        back = sum(back.fee for back in self.returns if (back.source, back.source_ref) in bought)
        return sum(bought.values()), back


def body_of(what: Purchase | Returned) -> str:
    """The JSON of a kept row."""
    return json.dumps({"is": type(what).__name__, **asdict(what)})


def read_of(row: KeptRow) -> Purchase | Returned:
    """What one kept row says."""
    body: dict[str, Any] = json.loads(row.body)  # Any: JSON of our own writing
    return Purchase(**body) if body.pop("is") == Purchase.__name__ else Returned(**body)


def record_of(rows: tuple[KeptRow, ...]) -> Record:
    """What the kept rows of one user say."""
    record = Record()
    for found in map(read_of, rows):
        if isinstance(found, Purchase):
            record.purchases[found.source, found.source_ref] = found
        else:
            record.returns.append(found)
    return record
