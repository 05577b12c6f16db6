"""OpenAI's Responses at any vendor: passed where the vendor speaks them, translated where it does not."""

from typing import Any

import orjson
import pytest

from tests.fakes.operations import responses_wire_of
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import TEXT, TOKENS_IN, TOKENS_OUT, WORDS
from tests.journeys.vendors.conftest import Shop
from tests.journeys.vendors.test_doors import events_of
from tests.journeys.world import eventually, usage_rows

PATH = "/v1/responses"
ASKED: dict[str, Any] = {"model": "native/fake", "input": "Hi", "max_output_tokens": 50}
WIRE = responses_wire_of("fake", WORDS, calls_tools=False)


async def test_a_vendor_that_speaks_responses_gets_the_clients_own_body_and_its_bytes_come_back(
    shop: Shop, vendor: FakeProvider
) -> None:
    user, bearer = await shop.user()
    asked = {**ASKED, "store": False, "include": ["reasoning.encrypted_content"], "tomorrow": {"b": 1, "a": 2}}
    reply = await shop.ask(PATH, asked, bearer=bearer)
    assert (reply.status, reply.body) == (200, WIRE.reply)
    assert vendor.seen[-1].path == "/v1/responses"
    assert list(vendor.seen[-1].json.items()) == list({**asked, "model": "fake"}.items())
    streamed = await shop.ask("/openai" + PATH, {**asked, "stream": True}, bearer=bearer)
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.body == b"".join(WIRE.events)
    for row in await shop.place.rows(user):
        assert (row.provider, row.is_estimated) == ("native", False)
        assert (row.usage.tokens_input, row.usage.tokens_output) == (TOKENS_IN, TOKENS_OUT)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_any_vendor_answers_a_client_of_responses(shop: Shop, vendor: FakeProvider, provider: str) -> None:
    user, bearer = await shop.user()
    asked = {**ASKED, "model": f"{provider}/fake", "instructions": "Be brief."}
    reply = await shop.ask(PATH, asked, bearer=bearer)
    assert reply.status == 200, reply.body
    assert not vendor.seen[-1].path.endswith("/responses")
    assert [part["text"] for item in reply.json["output"] for part in item["content"]] == [TEXT]
    assert (reply.json["instructions"], reply.json["max_output_tokens"]) == ("Be brief.", 50)
    assert reply.json["created_at"] > 1_000_000_000 or provider == "openai"
    assert reply.json["usage"]["total_tokens"] == TOKENS_IN + TOKENS_OUT
    streamed = await shop.ask(PATH, {**asked, "stream": True}, bearer=bearer)
    events = events_of(streamed.body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert "".join([event["delta"] for event in events if event["type"] == "response.output_text.delta"]) == TEXT
    assert events[-1]["response"]["usage"] == reply.json["usage"]
    for row in await shop.place.rows(user):
        assert (row.provider, row.usage.tokens_input, row.usage.tokens_output) == (provider, TOKENS_IN, TOKENS_OUT)


@pytest.mark.parametrize("pieces", [None, 7])
@pytest.mark.parametrize("provider", ["native", "openai", "anthropic", "google"])
async def test_an_error_midway_raises_in_the_sdk_and_ends_the_numbered_answer_for_other_readers(
    shop: Shop, vendor: FakeProvider, provider: str, pieces: int | None
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(error_after=7, pieces=pieces)  # after a piece of text in every vendor's stream
    reply = await shop.ask(PATH, {**ASKED, "model": f"{provider}/fake", "stream": True}, bearer=bearer)
    events = events_of(reply.body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [line[7:].decode() for line in reply.body.splitlines() if line.startswith(b"event: ")]
    assert kinds == [event["type"] for event in events]
    begun, error, failed = events[0]["response"], *events[-2:]
    assert (error["type"], error["error"]["type"]) == ("error", "overloaded_error")
    assert (error["code"], error["param"]) == (error["error"]["code"], None)
    said = {"code": "server_error", "message": error["message"]}
    assert failed["type"] == "response.failed"
    assert failed["response"] == {**begun, "status": "failed", "error": said}
    assert b"response.completed" not in reply.body
    # In the event, in the error that it holds, and in the failed answer.
    assert reply.body.count(b"scripted failure") == 3
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["outcome"], row["is_partial"]) == ("partial", 1)


async def test_what_cannot_be_priced_or_carried_is_refused_by_name(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"model": "anthropic/fake", "truncation": "auto"}, "truncation"),
        ({"model": "google/fake", "tools": [{"type": "custom", "name": "n"}]}, "tools[0]"),
    ]
    for members, field in cases:
        reply = await shop.ask(PATH, {**ASKED, **members}, bearer=bearer)
        assert reply.status == 400, (field, reply.body)
        assert field in reply.json["error"]["message"], reply.body
    assert vendor.seen == []


async def test_what_lies_at_the_vendor_is_not_served(shop: Shop) -> None:
    _, bearer = await shop.user()
    for path in (f"{PATH}/resp_1", f"{PATH}/resp_1/input_items"):
        reply = await shop.ask(path, bearer=bearer)
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_served")


async def test_a_vendors_refusal_keeps_its_kind_and_costs_nothing(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    for status, kind in ((429, "rate_limit_error"), (503, "overloaded_error"), (400, "invalid_request_error")):
        vendor.script = Script(status=status)
        for is_stream in (False, True):
            reply = await shop.ask(PATH, {**ASKED, "stream": is_stream}, bearer=bearer)
            assert (reply.status, reply.json["error"]["type"]) == (status, kind), reply.body
    await eventually(lambda: shop.server.rows("SELECT count(*) AS n FROM hold") == [{"n": 0}])


async def test_the_vendors_own_failed_answer_is_a_failure_here_too(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    failed = {
        "type": "response.failed",
        "response": {"status": "failed", "error": {"code": "server_error", "message": "no"}},
    }
    vendor.script = Script(body=b"event: response.failed\ndata: " + orjson.dumps(failed) + b"\n\n")
    reply = await shop.ask(PATH, {**ASKED, "stream": True}, bearer=bearer)
    assert (reply.status, reply.json["error"]["type"]) == (503, "overloaded_error"), reply.body
