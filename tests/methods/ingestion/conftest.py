"""The whole product, on SQLite or on both databases, and events to tell it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.errors import Fault
from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.methods.money.conftest import Product, Start, start

__all__ = ["postgres", "start"]  # fixtures


def iso(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def event(id: str = "evt_1", user: str = "u1", **more: Any) -> dict[str, Any]:  # noqa: A002  # as on the wire
    """A use of a thousand tokens in and five hundred out: two thousand micro-dollars by the simulator's price."""
    return {
        "event_id": id,
        "customer_id": "somebody-else",
        "user_id": user,
        "event_type": "TOKEN_USAGE",
        "provider": "SIMULATOR",
        "model": "simulator",
        "input_tokens": 1000,
        "output_tokens": 500,
        **more,
    }


class Sender:
    """A service that tells of usage."""

    def __init__(self, product: Product) -> None:
        self.product = product

    async def tell(self, *events: object, role: str = "service") -> Any:
        return await self.product.call(
            self.product.token("backend", "enterprise", role=role), "ingestEvents", {"events": list(events)}
        )

    async def admin(self, method: str, params: object = None) -> Any:
        return await self.product.call(self.product.token("boss", "enterprise", role="admin"), method, params)

    async def refused(self, method: str, params: object = None) -> Fault:
        return await self.product.refused(self.product.token("boss", "enterprise", role="admin"), method, params)

    async def one(self, told: object) -> dict[str, Any]:
        """The verdict on one event."""
        return dict((await self.tell(told))["results"][0])

    async def balance(self, user: str = "u1") -> float:
        """What a user has, in credits, or in tokens."""
        if user in {"u1", "c"}:
            return float((await self.admin("getCreditBalance", {"userId": user}))["remainingCredits"])
        return float((await self.admin("getTokenBalance", {"userId": user}))["virtualTokenBalance"])

    async def history(self, user: str = "u1") -> list[dict[str, Any]]:
        return list((await self.admin("getUsageHistory", {"limit": 500, "userId": user}))["history"])

    async def letters(self) -> list[dict[str, Any]]:
        return list((await self.admin("listDeadLetters", {"limit": 500}))["deadLetters"])

    async def subscribe(self, user: str, tier: str) -> None:
        await self.admin("updateUserSubscription", {"userId": user, "tier": tier})


Started = AbstractAsyncContextManager[Sender]


BOTH = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
"""For what the database has a part in; the books of every kind of event are tried on both in `tests/monetization`."""


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        return server.fresh()
    return f"sqlite:///{tmp_path / 'money.db'}"


@pytest.fixture
def sending(start: Start, url: str) -> Any:
    @asynccontextmanager
    async def started(charging: Mapping[str, object] | None = None, **more: Any) -> AsyncIterator[Sender]:
        async with start(charging, storage={"url": url}, **more) as product:
            yield Sender(product)

    return started


@pytest.fixture
async def sender(sending: Any) -> AsyncIterator[Sender]:
    """A service, and a user with a thousand credits and one with a hundred thousand tokens."""
    async with sending() as made:
        await made.subscribe("u1", "credits")
        await made.admin("grantCredits", {"userId": "u1", "amount": "1000"})
        await made.subscribe("u2", "virtual_tokens")
        await made.admin("grantTokens", {"userId": "u2", "tokens": 100_000})
        await made.subscribe("u3", "allowance")
        yield made
