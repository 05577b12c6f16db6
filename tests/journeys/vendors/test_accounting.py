"""Every door x every provider x every way a call can go: usage row, ledger and report agree to the unit; nothing stays held."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

import aiohttp
import orjson
import pytest

from storage.records.usage import UsageRow
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.journeys.vendors.conftest import MESSAGES, Shop
from tests.journeys.vendors.leaving import PIECE
from tests.journeys.world import eventually, until

DOORS: Final = ("openai", "responses", "anthropic", "gemini")
PROVIDERS: Final = ("openai", "native", "anthropic", "google")
"""`native` speaks Responses too."""
EVENTS_BEFORE_TEXT: Final = 3
"""How many more events a stream of Responses has before its text than the other vendors' streams."""
GRANTED: Final = 10**15
NANO_PER_TOKEN: Final = (1000, 2000)
"""In and out: a dollar and two for a million, in nano dollars. A cached or written token costs as much here as any other in."""


@dataclass(frozen=True)
class Case:
    """One way a call can go."""

    name: str
    is_stream: bool = False
    leaves: Literal["never", "before its answer", "after some text"] = "never"
    """When the client goes."""
    script: Script | None = None
    usage: tuple[int, int] | None = None
    """Tokens in and out that the books must say; None: an estimate, whatever it is."""
    outcome: str = "done"
    """Of the usage row."""


SAID: Final = (11, 7)
CASES: Final = (
    Case("plain", usage=SAID),
    Case("streamed", is_stream=True, usage=SAID),
    Case(
        "aborted early",
        is_stream=True,
        leaves="before its answer",
        script=Script(never_answers=True),
        outcome="cancelled",
    ),
    Case("aborted late", is_stream=True, leaves="after some text", script=Script(hangs_after=4), outcome="partial"),
    Case("failed before output", script=Script(status=500), outcome="failed"),
    Case("failed before the stream", is_stream=True, script=Script(status=503), outcome="failed"),
    Case("failed midway", is_stream=True, script=Script(error_after=4), outcome="partial"),
    Case("cut midway", is_stream=True, script=Script(cut_after=4), outcome="partial"),
    Case("cached tokens", usage=(100, 20)),
    Case("reasoning tokens", usage=(100, 50)),
    Case("tools", usage=(30, 9)),
)


def reply_of(provider: str, case: str) -> bytes | None:
    """A whole reply whose usage says more than tokens in and out; None where the usual one will do."""
    match case:
        case "cached tokens":
            counts = _counts(provider, fresh=60, cached=40, out=20, thought=0)
        case "reasoning tokens":
            counts = _counts(provider, fresh=100, cached=0, out=20, thought=30)
        case "tools":
            return orjson.dumps(_calling(provider, _counts(provider, fresh=30, cached=0, out=9, thought=0)))
        case _:
            return None
    return orjson.dumps(_saying(provider, counts))


def language_of(door: str, provider: str) -> str:
    """What a provider is asked in, and answers in."""
    if provider == "native":
        return "responses" if door == "responses" else "openai"
    return provider


def script_of(language: str, case: Case) -> Script | None:
    """How the vendor behaves: what goes wrong goes wrong in the text."""
    reply, script = reply_of(language, case.name), case.script
    if reply is not None:
        return Script(body=reply)
    if script is None or language != "responses":
        return script
    later: dict[str, Any] = {
        name: place + EVENTS_BEFORE_TEXT
        for name in ("hangs_after", "error_after", "cut_after")
        if isinstance(place := getattr(script, name), int)
    }
    return replace(script, **later)


def _counts(provider: str, *, fresh: int, cached: int, out: int, thought: int) -> dict[str, Any]:
    """The same usage as each vendor counts it (their API references; see the dialects)."""
    match provider:
        case "openai":
            return {
                "prompt_tokens": fresh + cached,
                "completion_tokens": out + thought,
                "total_tokens": fresh + cached + out + thought,
                "prompt_tokens_details": {"cached_tokens": cached},
                "completion_tokens_details": {"reasoning_tokens": thought},
            }
        case "responses":
            return {
                "input_tokens": fresh + cached,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": out + thought,
                "output_tokens_details": {"reasoning_tokens": thought},
                "total_tokens": fresh + cached + out + thought,
            }
        case "anthropic":
            return {
                "input_tokens": fresh,
                "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": out + thought,
                "output_tokens_details": {"thinking_tokens": thought},
            }
        case _:
            return {
                "promptTokenCount": fresh + cached,
                "cachedContentTokenCount": cached,
                "candidatesTokenCount": out,
                "thoughtsTokenCount": thought,
                "totalTokenCount": fresh + cached + out + thought,
            }


def _saying(provider: str, counts: dict[str, Any]) -> dict[str, Any]:
    match provider:
        case "openai":
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
            return {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": "fake",
                "choices": [choice],
                "usage": counts,
            }
        case "responses":
            said = {"type": "output_text", "text": "Hello", "annotations": []}
            message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [said]}
            return {"id": "r", "object": "response", "model": "fake", "output": [message], "usage": counts}
        case "anthropic":
            head = {"id": "m", "type": "message", "role": "assistant", "model": "fake", "stop_sequence": None}
            return {**head, "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn", "usage": counts}
        case _:
            candidate = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP", "index": 0}
            return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "fake", "responseId": "r"}


