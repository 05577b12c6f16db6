"""Many usages priced at once: `calculateCosts`, as OpenMonetize's bulk rating. Each is priced as `calculateCost` prices it."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from methods.context import Context
from methods.errors import UnknownModel, UnknownProvider
from methods.method import Access, Example, Method, Params, Result
from methods.pricing import CostParams, CostResult, calculate_cost
from monetization.errors import PriceUnknown

CALCULATIONS_MAX = 100


class Calculation(CostParams):
    """One usage, in either casing."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


class CostsParams(Params):
    """The usages."""

    calculations: Annotated[list[Calculation], Field(min_length=1, max_length=CALCULATIONS_MAX)]


class CostsResult(Result):
    """Their prices, in their order."""

    results: list[CostResult]
    total: int
    """How many."""


async def calculate_costs(context: Context, params: CostsParams) -> CostsResult:
    """What each of up to a hundred usages would cost the caller. One that nothing prices refuses them all."""
    results = [await calculate_cost(context, one) for one in params.calculations]
    return CostsResult(results=results, total=len(results))


METHODS = [
    Method(
        "calculateCosts",
        calculate_costs,
        scope="public",
        access=Access.OPTIONAL,
        faults=(UnknownModel, UnknownProvider, PriceUnknown),
        examples=(
            Example(
                "one usage",
                {"calculations": [{"model": "simulator", "inputTokens": 500, "outputTokens": 1000}]},
                {"results": [{"cost": 0.0025, "credits": 0.25}], "total": 1},
            ),
        ),
    ),
]
