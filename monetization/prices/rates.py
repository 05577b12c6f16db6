"""Rates: integers, nano dollars per million units, and the one place where tokens become money."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from storage.records.usage import Usage

MILLION: Final = 1_000_000
NANO_PER_DOLLAR: Final = 1_000_000_000

Processing = Literal["standard", "batch", "flex", "priority", "fast"]
"""How the provider was asked to handle a call, which decides what it bills (OpenAI's `service_tier`, the vendors' batches)."""
STANDARD: Final = "standard"
CHEAPER: Final[frozenset[Processing]] = frozenset({"batch", "flex"})
"""Slow kinds, which vendors sell below their standard price or at it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano dollars per 1,000,000 tokens of each usage bucket."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    audio_input: int
    image_input: int
    reasoning: int
    audio_output: int
    image_output: int

    def weigh(self, usage: Usage) -> int:
        """Tokens times rates, summed: nano dollars times a million. Not yet rounded."""
        total = usage.input * self.input + usage.output * self.output
        if usage.cache_read or usage.cache_write_5m or usage.cache_write_1h:
            total += usage.cache_read * self.cache_read + usage.cache_write_5m * self.cache_write_5m
            total += usage.cache_write_1h * self.cache_write_1h
        if usage.reasoning:
            total += usage.reasoning * self.reasoning
        if usage.audio_input or usage.image_input or usage.audio_output or usage.image_output:
            total += usage.audio_input * self.audio_input + usage.image_input * self.image_input
            total += usage.audio_output * self.audio_output + usage.image_output * self.image_output
        return total

    def dearest(self, tokens_input: int, tokens_output: int, *, has_media: bool, writes_cache: bool) -> int:
        """The greatest that `weigh` can come to: every token in the dearest bucket that it can fall into."""
        rate_in = max(self.input, self.cache_read)
        if writes_cache:
            rate_in = max(rate_in, self.cache_write_5m, self.cache_write_1h)
        if has_media:
            rate_in = max(rate_in, self.audio_input, self.image_input)
        rate_out = max(self.output, self.reasoning, self.audio_output, self.image_output)
        return tokens_input * rate_in + tokens_output * rate_out


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs from one instant on.

    Long-context tiers are cliffs: once the tokens in pass `start`, every token of the call pays the tier's rates. That is how
    the vendors bill (genai-prices, `TieredPrices`).
    """

    model: str
    version: str
    """Names the source and the row, so that a usage row can be re-rated years later."""
    valid_from_us: int
    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    """(tokens in that must be passed, rates), ascending."""
    request_nano: int = 0
    """Nano dollars for every request, whatever it uses."""
    is_output_priced: bool = True
    """False: the source knows no price of output (embedding models); a call that may produce output is refused."""
    processed: tuple[tuple[Processing, "Price"], ...] = ()
    """What calls cost that are not handled in the standard way; each a whole price, with a version of its own."""

    def processed_as(self, processing: Processing) -> "Price | None":
        """The price of calls handled in this way. None: nobody knows it, and it may lie above the standard one.

        Batch and flex fall back on the standard price, as in genai-prices (`ModelInfo.get_prices`): it is the most they cost.
        """
        if processing == STANDARD:
            return self
        found = next((price for kind, price in self.processed if kind == processing), None)
        return self if found is None and processing in CHEAPER else found

    def rates_for(self, tokens_input: int) -> Rates:
        """The rates of a call with this many tokens in."""
        for start, rates in reversed(self.tiers):
            if tokens_input > start:
                return rates
        return self.base

    def cost(self, usage: Usage) -> int:
        """What the provider bills for this usage, in nano dollars: all buckets summed, then one division, half up."""
        weighed = self.rates_for(usage.tokens_input).weigh(usage)
        return self.request_nano + (weighed + MILLION // 2) // MILLION

    def cost_parts(self, usage: Usage) -> tuple[int, int]:
        """`cost` split into what went in (with the request's own price) and what came out; they sum to it exactly."""
        total = self.cost(usage)
        output = Usage(
            output=usage.output,
            reasoning=usage.reasoning,
            audio_output=usage.audio_output,
            image_output=usage.image_output,
        )
        came_out = min(total, (self.rates_for(usage.tokens_input).weigh(output) + MILLION // 2) // MILLION)
        return total - came_out, came_out

    def most(self, *, tokens_input: int, tokens_output: int, has_media: bool = False, writes_cache: bool = True) -> int:
        """The greatest cost in nano dollars of a call with at most this many tokens, at the dearest tier it can reach."""
        weighed = self.base.dearest(tokens_input, tokens_output, has_media=has_media, writes_cache=writes_cache)
        for start, rates in self.tiers:
            if tokens_input > start:
                tier = rates.dearest(tokens_input, tokens_output, has_media=has_media, writes_cache=writes_cache)
                weighed = max(weighed, tier)
        return self.request_nano - (-weighed // MILLION)


def nano_per_million(dollars: str | Decimal) -> int:
    """A rate in dollars per million tokens as an integer. Raises: ValueError when it is negative or finer than a nano."""
    try:
        nano = Decimal(dollars) * NANO_PER_DOLLAR
        whole = int(nano)
    except (InvalidOperation, ValueError, OverflowError) as broken:
        raise ValueError(f"{dollars!r} is not a price in dollars, such as '2.50'") from broken
    if nano < 0 or nano != whole:
        raise ValueError(f"{dollars!r} must be zero or more and no finer than 0.000000001")
    return whole


def rates_from(
    *,
    input: int,  # noqa: A002 - the bucket's name
    output: int,
    cache_read: int | None = None,
    cache_write_5m: int | None = None,
    cache_write_1h: int | None = None,
    audio_input: int | None = None,
    image_input: int | None = None,
    reasoning: int | None = None,
    audio_output: int | None = None,
    image_output: int | None = None,
) -> Rates:
    """Rates with every bucket filled: one that has no rate of its own pays that of the bucket it would else fall into."""

    def rate(own: int | None, instead: int) -> int:
        return instead if own is None else own

    writes = rate(cache_write_5m, input)
    return Rates(
        input=input,
        output=output,
        cache_read=rate(cache_read, input),
        cache_write_5m=writes,
        cache_write_1h=rate(cache_write_1h, writes),
        audio_input=rate(audio_input, input),
        image_input=rate(image_input, input),
        reasoning=rate(reasoning, output),
        audio_output=rate(audio_output, output),
        image_output=rate(image_output, output),
    )
