"""What the ledger can be told; `storage.records.outcomes` holds what it answers."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from storage.records.directory import DirectoryEntry
from storage.records.fact import fact
from storage.records.kept import KeptRow
from storage.records.ledger import AccountKey, WindowKey
from storage.records.money import NEVER_US
from storage.records.outcomes import Done as Done  # noqa: PLC0414  # whoever commands also hears
from storage.records.outcomes import Outcome as Outcome  # noqa: PLC0414  # same
from storage.records.outcomes import Refusal as Refusal  # noqa: PLC0414  # same
from storage.records.outcomes import RefusalReason as RefusalReason  # noqa: PLC0414  # same
from storage.records.usage import UsageRow


@fact
class Idempotency:
    """Makes a command repeatable: the same key and hash get the first answer, another hash is refused as `key_reused`."""

    scope: str
    key: str
    request_hash: str
    expires_us: int = NEVER_US
    """From when on it may be forgotten. Never, for payments and grants."""


@fact
class Event:
    """An outgoing event, written in the same commit as its cause."""

    topic: str
    payload: str
    """JSON text."""


@fact
class Carry:
    """What a period left unused goes on into the next one, up to a cap; decided once, when the next one is first claimed."""

    window: WindowKey
    """The window of the period before."""
    most: int


@fact
class Claim:
    """A part of a quota window, held with a hold or used by a charge."""

    window: WindowKey
    amount: int
    limit: int | None = None
    """None: counted, never refused."""
    is_hard: bool = True
    """False: past the limit it is counted and shown, not refused."""
    thresholds: tuple[int, ...] = ()
    """Percentages of the limit, rising, that are told of in the commit that reaches them, each once in the window's life.
    Empty: what was told to look for before stays."""
    carry: Carry | None = None
    """Raises the limit by what the period before left. None: nothing rolls over."""


@fact(kw_only=True)
class Grant:
    """Put units into an account as a new lot. The business key (source, source_ref) grants once, for ever."""

    account: AccountKey
    amount: int
    reason: Literal["purchase", "promotion", "allowance"]
    source: str
    source_ref: str
    priority: int = 50
    """Lower is spent first."""
    expires_us: int = NEVER_US
    paid_nano: int = 0
    """The cost basis: what was paid for the lot, net of tax, scale 9."""
    paid_currency: str = "USD"
    note: str | None = None
    events: tuple[Event, ...] = ()
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Hold:
    """Reserve an amount and quota before work begins. Answered by Done with `id` = the hold's."""

    account: AccountKey
    amount: int
    """0: only quota is held."""
    expires_us: int
    """At most 24 hours after now; later instants are cut to that."""
    on_expire: Literal["post_used", "void"] = "post_used"
    claims: tuple[Claim, ...] = ()
    overdraft: int | None = None
    """Becomes the account's overdraft, as far as what is already overdrawn allows. None: the account's own stays."""
    ref: str | None = None
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Extend:
    """Raise an open hold by `amount`, and its windows, and move its expiry."""

    tenant: str
    hold_id: int
    amount: int = 0
    expires_us: int | None = None
    claims: tuple[Claim, ...] = ()
    """Added to the hold's own windows, whatever period has begun since."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Checkpoint:
    """Note what a hold's work has cost so far: this is charged if the hold expires. It never goes down."""

    tenant: str
    hold_id: int
    used: int
    quota: Mapping[str, int] = field(default_factory=dict)
    """Used so far by resource."""
    usage: UsageRow | None = None
    """The row that the expiry writes, so that what it charges is told of. None: the last note's stays."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Settle:
    """Charge what was really used and close the hold. Above the hold it takes what is free, the rest is written off."""

    tenant: str
    hold_id: int
    amount: int
    quota: Mapping[str, int] = field(default_factory=dict)
    """Really used by resource; a window whose resource is not named keeps what was held."""
    usage: UsageRow | None = None
    events: tuple[Event, ...] = ()
    ref: str | None = None
    """With a usage row its request id, by which verify compares what was charged with what is told of."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Release:
    """Close a hold without a charge."""

    tenant: str
    hold_id: int
    usage: UsageRow | None = None
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Expire:
    """Close a hold whose time has come, charging its checkpoint."""

    tenant: str
    hold_id: int
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class ExpireLots:
    """Take what is left in an account's lots past their expiry, as far as no open hold may still draw it."""

    account: AccountKey
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Charge:
    """Charge without a hold."""

    account: AccountKey
    amount: int
    claims: tuple[Claim, ...] = ()
    on_short: Literal["refuse", "write_off"] = "refuse"
    """`write_off` for what already happened: it takes what is free and writes the rest off; quotas are counted, not enforced."""
    usage: UsageRow | None = None
    events: tuple[Event, ...] = ()
    ref: str | None = None
    """With a usage row its request id, or the row's own id where somebody else told of it: verify compares the two by that."""
    occurred_us: int | None = None
    """When it happened. None: now."""
    is_brief: bool = False
    """For many at once, of which nobody asks again soon: the answer leaves out the windows, and memory keeps none of it."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class RefundPurchase:
    """Take back what is left of a granted lot. Done's `value_nano` is the money it stands for."""

    tenant: str
    source: str
    source_ref: str
    amount: int | None = None
    """None: all that is left and not held."""
    note: str | None = None
    events: tuple[Event, ...] = ()
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class RefundCharge:
    """Give a charge back, to the lots it came from, last used first."""

    tenant: str
    transfer_id: int
    """The charge: what Settle, Expire or Charge answered as `id`."""
    amount: int | None = None
    """None: all that was not given back before."""
    note: str | None = None
    events: tuple[Event, ...] = ()
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Adjust:
    """Correct a balance by hand, up or down, with a reason and an actor; never an overwrite."""

    account: AccountKey
    amount: int
    """Signed."""
    reason: str
    actor: str
    events: tuple[Event, ...] = ()
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Move:
    """Move units between owners of one tenant; they keep their priority, expiry and cost basis."""

    source: AccountKey
    target: AccountKey
    amount: int
    note: str | None = None
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Configure:
    """Set an account's overdraft or state. Suspension stops new holds and extensions; settling goes on."""

    account: AccountKey
    overdraft: int | None = None
    state: Literal["open", "suspended"] | None = None
    idempotency: Idempotency | None = None


