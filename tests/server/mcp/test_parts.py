"""The door's small parts: the signpost, what is spoken of progress, refusals in words, and calls that are told once."""

import asyncio
from typing import Any

import anyio
import pytest

from methods.dialects.canonical import TextDelta
from methods.errors import InvalidParams
from methods.progress import Notice, Progress, RunStarted
from monetization.callers import Caller
from monetization.calls import Credential
from server.config import ConfigError, Settings
from server.mcp.exchange import Exchange, settled
from server.mcp.results import ERROR, refused, spoken
from server.mcp.signpost import Signpost

AUTH = {"audience": "a", "algorithms": ["HS256"], "secret": "0123456789abcdefghijklmnopqrstuvwxyz-ABC"}


def signpost(issuer: str = "https://login.example.com/t", **mcp: Any) -> Signpost:
    server = {"public_url": "https://ai.example.com/base/"}
    return Signpost.of(
        Settings.of({"server": server, "auth": {**AUTH, "issuer": issuer}, "mcp": {"enabled": True, **mcp}})
    )


def test_the_metadata_names_the_door_and_who_hands_out_tokens() -> None:
    found = signpost(scopes=["ai", "read"])
    assert found.document() == {
        "resource": "https://ai.example.com/base/mcp",
        "authorization_servers": ["https://login.example.com/t"],
        "scopes_supported": ["ai", "read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tollgate",
    }
    assert found.address == "https://ai.example.com/.well-known/oauth-protected-resource/base/mcp"


def test_the_challenge_repeats_nothing_that_would_break_out_of_its_quotes() -> None:
    name, value = signpost().challenge(problem='it "ends"\r\nset-cookie: x\\ é')
    assert name == b"www-authenticate"
    assert b'error_description="it endsset-cookie: x "' in value
    assert b"\r" not in value


def test_nothing_is_pointed_to_where_nobody_hands_out_tokens() -> None:
    _, value = signpost("my-own-issuer").challenge()
    assert value == b'Bearer realm="tollgate"'


def test_named_servers_stand_before_the_issuer() -> None:
    found = signpost("my-own-issuer", authorization_servers=["https://idp.example.com"])
    assert found.servers == ("https://idp.example.com",)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization_servers", ["login.example.com"]),
        ("authorization_servers", ["https://login.example.com?x=1"]),
        ("allowed_hosts", ["https://ai.example.com"]),
        ("allowed_hosts", ["AI.example.com"]),
        ("allowed_origins", ["https://app.example.com/"]),
        ("scopes", ['a"b']),
        ("scopes", ["a b"]),
    ],
)
def test_a_setting_that_could_never_match_stops_the_start(key: str, value: list[str]) -> None:
    with pytest.raises(ConfigError) as wrong:
        signpost("https://login.example.com", **{key: value})
    assert f"mcp.{key}" in str(wrong.value)


def test_text_that_came_together_is_one_step_and_everything_else_its_own() -> None:
    items: list[Progress] = [RunStarted("m", "p"), TextDelta("a"), TextDelta("b"), Notice("n"), TextDelta("c")]
    assert spoken(items) == ["p/m answers", "ab", "n", "c"]
    assert spoken([]) == []


def test_a_refusal_says_why_and_what_next_and_keeps_its_data() -> None:
    data = {"reason": "rate_limited", "requestId": "req_1", "detail": "too fast.", "retryAfter": 2.5}
    error = {"code": -32002, "message": "Rate limit exceeded", "data": data}
    result = refused(error)
    assert result.is_error
    assert result.meta == {ERROR: error}
    assert result.structured_content is None, "it would have to fit the tool's schema"
    assert [block.text for block in result.content if block.type == "text"] == [
        "Rate limit exceeded: too fast. Try again after 2.5 seconds. (reason rate_limited, request req_1)"
    ]


async def test_a_call_whose_request_is_cancelled_is_told_once_and_may_settle() -> None:
    told, ends = [], asyncio.Event()

    async def call() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            for _ in range(100):  # the books are written
                await asyncio.sleep(0)
            ends.set()
            raise
        return "never"

    # The SDK's way: a scope that cancels again and again until its task has ended.
    async with anyio.create_task_group() as group:
        group.start_soon(settled, call())
        await asyncio.sleep(0.01)
        group.cancel_scope.cancel()
    assert ends.is_set()
    assert told == ["cancelled"]


async def test_what_a_call_raises_after_it_was_cancelled_is_nobodys_warning() -> None:
    async def call() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("while it settled") from None
        return "never"

    task = asyncio.create_task(settled(call()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_key_that_is_no_key_is_refused() -> None:
    exchange = Exchange(
        Credential("bearer", "x"), Caller(kind="anonymous"), "req", 0.0, idempotency_key=b"of-the-header"
    )
    assert exchange.key({}) == "of-the-header"
    assert exchange.key({"idempotencyKey": "of-meta"}) == "of-meta"
    for wrong in (7, "", "a b", "x" * 256):
        with pytest.raises(InvalidParams):
            exchange.key({"idempotencyKey": wrong})


def test_a_trace_that_is_none_is_left_out() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    exchange = Exchange(Credential("none"), Caller(kind="anonymous"), "req", 0.0, traceparent=trace.encode())
    assert exchange.trace({}) == exchange.trace({"traceparent": 7}) == trace
    other = trace.replace("0af7", "1bf8")
    assert exchange.trace({"traceparent": other}) == other
