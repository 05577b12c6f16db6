"""Idempotent calls: a repeated key finds the first answer instead of a second provider call, also after a restart.

The key is tied to the hold. While the hold is open, the first call still runs. Once it is settled, the answer lies beside it,
kept in the same commit. A hold that was released or expired left no answer, so the call may be tried again under the same key.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol

import orjson

from monetization.callers import Caller
from monetization.calls import Call
from monetization.charging.policies import Charge
from monetization.receipts import Bounds, as_settled
from monetization.tab import MonthSoFar, Receipt
from storage.errors import IdempotencyConflict
from storage.records.commands import Checkpoint, Command, Done, Idempotency, Keep, Outcome, Settle
from storage.records.kept import ANSWER, KeptRow
from storage.records.usage import Usage

ANSWER_SECONDS: Final = 24 * 3600
"""How long an answer can be asked for again."""
KEY_SECONDS: Final = 35 * 24 * 3600
"""How long a key is known to have been used. Keys of payments and grants are known for ever."""
ATTEMPTS_MAX: Final = 32
"""How often one key may come to nothing before it is refused for good."""


class Memory(Protocol):
    """What replays need of the store."""

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> Sequence[KeptRow]:
        """Kept rows of a kind and key, the oldest first."""
        ...

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Apply one command."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A first answer, as it was."""

    answer: object
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Replays:
    """Remembers the answers of calls that carry an idempotency key."""

    memory: Memory
    clock_us: Callable[[], int]
    tenant: str = "default"

    def key(self, caller: Caller, call: Call, attempt: int) -> Idempotency | None:
        """What makes the hold of a call repeatable; None for a call without a key."""
        if call.idempotency_key is None:
            return None
        # No user's name holds a control character, so no user meets the answers of an organization or an address.
        scope = f"{call.method}:{'' if caller.user_id is not None else chr(31)}{caller.subject}"
        expires = self.clock_us() + KEY_SECONDS * 1_000_000
        return Idempotency(scope, f"{call.idempotency_key}#{attempt}", _fingerprint(call), expires)

    async def find(self, hold_id: int) -> Kept | None:
        """The answer kept with a hold; None when the hold came to nothing. Raises: IdempotencyConflict while it is open."""
        # The ledger itself is asked, by a note that notes nothing: in whatever asset the hold is, and nothing can slip between.
        outcome = await self.memory.submit(Checkpoint(tenant=self.tenant, hold_id=hold_id, used=0))
        if isinstance(outcome, Done):
            raise IdempotencyConflict(
                "the first call with this idempotency key still runs; repeat in a moment to get its answer",
                reason="in_progress",
                retry_after_seconds=1,
            )
        rows = await self.memory.kept(self.tenant, ANSWER, str(hold_id))
        if not rows:
            return None
        body = orjson.loads(rows[-1].body)
        receipt = _receipt(body["receipt"])
        # Anything under the key of the first settling gives that one's answer, and a note on a closed hold changes nothing
        # where that key has been forgotten.
        settled = await self.memory.submit(
            Checkpoint(tenant=self.tenant, hold_id=hold_id, used=0, idempotency=self._settling(hold_id))
        )
        if isinstance(settled, Done) and settled.is_replay:
            receipt = as_settled(receipt, settled, body.get("bounds", ()))
        return Kept(body["answer"], receipt)

    def keep(self, settle: Settle, answer: object, foreseen: Receipt, bounds: Bounds) -> list[Command]:
        """The settling of a call with a key, and beside it its answer.

        The receipt is the one foreseen, because the commit cannot hold what it will come to. The ledger keeps that itself,
        under a key of the settling, so that the first answer and its repetitions show the same and the truth.
        """
        settle = replace(settle, idempotency=self._settling(settle.hold_id))
        if answer is None:
            return [settle]
        body = orjson.dumps({"answer": answer, "receipt": asdict(foreseen), "bounds": bounds}, default=_plain).decode()
        expires = self.clock_us() + ANSWER_SECONDS * 1_000_000
        return [settle, Keep(KeptRow(self.tenant, ANSWER, str(settle.hold_id), body, expires_us=expires))]

    def _settling(self, hold_id: int) -> Idempotency:
        return Idempotency("settle", str(hold_id), "", self.clock_us() + KEY_SECONDS * 1_000_000)


def worn_out() -> IdempotencyConflict:
    """The fault of a key under which nothing ever succeeded."""
    return IdempotencyConflict(
        f"{ATTEMPTS_MAX} calls with this idempotency key came to nothing; take a new key", reason="key_worn_out"
    )


def _fingerprint(call: Call) -> str:
    body = orjson.dumps([call.method, call.params], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _receipt(body: dict[str, Any]) -> Receipt:  # JSON of our own writing
    charge, usage, month = body.pop("charge"), body.pop("usage"), body.pop("month", None)
    return Receipt(
        usage=Usage(**usage),
        charge=None if charge is None else Charge(**charge),
        month=None if month is None else MonthSoFar(**month),
        **body,
    )


def _plain(value: object) -> object:
    """Results that are models, as JSON."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__name__} is no JSON")
    return dump(mode="json", by_alias=True)
