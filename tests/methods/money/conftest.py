"""The whole product in this process, over a real store: what a door would hand in goes to the gateway that serves."""

import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from methods.method import to_wire
from monetization.calls import Call, Credential
from server.auth.issuing import Holder, issued
from server.compose import Instruments, compose
from server.config import Settings
from server.demo import demo_settings
from server.drain import Drain
from server.gateway import Gateway
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
from storage.errors import Fault
from storage.records.ledger import Check
from storage.store import open_reader

TIERS = {
    name: {"policy": name, "monthly_token_quota": 1_000_000, "features": ["basic_ai"]}
    for name in ("allowance", "virtual_tokens", "credits")
}


@dataclass
class Product:
    """Callers of one server."""

    settings: Settings
    gateway: Gateway
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def token(self, user: str, tier: str = "virtual_tokens", *, role: str = "", organization: str | None = None) -> str:
        holder = Holder(user, tier, organization, (role,) if role else (), ())
        return issued(self.settings, holder, expires_seconds=600, now=time.time())

    async def call(self, token: str, method: str, params: object = None, *, key: str | None = None) -> Any:
        """One call as a door hands it in; the result as JSON, or the Fault."""
        call = Call(
            method,
            orjson.loads(orjson.dumps(params)),
            Credential("bearer", token) if token else Credential("none", address="127.0.0.1"),
            f"req_{next(self.numbers)}",
            idempotency_key=key,
            started=time.monotonic(),
        )
        return orjson.loads(to_wire(await self.gateway.serve(call)))

    async def refused(self, token: str, method: str, params: object = None) -> Fault:
        with pytest.raises(Fault) as refused:
            await self.call(token, method, params)
        return refused.value

    async def admin(self, method: str, params: object = None) -> Any:
        return await self.call(self.token("boss", role="admin"), method, params)

    async def refused_admin(self, method: str, params: object = None) -> Fault:
        return await self.refused(self.token("boss", role="admin"), method, params)

    async def verify(self) -> list[Check]:
        url = self.settings.storage.url.get_secret_value()
        async with open_reader(url, clock_us=lambda: time.time_ns() // 1_000) as reader:
            return [check for check in await reader.verify() if not check.is_ok]


Start = Callable[..., AbstractAsyncContextManager[Product]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    demo_settings(tmp_path)  # makes the key that signs the tokens
    private_key = (tmp_path / "demo-key.pem").read_text()
    descriptor = os.open(os.devnull, os.O_WRONLY)

    @asynccontextmanager
    async def started(charging: Mapping[str, object] | None = None, **more: object) -> AsyncIterator[Product]:
        settings = Settings.of(
            {
                "auth": {
                    "issuer": "https://issuer.example",
                    "audience": "tollgate",
                    "algorithms": ["ES256"],
                    "private_key": private_key,
                },
                "storage": {"url": f"sqlite:///{tmp_path / 'money.db'}"},
                "providers": {"simulator": {"kind": "simulator", "models": ["simulator", "other"]}},
                "routing": {"default_provider": "simulator", "default_model": "simulator"},
                "tiers": TIERS,
                "charging": {**(charging or {})},
                **more,
            }
        )
        logs = Logs(LineWriter(descriptor), now=time.time)
        try:
            async with compose(settings, Instruments(logs, Metrics(), Drain())) as parts:
                product = Product(settings, parts.gateway)
                yield product
                assert await product.verify() == []
        finally:
            logs.close()

    yield started
    os.close(descriptor)


@pytest.fixture
async def product(start: Start) -> AsyncIterator[Product]:
    async with start() as started:
        yield started
