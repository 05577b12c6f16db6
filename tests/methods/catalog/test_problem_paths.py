"""Where a problem lies is told in the words of whoever sent the parameters: no name of the validator's own stands in it."""

from typing import Any

import pytest

from methods.all_methods import METHODS
from methods.errors import InvalidParams

BY_NAME = {method.name: method for method in METHODS}


def paths(method: str, params: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidParams) as refused:
        BY_NAME[method].parse(params)
    problems: list[dict[str, str]] = refused.value.data["errors"]  # type: ignore[assignment]  # as it goes on the wire
    assert all(problem["path"] in str(refused.value) for problem in problems[:5])
    return sorted({problem["path"] for problem in problems})


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("grantCredits", {"userId": "u", "amount": "NaN"}, ["amount"]),
        ("grantCredits", {"userId": "u", "amount": True}, ["amount"]),
        ("grantCredits", {"userId": "u", "amount": {}}, ["amount"]),
        ("setPrice", {"provider": "p", "model": "m", "prices": {"input": "1e3", "output": "1"}}, ["prices.input"]),
        ("refundPurchase", {"userId": "u"}, ["grantId", "reason"]),
        ("getTokenBalance", {"nope": 1}, ["nope"]),
        ("executeAIRequest", {"content": "x", "options": {"maxTokens": 0}}, ["options.maxTokens"]),
        ("executeAIRequest", {"messages": [{"role": "user"}]}, ["messages.0.content"]),
        ("checkEntitlement", {"action": {"estimated_input_tokens": -1}}, ["action.estimated_input_tokens"]),
        ("transferBalance", {"from": {"userId": ""}, "to": {}, "amount": [], "reason": "r"}, ["amount", "from.userId"]),
    ],
)
def test_a_path_names_what_was_sent_or_is_missing(method: str, params: dict[str, Any], named: list[str]) -> None:
    assert paths(method, params) == named
