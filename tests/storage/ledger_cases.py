"""What the examples of the ledger share: accounts, and commands with little to say."""

from typing import Any

from storage.records.commands import (
    Command,
    Done,
    Grant,
    Hold,
    Refusal,
    Settle,
)
from storage.records.ledger import (
    CREDITS,
    AccountKey,
    WindowKey,
)
from storage.records.money import TOKEN
from storage.records.usage import Usage, UsageRow
from storage.store import Store
from tests.storage.conftest import Clock

ADA = AccountKey("t", "user", "ada", CREDITS, TOKEN)
BOB = ADA._replace(owner_id="bob")
TEAM = ADA._replace(owner_type="team", owner_id="blue")
MONTH = WindowKey("t", "ada", "tokens", "monthly", 0)
HOUR_US = 3_600_000_000


async def done(store: Store, command: Command) -> Done:
    outcome = await store.submit(command)
    assert isinstance(outcome, Done), outcome
    return outcome


async def refused(store: Store, command: Command) -> Refusal:
    outcome = await store.submit(command)
    assert isinstance(outcome, Refusal), outcome
    return outcome


def grant(account: AccountKey, amount: int, ref: str = "1", **more: Any) -> Grant:
    return Grant(
        account=account, amount=amount, reason=more.pop("reason", "purchase"), source="shop", source_ref=ref, **more
    )


def hold(clock: Clock, amount: int, account: AccountKey = ADA, seconds: float = 60, **more: Any) -> Hold:
    return Hold(account=account, amount=amount, expires_us=clock.later(seconds), **more)


def settle(held: Done, amount: int, **more: Any) -> Settle:
    return Settle(tenant="t", hold_id=held.id, amount=amount, **more)


def usage_row(row_id: str, user_id: str, occurred_us: int) -> UsageRow:
    return UsageRow(
        id=row_id,
        request_id=f"req_{row_id}",
        occurred_us=occurred_us,
        user_id=user_id,
        caller_kind="subscription",
        tier="starter",
        tenant="t",
        method="executeAIRequest",
        door="rpc",
        provider="openai",
        model="gpt-4o",
        outcome="done",
        usage=Usage(input=3, output=4),
        cost_nano=50,
    )
