"""Our own count of what no provider counted: near a real tokenizer's, and never on the event loop."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from methods.ai import most_of
from methods.ai_collect import Answer
from methods.ai_params import ExecuteParams
from methods.dialects.canonical import ReasoningDelta, TextDelta, ToolCallDelta
from monetization.counting import tokens_likely
from monetization.prices.book import PriceBook, Table
from monetization.prices.rates import Price, rates_from
from monetization.tab import Meter, Tab
from monetization.terms import Target
from storage.records.usage import Usage
from tests.methods.ai.support import bench_over
from tests.monetization.tab.world import MOST, TARGET, Cut, World

TEXTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "counted_texts.json").read_text())
"""Texts with their counts by o200k_base; none of them was used to fit the estimate."""
BARS = {"english letter": 5, "english answer": 5}
OTHERS = 12
"""Percent: what the estimate may be off in code, tables and other languages."""


@pytest.mark.parametrize("counted", TEXTS, ids=[text["name"] for text in TEXTS])
def test_an_estimate_is_near_a_real_tokenizers_count(counted: dict[str, Any]) -> None:
    off = abs(tokens_likely(counted["text"]) - counted["tokens"]) * 100
    assert off <= BARS.get(counted["name"], OTHERS) * counted["tokens"]


@pytest.mark.parametrize("text", ["", " ", "\n\r\n", "\ud800", "🙂🙂", "a" * 10_000, "_" * 99, "é", "ًً", "Ω1٣x²"])
def test_any_text_can_be_counted(text: str) -> None:
    assert 0 <= tokens_likely(text) <= 2 * len(text.encode("utf-8", "surrogatepass")) + 1


def test_a_long_text_of_nothing_but_spaces_is_counted_in_one_go() -> None:
    assert tokens_likely(" \t" * 100_000 + "x") > 0


def test_all_that_was_delivered_is_counted() -> None:
    answer = Answer(Meter())
    answer.take([TextDelta("Hello there, "), ReasoningDelta("think about it", 0), TextDelta("friend.")])
    text = answer.tokens_likely()
    answer.take([ToolCallDelta(1, "id", "find_weather", '{"city": "Paris"}')])
    assert tokens_likely("Hello there, friend.") < text < answer.tokens_likely()


@pytest.mark.parametrize("usage", [None, Usage(input=77, output=1)])
async def test_a_stream_that_breaks_off_is_billed_by_our_count_made_in_a_thread(
    world: World, usage: Usage | None
) -> None:
    threads: list[str] = []

    def count(tokens: int) -> Any:
        def counting() -> int:
            threads.append(threading.current_thread().name)
            return tokens

        return counting

    def play(tab: Tab) -> None:
        meter = tab.meter
        meter.target, meter.usage, meter.bytes_delivered = TARGET, usage, 100
        meter.count_input, meter.count_output = count(66), count(22)
        raise Cut

    with pytest.raises(Cut):
        await world.run("allowance", play)
    [row] = await world.rows()
    assert row.usage == Usage(input=66 if usage is None else 77, output=22)
    assert (row.is_estimated, row.is_partial) == (True, True)
    assert threads
    assert threading.current_thread().name not in threads


async def test_a_count_never_passes_what_the_provider_was_told_to_stop_at(world: World) -> None:
    def play(tab: Tab) -> None:
        meter = tab.meter
        meter.target, meter.bytes_delivered, meter.is_complete = TARGET, 100, True
        meter.count_output = lambda: MOST.tokens_output + 1

    receipt = await world.run("allowance", play)
    assert receipt is not None
    assert receipt.usage.output == MOST.tokens_output


async def test_what_a_provider_counted_is_not_counted_again(world: World) -> None:
    def never() -> int:
        raise AssertionError

    def play(tab: Tab) -> None:
        meter = tab.meter
        meter.target, meter.usage, meter.bytes_delivered, meter.is_complete = TARGET, Usage(input=1), 9, True
        meter.count_input = meter.count_output = never

    await asyncio.wait_for(world.run("allowance", play), 30)


def test_an_image_is_quoted_at_what_an_image_costs(tmp_path: Path) -> None:
    """Of a model that prices images apart, a request with one is held at the image's rate."""
    image = {"type": "image", "media_type": "image/png", "data": "aGk="}
    content = [{"type": "text", "text": "What is this?"}]
    services = bench_over(tmp_path).services
    plain = most_of(services, ExecuteParams.model_validate({"content": content}))
    seen = most_of(services, ExecuteParams.model_validate({"content": [*content, image]}))
    assert (plain.has_media, seen.has_media) == (False, True)
    assert plain.tokens_input_likely < seen.tokens_input_likely < seen.tokens_input
    rates = rates_from(input=1_000, output=1_000, image_input=9_000)
    book = PriceBook([Table({"openai/m": (Price("m", "test:9", 0, rates),)})])
    target = (Target("openai", "m", "openai"),)
    cost, _ = book.most(replace(seen, targets=target, tokens_output=0), 0)
    assert cost == -(-seen.tokens_input * 9_000 // 1_000_000)
    cost, _ = book.most(replace(plain, targets=target, tokens_output=0), 0)
    assert cost == -(-plain.tokens_input * 1_000 // 1_000_000)
