"""`createTiersForMargin` over the method: exact numbers, the model's tokens, and who may ask."""

import pytest

from methods.errors import Forbidden, InvalidParams
from monetization.errors import PriceUnknown
from tests.methods.money.conftest import Product

PLANS = [{"tier": "professional", "price": "99", "subscribers": 50}]


async def test_a_plan_of_ninety_nine_dollars_grants_1980_credits_at_80_percent(product: Product) -> None:
    said = await product.admin("createTiersForMargin", {"tiers": PLANS})
    [tier] = said["tiers"]
    assert said["data"] == {"professional": tier}
    assert (tier["apiBudget"], tier["credits"], tier["profit"]) == ("19.8", 1980.0, "79.2")
    assert (tier["processorFee"], tier["profitMargin"], tier["profitMarginAfterFee"]) == ("3.171", "80%", "76.8%")
    assert said["totals"]["revenue"] == "4950"


@pytest.mark.parametrize(("margin", "budget"), [("80%", "19.8"), (80, "19.8"), (82.5, "17.325"), ("75", "24.75")])
async def test_a_margin_is_a_percentage_however_it_is_written(product: Product, margin: object, budget: str) -> None:
    said = await product.admin("createTiersForMargin", {"tiers": PLANS, "profitMargin": margin})
    assert said["data"]["professional"]["apiBudget"] == budget


async def test_a_models_price_turns_the_budget_into_tokens(product: Product) -> None:
    model = {"provider": "simulator", "model": "simulator"}
    await product.admin("setPrice", {**model, "prices": {"input": "10", "output": "30"}})
    said = await product.admin("createTiersForMargin", {"tiers": PLANS, "model": model})
    [tier] = said["tiers"]
    assert (tier["tokensGuaranteed"], tier["tokensExpected"]) == (660_000, 990_000)


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"tiers": [*PLANS, *PLANS]}, InvalidParams),
        ({"tiers": PLANS, "profitMargin": "100"}, InvalidParams),
        ({"tiers": PLANS, "profitMargin": True}, InvalidParams),
        ({"tiers": PLANS, "profitMargin": -5}, InvalidParams),
        ({"tiers": [{"tier": "x", "price": "-1"}]}, InvalidParams),
        ({"tiers": PLANS, "processorFeeFixed": "-1"}, InvalidParams),
        ({"tiers": PLANS, "model": {"provider": "nobody", "model": "none"}}, PriceUnknown),
    ],
)
async def test_what_cannot_be_is_refused(product: Product, params: dict[str, object], fault: type[Exception]) -> None:
    assert isinstance(await product.refused_admin("createTiersForMargin", params), fault)


async def test_only_an_admin_may_ask(product: Product) -> None:
    refused = await product.refused(product.token("u1"), "createTiersForMargin", {"tiers": PLANS})
    assert isinstance(refused, Forbidden)
