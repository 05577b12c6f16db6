"""What reports ask of the store and get: a scope, edges of time, dimensions, and sums. No price, no shape of any document."""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final, Literal, get_args

from storage.records.fact import fact
from storage.records.usage import Usage

Dim = Literal[
    "user_id",
    "organization_id",
    "key_id",
    "provider",
    "model",
    "method",
    "tier",
    "caller_kind",
    "feature",
    "kind",
    "unit",
    "outcome",
    "source",
    "charge_asset",
]
"""What sums can be taken by, and narrowed to: columns of a usage row."""
DIMS: Final[tuple[Dim, ...]] = get_args(Dim)
EVERYTHING: Final[Mapping[Dim, str | None]] = MappingProxyType({})
"""Narrows nothing."""
Order = Literal["tokens", "requests", "cost"]
"""Which values come first: what their sums over the whole range come to, the most first."""
EDGES_MAX: Final = 10_001
"""Edges of one question."""
FAILED: Final = ("failed", "refused")
"""Outcomes that count as failures; who leaves or is cut off after some output has had no failure of ours."""


class TooManySums(Exception):  # whoever asks for at most so many has another question for then, or words
    """There are more sums than were asked for at most."""


@fact
class UsageScope:
    """Whose usage is summed, and which of it."""

    tenant: str
    user_id: str | None = None
    """None: everybody's."""
    organization_id: str | None = None
    """None: in and outside of organizations."""
    where: Mapping[Dim, str | None] = field(default_factory=dict)
    """The value that each of these dimensions must have; None: must be without one."""


@fact
class UsageTop:
    """Those that come first, and how many there are."""

    sums: tuple["UsageSum", ...]
    count: int
    """Combinations that were used and of which no value is empty."""


@fact
class UsageSum:
    """What the rows of one bucket and one value of each dimension come to. Exact."""

    start_us: int = 0
    """Where its bucket begins, in Unix microseconds."""
    key: tuple[str | None, ...] = ()
    """The dimensions' values, in the order in which they were asked for."""
    requests: int = 0
    failed: int = 0
    """Of the requests: ended in one of `FAILED`."""
    partial: int = 0
    """Of the requests: broken off after some output."""
    estimated: int = 0
    """Of the requests: counted by us, because the provider sent no usage."""
    unpriced: int = 0
    """Of the requests: used tokens whose cost nobody knows."""
    usage: Usage = Usage()
    quantity_nano: int = 0
    """What was counted in units that are not tokens, scale 9."""
    cost_nano: int = 0
    """What the providers bill, in nano dollars."""
    fee_nano: int = 0
    """Platform fees, in nano dollars."""
    saving_nano: int = 0
    """What calls would have been charged more, had the models asked for served all of them; in nano dollars, net."""
    charged: Mapping[str, int] = field(default_factory=dict)
    """What was taken from balances by asset, each in its own scale."""
    latency_us: int = 0
    """All latencies together."""
    first_byte_us: int = 0
    """All times to a first byte together, of the `first_bytes` requests that had one."""
    first_bytes: int = 0
