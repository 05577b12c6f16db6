"""A text that stands where only a vendor reads it is held for all the same: a plan's tokens bound what the vendor is asked."""

from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, MESSAGES, OPENAI, PATHS, Shop

LONG = "tricky words 123 " * 1000
"""Some 6,000 tokens, of which the plan has 2,000."""
FUNCTION = {"name": "f", "parameters": {}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
THOUGHT = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "x"}]}
SEALED = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": LONG}
ANSWERED = {"functionResponse": {"name": LONG, "response": {}}}
RESPONSES = {"model": "native/fake", "max_output_tokens": 20}
HIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "beside a function": ("openai", {"tools": [{"type": "function", "function": FUNCTION, "more": LONG}]}),
    "beside instructions": ("openai", {"messages": [{"role": "system", "content": "Hi", "more": LONG}, *MESSAGES]}),
    "beside a text": (
        "openai",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "m": LONG}]}]},
    ),
    "beside a call": (
        "openai",
        {"messages": [*MESSAGES, {"role": "assistant", "tool_calls": [{**CALL, "more": LONG}]}]},
    ),
    "thinking": ("responses", {"input": [{**THOUGHT, "content": [{"type": "reasoning_text", "text": LONG}]}]}),
    "system": ("anthropic", {"system": [{"type": "text", "text": "Hi", "more": LONG}]}),
    "a seal": ("gemini", {"contents": [{"role": "model", "parts": [SEALED]}, *GEMINI["contents"]]}),
    "a tool's name": ("gemini", {"contents": [{"role": "user", "parts": [ANSWERED]}]}),
}


def asked(door: str, members: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    match door:
        case "openai":
            return PATHS[door], {**OPENAI, "max_tokens": 20, **members}
        case "anthropic":
            return PATHS[door], {**ANTHROPIC, "max_tokens": 20, **members}
        case "responses":
            return "/v1/responses", {**RESPONSES, **members}
        case _:
            return PATHS[door], {**GEMINI, "generationConfig": {"maxOutputTokens": 20}, **members}


@pytest.mark.parametrize("place", HIDDEN)
async def test_a_text_that_only_the_vendor_reads_is_held_too(shop: Shop, vendor: FakeProvider, place: str) -> None:
    _, bearer = await shop.user("short")
    path, body = asked(*HIDDEN[place])
    reply = await shop.ask(path, body, bearer=bearer)
    assert reply.status == 429, reply.body
    assert b"quota" in reply.body
    assert vendor.seen == []


async def test_blanks_and_the_data_of_an_image_are_no_hidden_text(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user("short")
    blank = b'{"model":"openai/fake","max_tokens":20,' + b" " * 20_000 + b'"messages":[{"role":"user","content":"Hi"}]}'
    assert (await shop.ask(PATHS["openai"], raw=blank, bearer=bearer)).status == 200
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "a" * 200_000}}
    body = {**OPENAI, "messages": [{"role": "user", "content": [image]}]}
    _, richer = await shop.user("narrow")
    assert (await shop.ask(PATHS["openai"], body, bearer=richer)).status == 200
    assert len(vendor.seen) == 2
