"""One provider of three vendors' languages and one server, shared by the folder; every test is somebody else's user."""

import io
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from server.auth.issuing import Holder, issued
from server.config import Settings
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving
from tests.journeys.money.books import Place, settings_of

HERE = Path(__file__).parent
MESSAGES = [{"role": "user", "content": "Hi"}]
OPENAI = {"model": "openai/fake", "messages": MESSAGES, "max_tokens": 50}
ANTHROPIC = {"model": "anthropic/fake", "messages": MESSAGES, "max_tokens": 50}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 50}}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1/models/google/fake:generateContent",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run on the loop that the provider lives on."""
    for item in items:
        if item.path.parent == HERE and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Any
    body: bytes
    json: Any


@dataclass
class Shop:
    """The server, and how it is asked."""

    server: Server
    place: Place
    http: aiohttp.ClientSession
    numbers: "count[int]"
    settings: Settings

    async def user(self, tier: str = "tester") -> tuple[str, str]:
        """A new user and a token."""
        name = f"u{next(self.numbers)}"
        return name, self.bearer(name, tier)

    def bearer(self, name: str, tier: str, *roles: str) -> str:
        """A token of a user, made here: the command takes a second, and every test needs one."""
        holder = Holder(name, tier, roles=roles)
        return issued(self.settings, holder, expires_seconds=3600, now=time.time())

    async def granted(self, user: str, nano: int) -> None:
        """Give a user credits, in nano credits."""
        boss = self.bearer("boss", "tester", "admin")
        params = {"userId": user, "amount": str(nano // 10**9), "idempotencyKey": f"g-{user}"}
        call = {"jsonrpc": "2.0", "id": 1, "method": "grantCredits", "params": params}
        reply = await self.ask("/rpc", call, bearer=boss)
        assert "result" in reply.json, reply.json

    async def ask(
        self,
        path: str,
        body: Any = None,
        *,
        bearer: str | None = None,
        raw: bytes | io.BytesIO | None = None,
        **headers: str,
    ) -> Reply:
        """POST with a body, GET without; header names are written with underscores."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer is not None:
            said["authorization"] = f"Bearer {bearer}"
        given: dict[str, Any] = {"json": body}
        if raw is not None:
            said["content-type"] = "application/json"
            given = {"data": raw}
        verb = "GET" if body is None and raw is None else "POST"
        async with self.http.request(verb, f"{self.server.url}{path}", headers=said, **given) as reply:
            content = await reply.read()
            is_json = reply.content_type == "application/json"
            return Reply(reply.status, reply.headers, content, await reply.json() if is_json and content else None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vendors() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest_asyncio.fixture(loop_scope="session")
async def vendor(vendors: FakeProvider) -> AsyncIterator[FakeProvider]:
    """The provider as it was at the start."""
    vendors.seen.clear()
    vendors.scripts.clear()
    vendors.script = None
    yield vendors
    vendors.script = None
    vendors.scripts.clear()


@pytest.fixture(scope="session")
def shop_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("vendors")
    return Place(f"sqlite:///{folder / 'tollgate.db'}", 1, folder)


@pytest.fixture(scope="session")
def shop_server(vendors: FakeProvider, shop_place: Place, private_key: str) -> Iterator[Server]:
    settings = settings_of(shop_place, vendors, private_key)
    # A vendor that speaks Responses too, as OpenAI's own address does.
    settings["providers"]["native"] = {**settings["providers"]["openai"], "speaks_responses": True}
    settings["prices"] |= {
        f"native/{model}": {"input": "1", "output": "2"} for model in settings["providers"]["native"]["models"]
    }
    settings["keys"] = {"secret": "canary-key-secret-0123456789-abcdefghijklmnopqrstuvwxyz"}
    settings["methods"] = {"executeAIRequest": {"feature": "basic_ai"}}
    for tier in ("tokens", "credits", "quota"):
        settings["tiers"][tier] |= {"features": ["basic_ai"]}
    settings["tiers"]["bare"] = {**settings["tiers"]["tester"], "features": []}
    settings["tiers"]["narrow"] = {
        **settings["tiers"]["short"],
        "monthly_token_quota": 14_000,
        "max_tokens_per_request": 50,
    }
    settings["tiers"]["sole"] = {**settings["tiers"]["tester"], "providers": ["openai"]}
    settings["tiers"]["poor"] = {**settings["tiers"]["tokens"]}
    with serving(settings, shop_place.folder) as running:
        yield running


@pytest.fixture(scope="session")
def shop_settings(shop_server: Server) -> Settings:
    return Settings.load(shop_server.config, {})


@pytest_asyncio.fixture(loop_scope="session")
async def shop(
    shop_server: Server,
    shop_place: Place,
    http: aiohttp.ClientSession,
    vendor: FakeProvider,
    numbers: "count[int]",
    shop_settings: Settings,
) -> Shop:
    del vendor
    return Shop(shop_server, shop_place, http, numbers, shop_settings)


@pytest.fixture(scope="session")
def numbers() -> "count[int]":
    return count(1)
