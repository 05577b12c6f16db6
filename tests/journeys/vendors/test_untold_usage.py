"""A vendor that counts only one side of an answer: the other one is estimated and said to be, and never free."""

from typing import Any

import orjson
import pytest

from monetization.counting import tokens_likely
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import TEXT, TOKENS_IN, TOKENS_OUT, Vendor, wire_of
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, OPENAI, Shop
from tests.journeys.world import usage_rows

LIKELY = tokens_likely(TEXT)
VENDORS: dict[str, tuple[Vendor, str, str, Any]] = {
    "openai": ("openai", "/v1/chat/completions", "usage", OPENAI),
    "anthropic": ("anthropic", "/v1/messages", "usage", ANTHROPIC),
    "gemini": ("google", "/v1/models/google/fake:generateContent", "usageMetadata", GEMINI),
}


@pytest.mark.parametrize(
    ("door", "usage", "tokens_output"),
    [
        ("openai", {"prompt_tokens": TOKENS_IN, "completion_tokens": None}, None),
        ("openai", {"prompt_tokens": TOKENS_IN, "completion_tokens": None, "total_tokens": TOKENS_IN}, None),
        ("openai", {"prompt_tokens": TOKENS_IN, "total_tokens": TOKENS_IN + 5}, 5),
        ("openai", {"prompt_tokens": TOKENS_IN, "completion_tokens": 0}, 0),
        ("openai", {"prompt_tokens": None, "completion_tokens": 5, "total_tokens": TOKENS_IN + 5}, 5),
        ("anthropic", {"input_tokens": TOKENS_IN}, None),
        ("anthropic", {"input_tokens": TOKENS_IN, "output_tokens": 0}, 0),
        ("gemini", {"promptTokenCount": TOKENS_IN}, None),
        ("gemini", {"promptTokenCount": TOKENS_IN, "totalTokenCount": TOKENS_IN}, 0),
    ],
)
async def test_output_that_the_vendor_left_out_is_counted_here_and_zero_is_zero(
    shop: Shop, vendor: FakeProvider, door: str, usage: dict[str, Any], tokens_output: int | None
) -> None:
    _, bearer = await shop.user()
    wire, path, member, asked = VENDORS[door]
    reply = orjson.loads(wire_of(wire, "fake").reply)
    vendor.script = Script(body=orjson.dumps({**reply, member: usage}))
    answer = await shop.ask(path, asked, bearer=bearer)
    assert answer.status == 200, answer.body
    [row] = usage_rows(shop.server, answer.headers["x-request-id"])
    assert (row["outcome"], row["is_partial"], row["tokens_input"]) == ("done", 0, TOKENS_IN)
    assert (row["is_estimated"], row["tokens_output"]) == ((1, LIKELY) if tokens_output is None else (0, tokens_output))
    assert row["cost_nano"] == 1000 * TOKENS_IN + 2000 * row["tokens_output"]


async def test_a_stream_whose_end_counts_nothing_is_counted_here(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    bare = b"".join(wire_of("openai", "fake").events).replace(
        b'"completion_tokens":%d,"total_tokens":%d' % (TOKENS_OUT, TOKENS_IN + TOKENS_OUT), b'"completion_tokens":null'
    )
    silent = b"".join(wire_of("anthropic", "fake").events).replace(b',"usage":{"output_tokens":%d}' % TOKENS_OUT, b"")
    for path, asked, body in (
        ("/v1/chat/completions", OPENAI, bare),
        ("/v1/messages", ANTHROPIC, silent),
        ("/v1/chat/completions", {**OPENAI, "model": "anthropic/fake"}, silent),
    ):
        vendor.script = Script(body=body)
        answer = await shop.ask(path, {**asked, "stream": True}, bearer=bearer)
        assert answer.status == 200, answer.body
        [row] = usage_rows(shop.server, answer.headers["x-request-id"])
        assert (row["outcome"], row["is_partial"], row["is_estimated"]) == ("done", 0, 1)
        assert (row["tokens_input"], row["tokens_output"]) == (TOKENS_IN, LIKELY)


async def test_input_that_the_vendor_left_out_is_counted_here(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    reply = orjson.loads(wire_of("openai", "fake").reply)
    vendor.script = Script(body=orjson.dumps({**reply, "usage": {"completion_tokens": TOKENS_OUT}}))
    answer = await shop.ask("/v1/chat/completions", OPENAI, bearer=bearer)
    [row] = usage_rows(shop.server, answer.headers["x-request-id"])
    assert (row["is_estimated"], row["tokens_output"]) == (1, TOKENS_OUT)
    assert row["tokens_input"] >= 1


async def test_a_beginning_of_zeros_counts_nothing_where_the_end_never_comes(shop: Shop, vendor: FakeProvider) -> None:
    """As servers open that speak Anthropic's language and count at the end: a prompt is not free because a stream broke off."""
    _, bearer = await shop.user()
    whole = b"".join(wire_of("anthropic", "fake").events)
    begun = whole[: whole.index(b"event: message_delta")]
    for usage in (b'{"input_tokens":0,"output_tokens":0}', b'{"output_tokens":1}'):
        vendor.script = Script(body=begun.replace(b'{"input_tokens":%d,"output_tokens":1}' % TOKENS_IN, usage))
        answer = await shop.ask("/v1/messages", {**ANTHROPIC, "stream": True}, bearer=bearer)
        [row] = usage_rows(shop.server, answer.headers["x-request-id"])
        assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("partial", 1, LIKELY)
        assert row["tokens_input"] >= 1
