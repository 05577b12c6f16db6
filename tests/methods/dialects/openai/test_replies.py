"""Replies and usage: nothing is lost on the way in, and the official client's models accept what goes out."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import ChatReply, Finished, Image, Reasoning, Started, Text, TextDelta, ToolCall
from methods.dialects.openai import OpenAI
from methods.dialects.openai_usage import parse_usage, render_usage
from storage.records.usage import Usage
from tests.methods.dialects.openai.wire import golden


def validated(body: Any) -> Any:
    from openai.types.chat import ChatCompletion  # noqa: PLC0415 - heavy, and only these tests want it

    return ChatCompletion.model_validate(body, strict=True)


def reply_of(message: Any, finish: str | None = "stop", **more: Any) -> ChatReply:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return OpenAI().parse_reply({"id": "1", "model": "m", "choices": [choice], **more})


@pytest.mark.parametrize("case", golden("replies"), ids=lambda case: case["name"])
def test_a_reply_of_this_dialect_comes_out_as_it_went_in(case: Any) -> None:
    reply = OpenAI().parse_reply(case["body"])
    assert reply.text == case["text"]
    assert reply.finish_reason == case["finish"]
    assert reply.usage == (Usage(**case["usage"]) if case["usage"] else None)
    rendered = OpenAI().render_reply(reply)
    assert rendered == case["body"]
    validated(rendered)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"id": "c", "function": {"name": "f"}}, ToolCall("c", "f", "")),
        ({"id": "c", "function": {"name": "f", "arguments": None}}, ToolCall("c", "f", "")),
        ({"id": "c", "function": {"name": "f", "arguments": {"a": [1]}}}, ToolCall("c", "f", '{"a":[1]}')),
        ({"id": None, "function": {"name": "f", "arguments": "{}"}}, ToolCall("call_1_0", "f", "{}")),
        ({"function": {"name": "f", "arguments": "{}"}}, ToolCall("call_1_0", "f", "{}")),
    ],
)
def test_a_call_of_a_compatible_vendor_keeps_what_it_has_and_gets_the_id_that_it_lacks(
    call: Any, expected: ToolCall
) -> None:
    assert reply_of({"role": "assistant", "content": None, "tool_calls": [call]}).parts == (expected,)


def test_a_reply_of_another_dialect_is_whole_for_the_official_client() -> None:
    reply = ChatReply(
        model="claude",
        parts=(
            Reasoning("Hm", "sig"),
            Reasoning("", "sealed", is_redacted=True),
            Text("Hello ", extra={"type": "refusal"}),
            Text("you"),
            ToolCall("toolu_1", "now", "{}"),
            Image(media_type="image/png", data="AAAA"),
        ),
        finish_reason="tool_calls",
        usage=Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, reasoning=6),
        id="msg_1",
        native_finish_reason="tool_use",
        dialect="anthropic",
        extra={"container": "x"},
    )
    rendered: Any = OpenAI().render_reply(reply)
    parsed = validated(rendered)
    message = parsed.choices[0].message
    assert (message.content, message.refusal, message.reasoning_content) == ("Hello you", None, "Hm")
    assert message.tool_calls[0].function.name == "now"
    assert rendered["choices"][0]["message"]["images"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert parsed.choices[0].finish_reason == "tool_calls"
    assert (parsed.usage.prompt_tokens, parsed.usage.completion_tokens, parsed.usage.total_tokens) == (10, 11, 21)
    assert parsed.usage.prompt_tokens_details.cached_tokens == 2
    assert parsed.usage.prompt_tokens_details.cache_write_tokens == 7
    assert "container" not in rendered


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "error", "other"])
def test_every_finish_reason_has_a_word_that_the_official_client_knows(reason: Any) -> None:
    reply = ChatReply(
        model="m", parts=(Text("x"),), finish_reason=reason, usage=None, id="1", native_finish_reason="odd"
    )
    validated(OpenAI().render_reply(reply))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("model_length", "length"),
        ("error", "error"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_the_vendors_word_for_the_end_is_read_and_kept(word: str | None, reason: str) -> None:
    reply = reply_of({"role": "assistant", "content": "x"}, word)
    assert (reply.finish_reason, reply.native_finish_reason) == (reason, word)


def test_a_vendor_that_says_stop_where_a_tool_is_asked_for_is_understood() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert reply_of({"role": "assistant", "content": "", "tool_calls": [call]}).finish_reason == "tool_calls"


@pytest.mark.parametrize("nothing", [None, {}, {"name": None, "arguments": None}, {"name": "", "arguments": ""}])
def test_a_function_by_the_vendors_older_words_is_a_call_and_an_empty_one_is_none(nothing: Any) -> None:
    said = {"content": "a", "function_call": {"name": "f", "arguments": "{}"}}
    assert reply_of(said).parts == (Text("a"), ToolCall("call_1_0", "f", "{}"))
    assert reply_of({"content": "a", "function_call": nothing}).parts == (Text("a"),)
    parser = OpenAI().event_parser()
    delta = {"content": "a", "function_call": nothing}
    read = parser.feed(b"data: %b\n\n" % orjson.dumps({"choices": [{"delta": delta, "finish_reason": "stop"}]}))
    assert [type(event) for event in read] == [Started, TextDelta, Finished]


def test_thinking_is_read_in_every_form_that_compatible_vendors_use() -> None:
    assert reply_of({"content": "a", "reasoning": "hm"}).parts == (Reasoning("hm"), Text("a"))
    assert reply_of({"content": "a", "reasoning_content": "hm"}).parts == (Reasoning("hm"), Text("a"))
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]
    assert reply_of({"content": parts}).parts == (Reasoning("hm"), Text("a"))


def test_images_that_the_model_made_are_read() -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    assert reply_of({"content": "a", "images": images}).parts == (Text("a"), Image("image/png", "AAAA"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": ["x"]},
        {"choices": [{}]},
        {"choices": [{"message": "x"}]},
        {"error": {"message": "no"}},
    ],
)
def test_what_is_no_reply_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match="repl"):
        OpenAI().parse_reply(body)


def test_absent_usage_zero_usage_and_broken_usage_are_told_apart() -> None:
    message = {"role": "assistant", "content": "x"}
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert reply_of(message).usage is None
    assert reply_of(message, usage=None).usage is None
    assert reply_of(message, usage={}).usage is None
    assert reply_of(message, usage={"prompt_tokens": "9", "completion_tokens": -1}).usage is None
    assert reply_of(message, usage=zero).usage == Usage()
    assert "usage" not in OpenAI().render_reply(reply_of(message))
    assert OpenAI().render_reply(reply_of(message, usage=zero))["usage"] == render_usage(Usage())


counts = st.integers(0, 10_000)
details = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens"]),
    st.none() | counts,
)


@settings(deadline=None)
@given(counts, counts, st.none() | counts, details, details)
def test_no_token_that_the_vendor_told_is_lost_or_counted_twice(
    prompt: int, completion: int, total: int | None, inward: Any, outward: Any
) -> None:
    usage = parse_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "prompt_tokens_details": inward,
            "completion_tokens_details": outward,
        }
    )
    assert usage is not None
    parts_in = [value or 0 for name, value in (inward or {}).items() if name != "reasoning_tokens"]
    parts_out = [value or 0 for name, value in (outward or {}).items() if not name.startswith("cache")]
    assert usage.tokens_input == max([prompt, *parts_in])
    assert usage.tokens_output >= max(completion, usage.reasoning)
    assert usage.tokens_total >= max(total or 0, prompt + completion)
    if max([0, *parts_in]) <= prompt and max([0, *parts_out]) <= completion:
        assert usage.tokens_total == max(total or 0, prompt + completion)


def test_thinking_counted_beside_the_completion_is_found_through_the_total() -> None:
    beside: Any = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    details: Any = {"completion_tokens_details": {"reasoning_tokens": 100}}
    assert parse_usage({**beside, **details}) == Usage(input=10, output=5, reasoning=100)
    assert parse_usage(beside) == Usage(input=10, output=5, reasoning=100)


def test_older_names_for_cached_tokens_are_read() -> None:
    base: Any = {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}
    assert parse_usage({**base, "prompt_cache_hit_tokens": 4}) == Usage(input=6, cache_read=4)
    assert parse_usage({**base, "cached_tokens": 4}) == Usage(input=6, cache_read=4)


@settings(deadline=None)
@given(st.builds(Usage, *([counts] * 3), st.just(0), *([counts] * 6)))
def test_usage_survives_the_way_out_and_in_again(usage: Usage) -> None:
    rendered: Any = render_usage(usage)
    assert rendered["total_tokens"] == rendered["prompt_tokens"] + rendered["completion_tokens"] == usage.tokens_total
    assert parse_usage(rendered) == usage