def _calling(provider: str, counts: dict[str, Any]) -> dict[str, Any]:
    """A reply that asks for a tool."""
    reply = _saying(provider, counts)
    match provider:
        case "openai":
            call = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            reply["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        case "responses":
            asked_for = {"type": "function_call", "id": "f", "call_id": "t1", "name": "add", "arguments": '{"a":1}'}
            reply["output"] = [asked_for]
        case "anthropic":
            reply |= {
                "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}],
                "stop_reason": "tool_use",
            }
        case _:
            part = {"functionCall": {"name": "add", "args": {"a": 1}}}
            reply["candidates"] = [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}]
    return reply


def asked(door: str, provider: str, case: Case) -> tuple[str, dict[str, Any]]:
    """Path and body of a request."""
    model, schema = f"{provider}/fake", {"type": "object", "properties": {"a": {"type": "integer"}}}
    has_tools = case.name == "tools"
    if door == "gemini":
        verb = "streamGenerateContent?alt=sse" if case.is_stream else "generateContent"
        body: dict[str, Any] = {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"maxOutputTokens": 200},
        }
        if has_tools:
            body["tools"] = [{"functionDeclarations": [{"name": "add", "parametersJsonSchema": schema}]}]
        return f"/v1/models/{model}:{verb}", body
    if door == "responses":
        body = {"model": model, "input": "Hi", "max_output_tokens": 200, "stream": case.is_stream}
        if has_tools:
            body["tools"] = [{"type": "function", "name": "add", "parameters": schema, "strict": False}]
        return "/v1/responses", body
    body = {"model": model, "messages": MESSAGES, "max_tokens": 200, "stream": case.is_stream}
    if door == "anthropic":
        if has_tools:
            body["tools"] = [{"name": "add", "input_schema": schema}]
        return "/v1/messages", body
    if has_tools:
        body["tools"] = [{"type": "function", "function": {"name": "add", "parameters": schema}}]
    return "/v1/chat/completions", body


async def one_call(shop: Shop, vendor: FakeProvider, bearer: str, path: str, body: dict[str, Any], case: Case) -> None:
    """Make the call as the case says it goes."""
    headers = {"authorization": f"Bearer {bearer}"}
    if case.leaves == "never":
        async with shop.http.post(f"{shop.server.url}{path}", json=body, headers=headers) as reply:
            await reply.read()
        return
    asked_before = len(vendor.seen)
    leaving = asyncio.ensure_future(_leave(shop, path, body, headers))
    if case.leaves == "before its answer":
        await eventually(lambda: len(vendor.seen) > asked_before)
        leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving


async def _leave(shop: Shop, path: str, body: Any, headers: dict[str, str]) -> None:
    async with (
        aiohttp.ClientSession() as alone,
        alone.post(f"{shop.server.url}{path}", json=body, headers=headers) as reply,
    ):
        while PIECE.search(await reply.content.readline()) is None:
            assert not reply.content.at_eof(), "there was no text"


def _cost(row: UsageRow) -> int:
    return row.usage.tokens_input * NANO_PER_TOKEN[0] + row.usage.tokens_output * NANO_PER_TOKEN[1]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("door", DOORS)
async def test_row_ledger_and_report_agree_to_the_unit(
    shop: Shop, vendor: FakeProvider, door: str, provider: str
) -> None:
    user, bearer = await shop.user("credits")
    await shop.granted(user, GRANTED)
    for number, case in enumerate(CASES, 1):
        path, body = asked(door, provider, case)
        vendor.script = script_of(language_of(door, provider), case)
        await one_call(shop, vendor, bearer, path, body, case)
        await until(partial(_is_settled, shop, user, number))
        row = (await shop.place.rows(user))[0]
        assert row.outcome == case.outcome, case.name
        assert row.is_partial == (case.outcome == "partial"), case.name
        if case.usage is not None:
            assert (row.usage.tokens_input, row.usage.tokens_output) == case.usage, case.name
            assert not row.is_estimated, case.name
        assert (row.cost_nano or 0) == _cost(row), case.name
    rows = await shop.place.rows(user)
    balance = await shop.place.balance("credits", user)
    assert GRANTED - balance.posted == sum(row.charge_amount or 0 for row in rows) > 0
    assert balance.held == 0
    report = await shop.ask(
        "/rpc",
        {"jsonrpc": "2.0", "id": 1, "method": "getUsageStats", "params": {"period": "current_month"}},
        bearer=bearer,
    )
    stats = report.json["result"]
    assert stats["requestCount"] == len(rows), stats
    assert stats["totalTokens"] == sum(row.usage.tokens_total for row in rows)
    assert round(stats["totalCost"] * 10**9) == sum(row.cost_nano or 0 for row in rows)


async def _is_settled(shop: Shop, user: str, calls: int) -> bool:
    return len(await shop.place.rows(user)) == calls and (await shop.place.balance("credits", user)).held == 0


async def test_the_books_are_sound_after_all_of_it(shop: Shop) -> None:
    await shop.place.assert_sound()
