"""The simulator beside chats: the same vector for the same text, and counts by its own rule."""

import math
from typing import Any

import pytest

from methods.dialects.base import Original
from methods.dialects.canonical import ChatRequest
from methods.dialects.canonical_once import CountReply, EmbedReply
from methods.dialects.once import Once
from methods.dialects.tables import dialect_of, once_of
from methods.providers.base import Ask
from methods.providers.simulator import Simulator
from storage.errors import Fault
from storage.records.usage import Usage
from tests.methods.providers.fakes import Clock


def asking(operation: Any, name: str, body: dict[str, Any]) -> Ask:
    dialect = once_of(name, operation)
    request = dialect.parse_request(body, model=None)
    once = Once(operation, dialect, request, Original(dialect_of(name), body))
    return Ask(ChatRequest(body["model"], ()), "r", once=once)


async def vectors(*texts: str, **members: Any) -> EmbedReply:
    ask = asking("embed", "openai", {"model": "simulator", "input": list(texts), **members})
    reply = (await Simulator(sleep=Clock().sleep).complete(ask)).once
    assert isinstance(reply, EmbedReply)
    return reply


async def test_the_same_text_gets_the_same_vector_and_another_one_another() -> None:
    first, again, other = (await vectors("one thing", "one thing", "two")).vectors
    assert first == again != other
    assert len(first) == 64
    assert math.isclose(math.hypot(*[float(number) for number in first]), 1)


@pytest.mark.parametrize("dimensions", [1, 33, 3072])
async def test_a_vector_has_the_size_that_was_asked_for_and_its_words_are_counted(dimensions: int) -> None:
    reply = await vectors("three small words", "one", dimensions=dimensions)
    assert [len(vector) for vector in reply.vectors] == [dimensions] * 2
    assert reply.usage == Usage(input=4)


async def test_tokens_are_counted_by_the_simulators_own_rule() -> None:
    ask = asking(
        "count", "responses", {"model": "simulator", "instructions": "Be brief.", "input": "three small words"}
    )
    assert (await Simulator(sleep=Clock().sleep).complete(ask)).once == CountReply(5)


async def test_scripts_fail_here_too() -> None:
    ask = asking("embed", "openai", {"model": "simulator-error-429", "input": "Hi"})
    with pytest.raises(Fault) as failed:
        await Simulator(sleep=Clock().sleep).complete(ask)
    assert failed.value.slug == "provider_rate_limited"
