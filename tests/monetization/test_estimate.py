"""The estimate of tokens is never below what a tokenizer could find, and cheap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monetization.estimate import (
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    TOOL_TOKENS,
    TOOLS_TOKENS,
    request_tokens_max,
    text_tokens_max,
)
from monetization.images import image_tokens_beyond
from monetization.terms import Most, Route, Target


def test_letters_and_spaces_count_one_for_two_and_everything_else_one_each() -> None:
    assert text_tokens_max("") == 0
    assert text_tokens_max("abc d") == 3
    assert text_tokens_max("1234") == 4
    assert text_tokens_max("a=1;") == 4
    assert text_tokens_max("漢字") == 6


@settings(deadline=None)
@given(st.text(max_size=500))
def test_the_estimate_stays_between_half_the_bytes_and_all_of_them(text: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    assert (size + 1) // 2 <= text_tokens_max(text) <= size


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_fewer_tokens(one: str, two: str) -> None:
    assert text_tokens_max(one + two) >= max(text_tokens_max(one), text_tokens_max(two))
    assert text_tokens_max(one) + text_tokens_max(two) >= text_tokens_max(one + two)


def test_a_request_adds_what_the_vendors_wrap_around_it() -> None:
    assert request_tokens_max(["ab", "cd"], messages=2) == 2 + 2 * MESSAGE_TOKENS
    wrapped = 2 * MESSAGE_TOKENS + TOOLS_TOKENS + 3 * TOOL_TOKENS + IMAGE_TOKENS
    assert request_tokens_max(["ab"], messages=2, tools=3, images=1) == 1 + wrapped


@pytest.mark.parametrize(
    ("kind", "model", "most"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", 48_169),
        ("openai", "openai/gpt-4o-mini", 48_169),
        ("openai", "gpt-5.4", 12_000),
        ("openai", "Qwen3-VL-plus", 16_384),
        ("anthropic", "claude-opus-4-7", IMAGE_TOKENS),
        ("google", "gemini-3-pro", IMAGE_TOKENS),
    ],
)
def test_an_image_is_held_at_the_most_that_the_model_can_count_for_one(kind: str, model: str, most: int) -> None:
    target, other = Target("p", model, kind), Target("q", "claude", "anthropic")
    assert IMAGE_TOKENS + image_tokens_beyond([target]) == most
    assert image_tokens_beyond([other, target]) == image_tokens_beyond([target])
    asked = Most((other,), tokens_input=100 + 2 * IMAGE_TOKENS, images=2, has_media=True)
    assert (
        asked.routed(Route((target,)), (target,)).tokens_input == 100 + 2 * most
    )  # where another model serves instead
    assert image_tokens_beyond([]) == 0
