"""The settings of the server under test, and a client that speaks to it over real sockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server

SERVERS = ("openai", "anthropic", "google")
MODELS = (
    "fake",
    "fake-other",
    "fake-slow",
    "fake-endless",
    "fake-hanging",
    "fake-silent",
    "fake-split",
    "fake-error-midway",
)
FREE = {"rpm": 9_000_000, "tpm": 9_000_000_000, "concurrent": 100_000}


def settings_for(fake: FakeProvider, private_key: str, *, keys: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Three vendors, one compatible one under a path, one that is waited for, all of them the fake; and one that is not there.

    Whoever ends a silent call itself asks `patient`: the others' time may be up first, on a busy machine.
    """
    said = keys or {}

    def provider(kind: str, base_url: str, **more: object) -> dict[str, object]:
        bounds = {"first_byte_timeout_seconds": 1.6, "timeout_seconds": 60, "retries": 1, "breaker_failures": 10_000}
        return {"kind": kind, "base_url": base_url, "models": MODELS, **bounds, **more}

    providers = {
        "openai": provider("openai", f"{fake.url}/v1", api_key=said.get("openai", "operator-openai")),
        "anthropic": provider("anthropic", fake.url, api_key=said.get("anthropic", "operator-anthropic")),
        "google": provider("google", fake.url, api_key=said.get("google", "operator-google")),
        "compatible": provider(
            "openai",
            f"{fake.url}/some/vendor/v9",
            api_key="operator-compatible",
            headers={"x-team": said.get("header", "operator-team")},
        ),
        "patient": provider("openai", f"{fake.url}/v1", api_key="operator-patient", first_byte_timeout_seconds=60),
        "dead": provider("openai", "http://127.0.0.1:9/v1", api_key="operator-dead", retries=0),
    }
    prices = {f"{name}/{model}": {"input": "1", "output": "2"} for name in providers for model in MODELS}
    return {
        "server": {"read_timeout_seconds": 60, "drain_seconds": 10},
        "auth": {
            "issuer": "https://issuer.example",
            "audience": "tollgate",
            "algorithms": ["ES256"],
            "private_key": private_key,
        },
        "providers": providers,
        "routing": {
            "default_provider": "openai",
            "default_model": "fake",
            "fallbacks": {"fake-other": ["anthropic/fake"]},
        },
        "prices": prices,
        "tiers": {
            "tester": {
                "monthly_token_quota": 10**15,
                "monthly_request_quota": 10**12,
                "max_tokens_per_request": 32_000,
                "features": ["basic_ai"],
                **FREE,
            },
            "hasty": {"features": ["basic_ai"], **FREE, "rpm": 3},
            "modest": {"monthly_request_quota": 3, "features": ["basic_ai"], **FREE},
            "short": {"monthly_token_quota": 2_000, "max_tokens_per_request": 20, "features": ["basic_ai"], **FREE},
        },
        "limits": {"byok": FREE, "anonymous": FREE},
    }


@dataclass
class Client:
    """Calls one server; every call may show another credential."""

    server: Server
    http: aiohttp.ClientSession
    token: str = ""
    ids: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def head(self, token: str | None = None, **more: str) -> dict[str, str]:
        """Headers with a credential; an empty token shows none."""
        shown = self.token if token is None else token
        return {**self.headers, **({"authorization": f"Bearer {shown}"} if shown else {}), **more}

    async def call(self, method: str, params: object = None, *, token: str | None = None) -> dict[str, Any]:
        """The whole reply to a single call."""
        self.ids += 1
        body = {"jsonrpc": "2.0", "id": self.ids, "method": method, "params": {} if params is None else params}
        async with self.http.post(f"{self.server.url}/rpc", json=body, headers=self.head(token)) as reply:
            assert reply.status == 200, await reply.text()
            said: dict[str, Any] = await reply.json()
        assert said["id"] == self.ids
        return said

    async def result(self, method: str, params: object = None, *, token: str | None = None) -> Any:
        """The result of a call that must succeed."""
        said = await self.call(method, params, token=token)
        assert "result" in said, said
        return said["result"]

    async def error(self, method: str, params: object = None, *, token: str | None = None) -> dict[str, Any]:
        """The error of a call that must fail; whatever it is, it is none of our own mistakes."""
        said = await self.call(method, params, token=token)
        assert "error" in said, said
        error: dict[str, Any] = said["error"]
        assert error["code"] != -32603, error
        assert {"reason", "requestId"} <= error["data"].keys()
        return error

    async def raw(self, body: bytes, *, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of any POST."""
        said = {"content-type": "application/json", **self.head(), **(headers or {})}
        async with self.http.post(f"{self.server.url}/rpc", data=body, headers=said) as reply:
            return reply.status, await reply.read()

    async def stream(self, params: Mapping[str, object], *, rpc_id: object = "s") -> list[dict[str, Any]]:
        """Every message of a stream."""
        body = {"jsonrpc": "2.0", "id": rpc_id, "method": "executeAIRequest", "params": {**params, "stream": True}}
        head = self.head(accept="text/event-stream, application/json")
        async with self.http.post(f"{self.server.url}/rpc", json=body, headers=head) as reply:
            assert reply.status == 200
            if reply.content_type != "text/event-stream":
                return [await reply.json()]
            return [message async for message in messages_of(reply)]


async def messages_of(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The JSON of every event as it arrives; comments are left out."""
    async for line in reply.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def text_of(messages: list[dict[str, Any]]) -> str:
    """The concatenated text of all deltas."""
    values = [m["params"]["value"] for m in messages if m.get("method") == "$/progress"]
    return "".join(v["delta"]["text"] for v in values if v["kind"] == "delta" and v["delta"]["type"] == "text")


def sequence_of(messages: list[dict[str, Any]]) -> list[int]:
    """The numbers of all progress messages."""
    return [m["params"]["value"]["seq"] for m in messages if m.get("method") == "$/progress"]


async def until(check: Callable[[], Awaitable[bool]], *, seconds: float = 30.0) -> None:
    """Ask again and again, over the wire, until it is so. Raises: AssertionError when it never is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await check():
        assert loop.time() < end, "it never came true"
        await asyncio.sleep(0.05)


async def eventually(check: Any, *, seconds: float = 30.0) -> Any:
    """What `check` gives once that is true. Raises: AssertionError when it never is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not (found := check()):
        assert loop.time() < end, "it never came true"
        await asyncio.sleep(0.01)
    return found


async def comes_to_rest(client: Client) -> None:
    """Wait until no call is in flight: an answer is out and its usage row durable a moment before the call has ended."""

    async def is_idle() -> bool:
        async with client.http.get(f"{client.server.url}/metrics") as reply:
            found = re.search(r"^tollgate_calls_in_flight (\S+)$", await reply.text(), re.MULTILINE)
        assert found is not None
        return float(found[1]) == 0

    await until(is_idle)


def usage_rows(server: Server, request_id: str) -> list[dict[str, Any]]:
    """The usage rows of one request."""
    return server.rows("SELECT * FROM usage WHERE request_id = ?", request_id)
