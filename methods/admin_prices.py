"""What an admin sets while the server runs: prices (S2-26). A change holds from now on or later, never before."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Amount, Instant, Key, Name, Reason, amount_of, author_of, text, us_of
from monetization.errors import OutOfTime
from monetization.periods import iso
from monetization.registers import PriceEntry
from storage.errors import IdempotencyConflict
from storage.records.money import USD


class SetPriceParams(Params):
    """A model's price in dollars per million tokens."""

    provider: Annotated[str, Field(pattern=r"^[^/\s]{1,100}$")]
    """The configured provider's name, or a kind."""
    model: Name
    prices: Annotated[dict[str, Amount], Field(min_length=2, max_length=60)]
    """`input` and `output`, and where they differ `cache_read`, `cache_write_5m`, `reasoning`…; `request` per request.
    `batch.input`, `batch.output`… and the like of `flex`, `priority` and `fast` price calls that the provider handles so."""
    effective_from: Instant | None = None
    """Absent: from now on. A price cannot be changed for the past."""
    reason: Reason | None = None
    idempotency_key: Key | None = None


class PriceResult(Result):
    """A price that was set at run time."""

    provider: str
    model: str
    prices: dict[str, str]
    """Dollars per million tokens, exact."""
    effective_from: str
    version: str
    """What usage rows and receipts name."""
    actor: str
    reason: str
    created_at: str
    is_replay: bool | None = None
    """Of an answer to `setPrice`: it was given before, under the same key."""


class ListPricesParams(Params):
    """Which prices."""

    provider: Name | None = None
    model: Name | None = None


class ListPricesResult(Result):
    """Every price ever set at run time, the newest first."""

    data: list[PriceResult]


async def set_price(context: Context, params: SetPriceParams) -> PriceResult:
    """Set what a model costs, from now on or later; calls that have begun keep their price. Admins only."""
    dollars = {key: text(amount_of(value, USD, f"prices.{key}"), USD) for key, value in params.prices.items()}
    effective = None if params.effective_from is None else us_of(params.effective_from)
    name = f"{params.provider}/{params.model}"
    setting = context.services.money.setting
    try:
        written = await setting.set_price(
            author_of(context, params.reason), name, dollars, effective, key=params.idempotency_key
        )
    except ValueError as wrong:
        raise InvalidParams(str(wrong)) from None
    return _price(written.what).model_copy(update={"is_replay": written.is_replay})


async def list_prices(context: Context, params: ListPricesParams) -> ListPricesResult:
    """The prices set at run time, with their history. Admins only."""
    shown = [_price(entry) for entry in reversed(context.services.money.registers.snapshot.prices)]
    wanted = [
        price for price in shown if params.provider in (None, price.provider) and params.model in (None, price.model)
    ]
    return ListPricesResult(data=wanted)


def _price(entry: PriceEntry) -> PriceResult:
    provider, _, model = entry.name.partition("/")
    prices: Mapping[str, str] = json.loads(entry.dollars)
    return PriceResult(
        provider=provider,
        model=model,
        prices=dict(prices),
        effective_from=iso(entry.price.valid_from_us),
        version=entry.price.version,
        actor=entry.actor,
        reason=entry.reason,
        created_at=iso(entry.created_us),
    )


METHODS = [
    Method(
        "setPrice",
        set_price,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=(Forbidden, OutOfTime, IdempotencyConflict),
        examples=(
            Example(
                "a price from now on",
                {"provider": "openai", "model": "gpt-4o", "prices": {"input": "2.5", "output": "10"}},
                {"provider": "openai", "model": "gpt-4o", "prices": {"input": "2.5", "output": "10"}},
            ),
        ),
    ),
    Method(
        "listPrices",
        list_prices,
        scope="prices:write",
        access=Access.REQUIRED,
        faults=(Forbidden,),
        examples=(Example("of one model", {"model": "gpt-4o"}, {"data": []}),),
    ),
]
