"""A server that takes money from real balances, and a look into its books from outside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from storage.records.commands import Done, Grant
from storage.records.ledger import CREDITS, AccountKey, Balance, WindowKey
from storage.records.usage import UsageRow
from storage.store import Reader, open_reader, open_store
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, serving
from tests.journeys.world import FREE, settings_for

TENANT = "default"
PARAMS = {"content": "Hi", "options": {"maxTokens": 10}}
TOKENS_IN, TOKENS_OUT = 33, 10
"""The most that PARAMS can come to, and what the vendor of `spending` says that they came to: every call takes all it held."""
TOKENS = TOKENS_IN + TOKENS_OUT
PRICE = {"tokens": 54, "credits": 5_300_000}
"""What one such call takes: 43 tokens and a quarter, rounded up; 33 and 20 millionths of a dollar in nano credits."""
ASSETS = {"tokens": "TOKEN", "credits": "CREDIT"}


def now_us() -> int:
    return time.time_ns() // 1_000


def account(tier: str, user: str) -> AccountKey:
    return AccountKey(TENANT, "user", user, CREDITS, ASSETS.get(tier, "TOKEN"))


@dataclass(frozen=True)
class Place:
    """Where the books are kept, and how many processes keep them."""

    url: str
    workers: int
    folder: Path

    async def grant(self, tier: str, user: str, amount: int) -> None:
        """Put units into an account while no server runs."""
        async with open_store(self.url, clock_us=now_us) as store:
            command = Grant(
                account=account(tier, user), amount=amount, reason="purchase", source="test", source_ref=f"{tier}-{user}"
            )  # fmt: skip
            assert isinstance(await store.submit(command), Done)

    async def balance(self, tier: str, user: str) -> Balance:
        async with open_reader(self.url, clock_us=now_us) as reader:
            return await reader.balance(account(tier, user))

    async def used(self, user: str, resource: str = "tokens") -> tuple[int, int]:
        """What the user's window of this month says: used, held."""
        async with open_reader(self.url, clock_us=now_us) as reader:
            views = [view for view in await reader.windows(TENANT, f"user:{user}") if view.key.resource == resource]
        assert len(views) <= 1, "the test ran over midnight at a month's end"
        return views[0][1:3] if views else (0, 0)

    async def rows(self, user: str) -> list[UsageRow]:
        """Every usage row of a user, the newest first."""
        async with open_reader(self.url, clock_us=now_us) as reader:
            return await rows_of(reader, user)

    async def assert_sound(self) -> None:
        async with open_reader(self.url, clock_us=now_us) as reader:
            assert [check for check in await reader.verify() if not check.is_ok] == []


async def rows_of(reader: Reader, user: str) -> list[UsageRow]:
    found: list[UsageRow] = []
    cursor: str | None = None
    while True:
        page = await reader.usage(TENANT, user, limit=200, cursor=cursor)
        found += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return found


def window(user: str, start_us: int) -> WindowKey:
    return WindowKey(TENANT, f"user:{user}", "tokens", "monthly", start_us)


def settings_of(place: Place, vendor: FakeProvider, private_key: str, **charging: object) -> dict[str, Any]:
    settings = settings_for(vendor, private_key)
    settings["storage"] = {"url": place.url}
    settings["server"] |= {"workers": place.workers}
    settings["charging"] = charging
    for provider in settings["providers"].values():
        provider |= {"first_byte_timeout_seconds": 20, "retries": 0}
    settings["tiers"] |= {
        "tokens": {"policy": "virtual_tokens", **FREE},
        "credits": {"policy": "credits", **FREE},
        "quota": {"policy": "allowance", "monthly_token_quota": 50 * TOKENS, **FREE},
    }
    return settings


@contextmanager
def open_for_business(place: Place, vendor: FakeProvider, private_key: str, **charging: object) -> Iterator[Server]:
    """A server over these books."""
    with serving(settings_of(place, vendor, private_key, **charging), place.folder) as server:
        yield server


def spending(*, is_stream: bool, words: int = 4, **more: Any) -> Script:
    """A vendor that says exactly the usage that was held."""
    usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS}
    head = {"id": "chatcmpl-fake", "created": 1, "model": "fake"}
    if not is_stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": "word " * words}, "finish_reason": "stop"}
        return Script(
            body=orjson.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}), **more
        )
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}] * words
    chunks: list[dict[str, Any]] = [{**head, "choices": [delta], "usage": None} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
    chunks.append({**head, "choices": [], "usage": usage})
    body = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    return Script(body=body, **more)
