"""Whose key is spent: the operator's only for a known payer, a caller's own only where it belongs."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving
from tests.fakes.wires import TEXT
from tests.journeys.world import Client, settings_for, usage_rows

OWN = "own-key-of-the-caller"
HEADER = {
    "openai": "authorization",
    "anthropic": "x-api-key",
    "google": "x-goog-api-key",
    "compatible": "authorization",
}


@pytest.mark.parametrize("provider", HEADER)
@pytest.mark.parametrize("is_signed_in", [True, False])
@pytest.mark.parametrize("place", ["params", "options"])
async def test_an_own_key_reaches_exactly_the_chosen_provider(
    client: Client, fake: FakeProvider, provider: str, place: str, *, is_signed_in: bool
) -> None:
    options = {"provider": provider, "model": "fake"}
    params = {"content": "Hi", "options": options}
    (params if place == "params" else options)["apiKey"] = OWN
    result = await client.result("executeAIRequest", params, token=None if is_signed_in else "")
    assert result["content"] == TEXT
    [asked] = fake.seen
    assert asked.headers[HEADER[provider]].removeprefix("Bearer ") == OWN
    assert "operator-" + provider not in str(asked.headers)
    assert OWN not in asked.body.decode() + asked.path
    [row] = usage_rows(client.server, result["requestId"])
    assert (row["caller_kind"], row["user_id"]) == ("byok", "alice" if is_signed_in else None)


async def test_without_credential_and_key_nothing_is_asked_and_the_way_on_is_told(
    client: Client, fake: FakeProvider
) -> None:
    error = await client.error("executeAIRequest", {"content": "Hi"}, token="")
    assert error["code"] == -32004
    assert "Authorization" in error["data"]["detail"]
    assert "apiKey" in error["data"]["detail"]
    assert fake.seen == []


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nx-evil: 1", "ü", 7, ["k"]])
async def test_a_key_that_is_none_is_refused_before_anybody_is_asked(
    client: Client, fake: FakeProvider, key: object
) -> None:
    error = await client.error("executeAIRequest", {"content": "Hi", "apiKey": key}, token="")
    assert error["code"] == -32602
    assert fake.seen == []


async def test_a_failing_own_key_is_never_tried_elsewhere_nor_replaced(client: Client, fake: FakeProvider) -> None:
    params = {"content": "Hi", "apiKey": "bad-key", "options": {"model": "fake-other", "provider": "openai"}}
    error = await client.error("executeAIRequest", params)
    assert (error["code"], error["data"]["reason"]) == (-32004, "own_key_refused")
    assert "bad-key" not in str(error)
    assert [seen.path for seen in fake.seen] == ["/v1/chat/completions"]


async def test_a_refused_token_is_not_taken_for_an_anonymous_caller(client: Client, fake: FakeProvider) -> None:
    params = {"content": "Hi", "apiKey": OWN}
    assert (await client.error("executeAIRequest", params, token="nonsense"))["code"] == -32004
    assert fake.seen == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def strict(
    shared_fake: FakeProvider, http: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory, private_key: str
) -> AsyncIterator[Client]:
    """Serves nobody without a token, and shows refusals as statuses."""
    folder: Path = tmp_path_factory.mktemp("strict")
    settings = settings_for(shared_fake, private_key)
    settings["auth"] |= {"anonymous": "off", "require_auth": True, "public_methods": ["ping"]}
    settings["server"]["http_status"] = "mapped"
    with serving(settings, folder) as running:
        yield Client(running, http)


async def test_anonymous_off_refuses_own_keys_without_a_token(strict: Client, fake: FakeProvider) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{"content":"Hi","apiKey":"own"}}'
    status, said = await strict.raw(body)
    assert (status, b"-32004" in said) == (401, True)
    assert fake.seen == []


@pytest.mark.parametrize(("method", "status"), [("ping", 200), ("health", 401), ("listProviders", 401)])
async def test_require_auth_leaves_only_the_public_methods_open(strict: Client, method: str, status: int) -> None:
    assert (await strict.raw(f'{{"jsonrpc":"2.0","id":1,"method":"{method}"}}'.encode()))[0] == status


async def test_mapped_statuses_are_for_single_refusals_only(strict: Client) -> None:
    single = b'{"jsonrpc":"2.0","id":1,"method":"health"}'
    async with strict.http.post(
        f"{strict.server.url}/rpc", data=single, headers={"content-type": "application/json"}
    ) as reply:
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert (await strict.raw(b"[" + single + b"]"))[0] == 200
    assert (await strict.raw(b'{"jsonrpc":"2.0","id":1,"method":"nothing"}'))[0] == 200
    assert (await strict.raw(b'{"jsonrpc":"2.0","method":"health"}'))[0] == 204
