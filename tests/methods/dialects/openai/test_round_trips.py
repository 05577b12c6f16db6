"""Whatever this dialect can say of a canonical request reads as the same request again."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import (
    ChatRequest,
    Image,
    Message,
    Reasoning,
    ReasoningSettings,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from methods.dialects.openai import OpenAI
from methods.dialects.shared import strictness_of

words = st.text("abcXYZ09_-", min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
plain = st.builds(Text, texts)
image_extra = st.fixed_dictionaries({}, optional={"detail": st.sampled_from(["low", "high"])})
images = st.builds(Image, url=words.map("https://example.com/{}".format), extra=image_extra) | st.builds(
    Image, media_type=st.sampled_from(["image/png", "image/webp"]), data=words, extra=image_extra
)
named = st.fixed_dictionaries({}, optional={"name": words})
user_turns = st.builds(Message, st.just("user"), st.lists(plain | images, min_size=1, max_size=3).map(tuple), named)
late_rules = st.builds(
    Message,
    st.just("user"),
    st.tuples(plain),
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"])}),
)
calls = st.builds(ToolCall, words, words, texts)


@st.composite
def assistant_turns(draw: st.DrawFn) -> Message:
    parts: list[Any] = draw(st.lists(st.builds(Reasoning, texts), max_size=1))
    parts += draw(st.lists(plain, min_size=1, max_size=2))
    parts += draw(st.lists(calls, max_size=2))
    return Message("assistant", tuple(parts), draw(named))


tool_turns = st.builds(ToolResult, words, st.lists(plain, min_size=1, max_size=2).map(tuple), st.none() | words).map(
    lambda result: Message("tool", (result,))
)
schemas: Any = st.fixed_dictionaries({"type": st.just("object")}, optional={"title": texts})
tools = st.builds(
    Tool, words, st.none() | texts, schemas | st.just({}), st.fixed_dictionaries({}, optional={"strict": st.booleans()})
).map(lambda tool: replace(tool, is_strict=strictness_of(dict(tool.extra))))
formats = st.sampled_from([ResponseFormat("text"), ResponseFormat("json_object")]) | st.builds(
    ResponseFormat, st.just("json_schema"), schemas, words, st.none() | st.booleans()
)
choices = st.sampled_from([ToolChoice("auto"), ToolChoice("none"), ToolChoice("required")]) | st.builds(
    ToolChoice, st.just("named"), words
)
numbers = st.none() | st.floats(0, 2)
extras: Any = st.fixed_dictionaries(
    {},
    optional={"seed": st.integers(0, 9), "metadata": st.dictionaries(words, words, max_size=2), "vendor_word": texts},
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    given_tools = tuple(draw(st.lists(tools, max_size=2)))
    first = draw(user_turns)
    later = draw(st.lists(user_turns | late_rules | assistant_turns() | tool_turns, max_size=4))
    return ChatRequest(
        model=draw(words),
        messages=(first, *later),
        system=tuple(draw(st.lists(plain, max_size=2))),
        max_tokens=draw(st.none() | st.integers(1, 9999)),
        temperature=draw(numbers),
        top_p=draw(numbers),
        top_k=draw(st.none() | st.integers(0, 50)),
        stop=tuple(draw(st.lists(texts, max_size=4))),
        tools=given_tools,
        tool_choice=draw(st.none() | choices),
        is_parallel_tools=draw(st.none() | st.booleans()) if given_tools else None,
        response_format=draw(st.none() | formats),
        reasoning=draw(st.none() | st.builds(ReasoningSettings, st.none() | words.filter(lambda word: word != "none"))),
        is_stream=draw(st.booleans()),
        user=draw(st.none() | texts),
        dialect="openai",
        extra=draw(extras),
    )


@settings(deadline=None)
@given(requests())
def test_any_request_survives_the_way_out_and_in_again(request: ChatRequest) -> None:
    dialect = OpenAI()
    assert dialect.parse_request(dialect.render_request(request)) == request
