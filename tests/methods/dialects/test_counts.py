"""Which counters of a vendor are believed: what the books could not take after an answer was delivered is no count."""

from typing import Any

import pytest

from methods.dialects.openai_usage import parse_usage
from methods.dialects.shared import TOKENS_MAX, tokens_of
from storage.records.usage import Usage


@pytest.mark.parametrize("value", [0, 7, 7.0, TOKENS_MAX, float(TOKENS_MAX)])
def test_a_whole_number_is_a_count(value: float) -> None:
    assert tokens_of({"n": value}, "n") == int(value)


@pytest.mark.parametrize("value", [-1, 1.5, True, "7", None, [], TOKENS_MAX + 1, 2**63, 2**64 - 1, 1e30])
def test_what_no_model_can_count_is_no_count(value: Any) -> None:
    assert tokens_of({"n": value}, "n") is None


def test_an_absurd_usage_is_none_and_so_is_estimated_instead_of_refused() -> None:
    assert parse_usage({"prompt_tokens": 2**63, "completion_tokens": 2**63, "total_tokens": 2**64 - 1}) is None
    assert parse_usage({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 2**63}) == Usage(input=3, output=4)
