"""What every list of usage rows shows of one: its outcome, its tokens, what it cost. No method here."""

from methods.method import Result
from methods.money_shapes import number, text
from monetization.periods import iso
from storage.records.money import USD
from storage.records.usage import UsageRow


class RowFigures(Result):
    """One usage row. Money in dollars; the strings are exact. What is not known is absent."""

    timestamp: str
    method: str
    provider: str | None = None
    model: str | None = None
    outcome: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost: float | None = None
    platform_fee: float | None = None
    total_cost: float | None = None
    """Both together (S0-12)."""
    charged: str | None = None
    """What was taken from the balance, exact; absent where nothing was."""
    charged_asset: str | None = None
    price_version: str | None = None
    """The price that it was charged by, for ever."""
    asked_model: str | None = None
    """`provider/model` that was asked for, where another one served."""
    saving: float | None = None
    """What that one would have charged for the same usage less what was charged; negative: it would have charged less."""
    is_estimated: bool
    is_partial: bool
    latency_ms: int


def figures_of(row: UsageRow) -> dict[str, object]:
    """The members of `RowFigures`."""
    usage = row.usage
    charged = text(row.charge_amount, row.charge_asset) if row.charge_amount and row.charge_asset else None
    return {
        "timestamp": iso(row.occurred_us),
        "method": row.method,
        "provider": row.provider,
        "model": row.model,
        "outcome": row.outcome,
        "input_tokens": usage.tokens_input,
        "output_tokens": usage.tokens_output,
        "total_tokens": usage.tokens_total,
        "cached_input_tokens": usage.cache_read,
        "reasoning_tokens": usage.reasoning,
        "cost": None if row.cost_nano is None else number(row.cost_nano, USD),
        "platform_fee": None if row.fee_nano is None else number(row.fee_nano, USD),
        "total_cost": None if row.cost_nano is None else number(row.cost_nano + (row.fee_nano or 0), USD),
        "charged": charged,
        "charged_asset": row.charge_asset if charged is not None else None,
        "price_version": row.price_version,
        "asked_model": row.asked_model,
        "saving": None if row.saving_nano is None else number(row.saving_nano, USD),
        "is_estimated": row.is_estimated,
        "is_partial": row.is_partial,
        "latency_ms": row.latency_us // 1_000,
    }


def cost_text(row: UsageRow) -> str | None:
    """The cost, exact."""
    return None if row.cost_nano is None else text(row.cost_nano, USD)
