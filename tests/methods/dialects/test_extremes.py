"""What can be read but not be written again, or means two things at once, is refused or kept as text: nothing else is raised."""

import time
from typing import Any

import orjson
import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect, Untranslatable
from methods.dialects.canonical import ChatReply, ToolCall, ToolResult
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from methods.dialects.tables import once_of

DEPTH = 300
DEEP = '{"a":' * DEPTH + "1" + "}" * DEPTH
LONG = '{"a":[' + "{}," * DEPTH + "{}]}"
ALL: list[Dialect] = [OpenAI(), Responses(), Anthropic(), Gemini()]


def called(arguments: str, result: str) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": result},
        ]
    }


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_arguments_that_a_vendor_wants_as_an_object_are_refused_where_they_are_too_deep_to_be_written(
    dialect: Dialect,
) -> None:
    request = OpenAI().parse_request(called(DEEP, "{}"), model="m")
    if dialect.name in ("anthropic", "gemini"):
        with pytest.raises(Untranslatable, match="nested at most 128 deep"):
            dialect.render_request(request)
    else:
        assert orjson.dumps(DEEP) in orjson.dumps(dialect.render_request(request))


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_results_of_any_depth_and_arguments_with_many_brackets_go_to_every_vendor(dialect: Dialect) -> None:
    request = OpenAI().parse_request(called(LONG, DEEP), model="m")
    assert orjson.dumps(DEEP) in orjson.dumps(dialect.render_request(request))


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_a_model_that_nests_its_arguments_too_deeply_is_answered_for_all_the_same(dialect: Dialect) -> None:
    reply = ChatReply("m", (ToolCall("c", "f", DEEP),), "tool_calls", None, id="r")
    assert orjson.dumps(DEEP) in orjson.dumps(dialect.render_reply(reply))


def test_a_vendors_reply_that_is_too_deep_to_be_written_is_no_reply() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": orjson.loads(DEEP)}
    with pytest.raises(ValueError, match="too deeply"):
        Anthropic().parse_reply({"id": "m", "model": "m", "role": "assistant", "type": "message", "content": [block]})


@pytest.mark.parametrize(
    "twice",
    [
        {"max_output_tokens": 5, "maxOutput_tokens": 9},
        {"maxOutput_tokens": 5, "max_output_tokens": 9},
        {"max_output_tokens": 5, "maxOutputTokens": 9},
    ],
)
def test_a_member_of_gemini_that_is_said_in_two_spellings_is_refused(twice: dict[str, Any]) -> None:
    body: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": twice}
    with pytest.raises(Untranslatable, match="is said twice"):
        Gemini().parse_request(body, model="m")


def test_numbers_of_gemini_that_no_integer_of_json_can_hold_are_refused() -> None:
    body: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"topK": 1e300}}
    with pytest.raises(Untranslatable, match="topK"):
        Gemini().parse_request(body, model="m")


@pytest.mark.parametrize("size", [{}, [1], "3", True, 0])
def test_a_size_of_geminis_vectors_that_is_none_is_refused_by_its_place(size: Any) -> None:
    content = {"parts": [{"text": "Hi"}]}
    body: dict[str, Any] = {"requests": [{"content": content, "outputDimensionality": size}]}
    with pytest.raises(Untranslatable, match=r"requests\[0\]\.outputDimensionality"):
        once_of("gemini", "embed").parse_request(body, model="m")


MANY = 10_000
CALLED = [{"role": "model", "parts": [{"functionCall": {"name": f"f{n % 7}", "args": {}}}]} for n in range(MANY)]
ANSWERED = [{"role": "user", "parts": [{"functionResponse": {"name": "another", "response": {}}}]}] * MANY
SAID = [{"role": "assistant", "content": "Hi"}] * (2 * MANY)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [(Gemini(), {"contents": CALLED + ANSWERED}), (OpenAI(), {"messages": SAID})],
    ids=["gemini", "openai"],
)
def test_a_long_conversation_takes_as_long_as_it_is_long(dialect: Dialect, body: dict[str, Any]) -> None:
    started = time.process_time()
    Gemini().render_request(dialect.parse_request(body, model="m"))
    assert time.process_time() - started < 3  # half a second; where each turn looked at all before it, ten and more


def test_answers_of_gemini_belong_to_the_first_call_of_their_name_that_waits_and_to_the_id_that_they_say() -> None:
    def call(name: str, **more: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {}, **more}}

    def answer(name: str, **more: Any) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {}, **more}}

    asked = [call("f"), call("g"), call("f"), call("f", id="mine")]
    given = [answer("f"), answer("f", id="mine"), answer("g", id=""), answer("f"), answer("f"), answer("g", id=5)]
    body: dict[str, Any] = {"contents": [{"role": "model", "parts": asked}, {"role": "user", "parts": given}]}
    calls, results = Gemini().parse_request(body, model="m").messages
    first, second, third, mine = [part.id for part in calls.parts if isinstance(part, ToolCall)]
    ids = [part.tool_call_id for part in results.parts if isinstance(part, ToolResult)]
    assert ids[:4] == [first, mine, second, third]
    assert len({*ids}) == len(ids)