@fact
class RecordUsage:
    """Keep a usage row that moves no money."""

    row: UsageRow
    idempotency: Idempotency | None = None


@fact
class Keep:
    """Append a kept row: in a group, it is there exactly if its neighbours are."""

    row: KeptRow
    idempotency: Idempotency | None = None


@fact
class Announce:
    """Write an outgoing event: in a group, it goes out exactly if its neighbours were applied."""

    tenant: str
    event: Event
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class Forget:
    """Delete what has outlived its time and nobody may ask for again. No balance and no transfer is touched."""

    usage: tuple[int, ...] = ()
    """Usage rows, by the store's own numbers."""
    usage_before_us: int = 0
    """Of this time all usage rows may be gone from now on."""
    keys: tuple[tuple[str, str, str], ...] = ()
    """Idempotency keys: tenant, scope, key."""
    events: tuple[int, ...] = ()
    """Outgoing events, by the store's own numbers."""
    parts: tuple[tuple[int, int], ...] = ()
    """Closed parts of quota windows, by transfer and window; their sums stay."""
    weigh_before_us: int = 0
    """Of days that ended before it, a piece is summed up by longer times."""
    idempotency: Idempotency | None = None


@fact
class Put:
    """Write a directory entry over the one of its tenant, kind and key; in a group, it is there exactly if its neighbours are.

    The body `DELETED` deletes it. Done's `amount` is the new version. Refused: `version_changed`; `invalid` for another owner
    than before, or a text that no database can hold.
    """

    entry: DirectoryEntry
    """Its version, seq and changed_us are not looked at: the store gives them."""
    expect: int | None = None
    """The version that must stand; 0: no live entry. None: any."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class RequireVersion:
    """Refuse its group as `version_changed` unless this version of a directory entry stands. It changes nothing."""

    tenant: str
    kind: str
    key: str
    version: int
    """0: no live entry."""
    idempotency: Idempotency | None = None


@fact(kw_only=True)
class RequireEmpty:
    """Refuse its group as `not_empty` unless the account has, owes and holds nothing. What has expired goes first."""

    account: AccountKey
    idempotency: Idempotency | None = None


Command: TypeAlias = (
    Grant
    | Hold
    | Extend
    | Checkpoint
    | Settle
    | Release
    | Expire
    | ExpireLots
    | Charge
    | RefundPurchase
    | RefundCharge
    | Adjust
    | Move
    | Configure
    | RecordUsage
    | Keep
    | Announce
    | Forget
    | Put
    | RequireVersion
    | RequireEmpty
)
