"""Callers who speak REST, and the server of the documents' samples: its prices, plans and pages. Nothing is asserted here."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from tests.fakes.server import Server, token


class Rest:
    """An admin and a user who speak REST."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, *, tier: str = "tester") -> None:
        self.server = server
        self.http = http
        self.tier = tier
        self.admin = token(server, "boss", tier, role="admin")
        self.user = token(server, "rest-user", tier)

    def token(self, user: str) -> str:
        """What shows a user."""
        return token(self.server, user, self.tier)

    async def send(
        self, verb: str, path: str, body: object = None, *, shown: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers of the answer."""
        bearer = self.admin if shown is None else shown
        head = {"authorization": f"Bearer {bearer}"} if bearer else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {} if data is None else {"content-type": "application/json"}
        said = {**head, **kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = URL(self.server.url + path, encoded=True)
        async with self.http.request(verb, url, data=data, headers=said, allow_redirects=False) as reply:
            text = await reply.read()
            return (
                reply.status,
                json.loads(text) if text[:1] == b"{" else None,
                {k.lower(): v for k, v in reply.headers.items()},
            )

    async def good(self, verb: str, path: str, body: object = None, *, shown: str | None = None) -> Any:
        """The body of an answer that must be good."""
        status, answer, _ = await self.send(verb, path, body, shown=shown)
        if status not in (200, 201, 202):
            raise AssertionError((status, answer))
        return answer


def papers(private_key: str) -> Mapping[str, object]:
    """The settings under which the documents' samples hold: their models at their prices, their plans, credits of a cent."""
    openai = {
        "kind": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "k",
        "models": ["gpt-4-turbo", "dall-e-3"],
    }
    anthropic = {
        "kind": "anthropic",
        "base_url": "http://127.0.0.1:9",
        "api_key": "k",
        "models": ["claude-3-haiku", "claude-3-sonnet"],
    }
    return {
        "auth": {
            "issuer": "https://issuer.example",
            "audience": "tollgate",
            "algorithms": ["ES256"],
            "private_key": private_key,
        },
        "providers": {"openai": openai, "anthropic": anthropic},
        "routing": {"default_provider": "openai", "default_model": "gpt-4-turbo"},
        "prices": {
            "openai/gpt-4-turbo": {"input": "10", "output": "30"},
            "anthropic/claude-3-haiku": {"input": "0.8", "output": "4"},
            "anthropic/claude-3-sonnet": {"input": "10", "output": "30"},
        },
        "charging": {"default_tier": "professional"},
        "tiers": {"professional": {"policy": "credits"}, "enterprise": {"policy": "credits"}},
        "ingestion": {"unit_prices": {"dall-e-3/1024x1024/hd": {"usd": "0.08"}, "pages": {"usd": "0.01"}}},
        "urls": {"upgrade": "https://checkout.example/pay"},
    }
