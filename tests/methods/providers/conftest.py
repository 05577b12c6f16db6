from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from methods.dialects.canonical import ChatRequest, Message, Text
from methods.providers.base import Ask
from methods.providers.building import dialect_of
from methods.providers.http import HttpProvider, Timeouts
from methods.providers.session import open_session
from monetization.callers import Secret
from tests.fakes.provider import FakeProvider

PREFIXES = {"openai": "/v1", "anthropic": "", "google": ""}
KINDS = tuple(PREFIXES)
OPERATOR_KEY = "sk-operator-0123456789"

Make = Callable[..., HttpProvider]


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


@pytest.fixture
def make(fake: FakeProvider, session: aiohttp.ClientSession) -> Make:
    """Makes a real HTTP provider in front of the fake one."""

    def made(kind: str = "openai", *, base_url: str | None = None, **options: object) -> HttpProvider:
        given: dict[str, object] = {"key": Secret(OPERATOR_KEY), "timeouts": Timeouts(2, 2, 5), **options}
        return HttpProvider(
            f"my-{kind}",
            kind,
            dialect_of(kind),  # type: ignore[arg-type]  # a test names kinds as text
            base_url or fake.url + PREFIXES[kind],
            session=session,
            **given,  # type: ignore[arg-type]  # options as each test wants them
        )

    return made


def ask_for(model: str = "fake-model", text: str = "Say hello.", **options: object) -> Ask:
    request = ChatRequest(model=model, messages=(Message("user", (Text(text),)),), max_tokens=100)
    return Ask(request, "req-1", **options)  # type: ignore[arg-type]  # options as each test wants them
