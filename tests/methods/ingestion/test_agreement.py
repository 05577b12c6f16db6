"""Whatever happened, reports equal a recount of the rows and the rows equal the ledger: to the unit, not to a tenth of a percent.

Histories are drawn by chance: calls, streams, streams whose reader leaves early or late, repeated keys, batches of events with
duplicates, conflicts and elements that cannot be rated, dead letters that are replayed, and restarts in between.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import orjson
import pytest

from methods.progress import Progress
from monetization.calls import Call, Credential
from storage.errors import Fault
from tests.methods.ingestion.conftest import Sender, event, iso

TIERS = {"u1": "credits", "u2": "virtual_tokens", "u3": "allowance"}
STEPS = 40


class History:
    """Things that happen to one installation, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  # a history that can be drawn again
        self.sent: list[dict[str, Any]] = []
        self.keys: list[tuple[str, str]] = []

    async def step(self, sender: Sender) -> None:
        draw = self.random.choice(
            (self._call, self._call, self._stream, self._again, self._batch, self._batch, self._letters)
        )
        with suppress(Fault):  # a refusal is part of a history: it must leave nothing behind
            await draw(sender)

    async def _call(self, sender: Sender) -> None:
        user = self.random.choice(sorted(TIERS))
        key = f"key-{len(self.keys)}"
        self.keys.append((user, key))
        await sender.product.call(sender.product.token(user, TIERS[user]), "executeAIRequest", self._ask(), key=key)

    async def _again(self, sender: Sender) -> None:
        if self.keys:
            user, key = self.random.choice(self.keys)
            await sender.product.call(sender.product.token(user, TIERS[user]), "executeAIRequest", self._ask(), key=key)

    async def _stream(self, sender: Sender) -> None:
        user, pieces = self.random.choice(sorted(TIERS)), self.random.randrange(4)

        async def sink(items: Sequence[Progress]) -> None:
            nonlocal pieces
            del items
            pieces -= 1
            if pieces == 0:
                raise asyncio.CancelledError

        product = sender.product
        credential = Credential("bearer", product.token(user, TIERS[user]))
        params = orjson.loads(orjson.dumps({**self._ask(), "stream": True}))
        call = Call(
            "executeAIRequest",
            params,
            credential,
            f"req_s{next(product.numbers)}",
            is_stream=True,
            started=time.monotonic(),
        )
        with suppress(asyncio.CancelledError):
            await product.gateway.serve(call, sink)

    async def _batch(self, sender: Sender) -> None:
        batch: list[object] = [self._event() for _ in range(self.random.randrange(1, 8))]
        batch += self.random.sample(self.sent, min(len(self.sent), self.random.randrange(3)))  # told of again
        batch += self.random.choice(([], [{"event_id": "no user"}], [7]))
        await sender.tell(*batch)

    async def _letters(self, sender: Sender) -> None:
        await sender.admin("replayDeadLetters", {"all": True})

    def _event(self) -> dict[str, Any]:
        number = self.random.randrange(60)
        user = self.random.choice([*TIERS, "stranger"])
        made = event(f"evt_{number}", user, timestamp=iso(hours=self.random.randrange(1, 200)))
        made |= {"input_tokens": self.random.randrange(3_000), "output_tokens": self.random.randrange(3_000)}
        made |= self.random.choice(({}, {}, {"model": "unheard-of"}, {"feature_id": "chat"}))
        self.sent.append(made)
        return made

    def _ask(self) -> dict[str, object]:
        return {"content": "x" * self.random.randrange(1, 400), "options": {"maxTokens": self.random.randrange(1, 60)}}


async def rows_of(sender: Sender, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asked: dict[str, object] = {"userId": user, "limit": 37}
    while True:
        page = await sender.admin("listUsageEvents", asked)
        found += page["events"]
        if "nextCursor" not in page:
            return found
        asked["cursor"] = page["nextCursor"]


async def paid_of(sender: Sender, user: str, asset: str) -> Decimal:
    """What the ledger took from a user, all pages of it."""
    taken = Decimal(0)
    asked: dict[str, object] = {"userId": user, "asset": asset, "limit": 50}
    while True:
        page = await sender.admin("getTransactions", asked)
        taken -= sum(
            (Decimal(found["amount"]) for found in page["data"] if found["transactionType"] == "BURN"), Decimal(0)
        )
        if "nextCursor" not in page:
            return taken
        asked["cursor"] = page["nextCursor"]


async def agree(sender: Sender, user: str) -> None:
    rows, span = await rows_of(sender, user), {"period": "last_30_days", "userId": user}
    told = [row["eventId"] for row in rows if row["source"] != "gateway"]
    assert len(set(told)) == len(told)
    usage = await sender.admin("getUserUsage", span)
    tokens, cost = (
        sum(row["totalTokens"] for row in rows),
        sum((Decimal(row["costUsd"]) for row in rows if "costUsd" in row), Decimal(0)),
    )
    assert (usage["requests"], usage["totalTokens"]) == (len(rows), tokens)
    assert Decimal(usage["costExact"]) == cost
    charged: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if "charged" in row:
            charged[row["chargedAsset"]] += Decimal(row["charged"])
    assert {asset: Decimal(amount) for asset, amount in usage["charged"].items()} == dict(charged)
    for asset in ("TOKEN", "CREDIT", "USD"):
        assert await paid_of(sender, user, asset) == charged[asset], asset
    for interval in ("hour", "day", "week", "month"):
        for zone in ("UTC", "Asia/Kathmandu"):
            series = await sender.admin("getUsageTimeSeries", {**span, "interval": interval, "timezone": zone})
            assert series["totals"]["totalTokens"] == sum(part["totalTokens"] for part in series["data"]) == tokens
            assert Decimal(series["totals"]["costExact"]) == cost
    for by in ("provider", "model", "feature", "eventType", "source"):
        split = await sender.admin("getCostBreakdown", {**span, "by": by})
        assert sum(part["requests"] for part in split["breakdown"]) == len(rows)
        assert sum(Decimal(part["costExact"]) for part in split["breakdown"]) == cost


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
async def test_reports_rows_and_ledger_agree_to_the_unit(sending: Any, seed: int) -> None:
    history = History(seed)
    for life in range(2):
        async with sending() as sender:
            if not life:
                for user, tier in TIERS.items():
                    await sender.subscribe(user, tier)
                    await sender.admin("grantCredits", {"userId": user, "amount": "3"})
                    await sender.admin("grantTokens", {"userId": user, "tokens": 40_000})
            for _ in range(STEPS):
                await history.step(sender)
            await sender.subscribe("stranger", "credits")
            for user in (*TIERS, "stranger"):
                await agree(sender, user)
            everybody = await sender.admin("getAdminAnalytics", {"period": "last_30_days", "top": 100})
            rows = [row for user in (*TIERS, "stranger") for row in await rows_of(sender, user)]
            assert everybody["summary"]["requests"] == len(rows)
            assert sum(top["totalTokens"] for top in everybody["topUsers"]) == sum(row["totalTokens"] for row in rows)
    assert {row["outcome"] for row in rows} >= {"done", "partial"}, (
        "a history without a broken stream proves too little"
    )
    assert {row["source"] == "gateway" for row in rows} == {True, False}
