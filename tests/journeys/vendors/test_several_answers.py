"""Several answers in one call: held for all of them, passed as the vendor sent them, counted together, refused elsewhere."""

from typing import Any

import orjson
import pytest

from monetization.counting import tokens_likely
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.journeys.vendors.conftest import GEMINI, MESSAGES, OPENAI, PATHS, Shop
from tests.journeys.world import usage_rows

FIRST, SECOND = "One answer of a vendor.", "And quite another one, which is longer."
LIKELY = tokens_likely(FIRST + SECOND)
MIXED = tokens_likely(FIRST[:8] + SECOND[:9] + FIRST[8:] + SECOND[9:])
"""The same in the order in which the streams below tell it."""
USAGE = {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43}
COUNTERS = {"promptTokenCount": 3, "candidatesTokenCount": 40, "totalTokenCount": 43}
GEMINI_PATH = PATHS["gemini"]
GEMINI_STREAM = GEMINI_PATH.replace(":generateContent", ":streamGenerateContent?alt=sse")


def two(model: str = "openai/fake", **more: Any) -> dict[str, Any]:
    return {**OPENAI, "model": model, "n": 2, **more}


def candidates(count: int) -> dict[str, Any]:
    return {**GEMINI, "generationConfig": {"maxOutputTokens": 50, "candidateCount": count}}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return b"data: " + orjson.dumps({**head, "choices": list(choices), **more}) + b"\n\n"


def piece(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}


def said_by_gemini(*said: tuple[int, str, str | None], **more: Any) -> bytes:
    found = [
        {
            "index": index,
            "content": {"parts": [{"text": text}], "role": "model"},
            **({"finishReason": end} if end else {}),
        }
        for index, text, end in said
    ]
    return orjson.dumps({"candidates": found, "modelVersion": "fake", **more})


CHOICES = [
    {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    for place, text in enumerate((FIRST, SECOND))
]
WHOLE = {
    "openai": orjson.dumps(
        {"id": "c", "object": "chat.completion", "model": "fake", "choices": CHOICES, "usage": USAGE}
    ),
    "gemini": said_by_gemini((0, FIRST, "STOP"), (1, SECOND, "STOP"), usageMetadata=COUNTERS),
}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (PATHS["openai"], two()),
    "gemini": (GEMINI_PATH, candidates(2)),
}


@pytest.mark.parametrize("door", ["openai", "gemini"])
async def test_all_answers_come_back_as_they_were_and_the_vendors_count_is_charged(
    shop: Shop, vendor: FakeProvider, door: str
) -> None:
    _, bearer = await shop.user()
    path, asked = ASKED[door]
    vendor.script = Script(body=WHOLE[door])
    answer = await shop.ask(path, asked, bearer=bearer)
    assert (answer.status, answer.body) == (200, WHOLE[door])
    said = vendor.seen[-1].json
    assert said == ({**asked, "model": "fake"} if door == "openai" else asked)
    [row] = usage_rows(shop.server, answer.headers["x-request-id"])
    assert (row["outcome"], row["is_estimated"], row["tokens_input"], row["tokens_output"]) == ("done", 0, 3, 40)


@pytest.mark.parametrize(("door", "usage"), [("openai", USAGE), ("gemini", COUNTERS)])
async def test_where_the_vendor_counts_nothing_every_answer_is_counted(
    shop: Shop, vendor: FakeProvider, door: str, usage: dict[str, int]
) -> None:
    _, bearer = await shop.user()
    path, asked = ASKED[door]
    silent = orjson.loads(WHOLE[door])
    del silent["usage" if door == "openai" else "usageMetadata"]
    vendor.script = Script(body=orjson.dumps(silent))
    answer = await shop.ask(path, asked, bearer=bearer)
    [row] = usage_rows(shop.server, answer.headers["x-request-id"])
    assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("done", 1, LIKELY)


STREAMED = (
    chunk(piece(0, ""), piece(1, ""))
    + chunk(piece(0, FIRST[:8]))
    + chunk(piece(1, SECOND[:9]))
    + chunk(piece(0, FIRST[8:]))
    + chunk(piece(0, "", "stop"))
    + chunk(piece(1, SECOND[9:]))
    + chunk(piece(1, "", "stop"))
)
GEMINI_STREAMED = [
    said_by_gemini((0, FIRST[:8], None), (1, SECOND[:9], None)),
    said_by_gemini((0, FIRST[8:], "STOP")),
    said_by_gemini((1, SECOND[9:], "STOP")),
]


async def test_a_stream_passes_with_all_its_answers_and_ends_with_the_last(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    usage = chunk(usage=USAGE)
    for told, expected in ((usage, (0, 40)), (b"", (1, MIXED))):
        vendor.script = Script(body=STREAMED + told + b"data: [DONE]\n\n")
        answer = await shop.ask(PATHS["openai"], two(stream=True), bearer=bearer)
        assert answer.body == STREAMED + b"data: [DONE]\n\n"
        [row] = usage_rows(shop.server, answer.headers["x-request-id"])
        assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("done", *expected)
    body = b"".join(b"data: " + event + b"\n\n" for event in GEMINI_STREAMED)
    vendor.script = Script(body=body)
    answer = await shop.ask(GEMINI_STREAM, candidates(2), bearer=bearer)
    assert answer.body == body
    [row] = usage_rows(shop.server, answer.headers["x-request-id"])
    assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("done", 1, MIXED)


async def test_a_stream_that_breaks_after_its_first_answer_is_charged_for_both_as_far_as_they_came(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    broken = STREAMED[: STREAMED.index(chunk(piece(1, "", "stop")))]
    gemini = b"".join(b"data: " + event + b"\n\n" for event in GEMINI_STREAMED[:2])
    for path, asked, body, likely in (
        (PATHS["openai"], two(stream=True), broken, MIXED),
        (GEMINI_STREAM, candidates(2), gemini, tokens_likely(FIRST[:8] + SECOND[:9] + FIRST[8:])),
    ):
        vendor.script = Script(body=body)
        answer = await shop.ask(path, asked, bearer=bearer)
        assert b"error" in answer.body
        [row] = usage_rows(shop.server, answer.headers["x-request-id"])
        assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("partial", 1, likely)


async def test_the_hold_covers_every_answer(shop: Shop, vendor: FakeProvider) -> None:
    user, bearer = await shop.user("credits")
    await shop.granted(user, 10**9)  # 5,000 tokens out
    one = {**OPENAI, "max_tokens": 3000}
    refused = await shop.ask(PATHS["openai"], {**one, "n": 2}, bearer=bearer)
    assert (refused.status, refused.json["error"]["type"], vendor.seen) == (429, "insufficient_quota", [])
    assert (await shop.ask(PATHS["openai"], one, bearer=bearer)).status == 200


async def test_the_tiers_bound_is_shared_by_all_answers(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user("short")
    without = {"model": "openai/fake", "messages": MESSAGES}
    assert (await shop.ask(PATHS["openai"], {**without, "n": 2}, bearer=bearer)).status == 200
    assert (vendor.seen[-1].json["n"], vendor.seen[-1].json["max_tokens"]) == (2, 10)
    refused = await shop.ask(PATHS["openai"], {**without, "n": 2, "max_tokens": 11}, bearer=bearer)
    assert (refused.status, refused.json["error"]["type"]) == (403, "permission_error")
    many = await shop.ask(PATHS["openai"], {**without, "n": 21}, bearer=bearer)
    assert (many.status, many.json["error"]["param"]) == (400, "n"), many.body
    contents = {"contents": GEMINI["contents"], "generationConfig": {"candidateCount": 4}}
    assert (await shop.ask(GEMINI_PATH, contents, bearer=bearer)).status == 200
    assert vendor.seen[-1].json["generationConfig"] == {"candidateCount": 4, "maxOutputTokens": 5}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PATHS["openai"], two("anthropic/fake"), "n"),
        (PATHS["openai"], two("google/fake"), "n"),
        (PATHS["openai"], two(n=129), "n"),
        (PATHS["openai"], two(n=0), "n"),
        (PATHS["openai"], two(n=True), "n"),
        (PATHS["openai"], two(n=2.0), "n"),
        (PATHS["gemini"].replace("google", "openai"), candidates(2), "generationConfig.candidateCount"),
        (PATHS["gemini"], candidates(9), "generationConfig.candidateCount"),
    ],
)
async def test_what_another_vendor_cannot_be_asked_for_is_refused_by_its_name(
    shop: Shop, vendor: FakeProvider, path: str, body: dict[str, Any], field: str
) -> None:
    _, bearer = await shop.user()
    refused = await shop.ask(path, body, bearer=bearer)
    assert (refused.status, vendor.seen) == (400, []), refused.body
    assert field in refused.json["error"]["message"]
