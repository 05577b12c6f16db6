"""Usage of one AI call: the buckets, and the row that is kept. Never a prompt, never an answer, no price book."""

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Literal

from storage.records.fact import fact

Side = Literal["input", "output"]
"""What went in, or what came out."""
Outcome = Literal["done", "partial", "failed", "cancelled", "refused", "expired"]
"""How a call ended: whole; cut off after some output; without output; by the caller; refused by the provider because of the
request or of the caller's own account there; with its process, so that its hold expired and was charged what was noted last."""


@fact
class Usage:
    """Tokens in disjoint buckets: no token is counted in two of them.

    Vendors nest their counters (OpenAI's cached tokens lie inside `prompt_tokens`, Anthropic's beside `input_tokens`, Gemini's
    thoughts beside `candidatesTokenCount`); the dialects take them apart. A usage that a vendor did not send is None where a
    `Usage | None` stands, which is not the same as a usage of zero.
    """

    input: int = 0
    """Fresh text tokens in: not read from a cache, not written to one."""
    cache_read: int = 0
    """Tokens in that the vendor read from its prompt cache."""
    cache_write_5m: int = 0
    """Tokens in that were written to a cache that lives five minutes (also: a vendor's only kind of cache write)."""
    cache_write_1h: int = 0
    """Tokens in that were written to a cache that lives one hour."""
    audio_input: int = 0
    image_input: int = 0
    output: int = 0
    """Text tokens out that the caller can read, tool calls included."""
    reasoning: int = 0
    """Tokens out that the model spent on thinking. Billed as output by every vendor."""
    audio_output: int = 0
    image_output: int = 0

    @property
    def tokens_input(self) -> int:
        """All tokens that went in, cached ones included."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_input
            + self.image_input
        )

    @property
    def tokens_output(self) -> int:
        """All tokens that came out, thinking included."""
        return self.output + self.reasoning + self.audio_output + self.image_output

    @property
    def tokens_total(self) -> int:
        """Everything in and out: what a token quota counts."""
        return self.tokens_input + self.tokens_output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@fact
class UsageRow:
    """What is kept of one metered call. `Usage` is flat here, because a row is written on every call."""

    id: str
    """Unique; a row with an id that is already there is the same row, and is not written twice."""
    request_id: str
    occurred_us: int
    """Microseconds since 1970 UTC when the call ended."""
    user_id: str | None
    """None: an anonymous caller."""
    caller_kind: str
    tier: str
    method: str
    door: str
    provider: str | None
    """None: no provider was asked."""
    model: str | None
    outcome: Outcome
    usage: Usage = Usage()
    tenant: str = "default"
    organization_id: str | None = None
    is_estimated: bool = False
    """True: counted by us, because the provider sent no usage."""
    is_partial: bool = False
    """True: the call ended before its answer was complete."""
    latency_us: int = 0
    first_byte_us: int | None = None
    """Microseconds from the start to the provider's first output. None: there was none."""
    is_stream: bool = False
    feature: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's own labels, small."""
    price_version: str | None = None
    cost_nano: int | None = None
    """Provider cost in US dollars, scale 9. None: no price is known."""
    fee_nano: int | None = None
    """Platform fee in US dollars, scale 9. None: no fee was computed."""
    charge_amount: int | None = None
    """What the caller paid, in the scale of `charge_asset`. None: nothing was charged."""
    charge_asset: str | None = None
    key_id: str | None = None
    """The gateway key that the caller showed. None: it came otherwise."""
    kind: str = "TOKEN_USAGE"
    """What was used: TOKEN_USAGE, IMAGE_GENERATION, VIDEO_GENERATION, AUDIO_PROCESSING, API_CALL or CUSTOM."""
    unit: str | None = None
    """What `quantity_nano` counts. None: only tokens were counted."""
    quantity_nano: int | None = None
    """How many units, scale 9."""
    source: str = "gateway"
    """Who told of it: ourselves, or the source of an event that came from elsewhere."""
    asked_model: str | None = None
    """`provider/model` that was asked for, where another one served. None: that one served, or several were asked for alike."""
    saving_nano: int | None = None
    """What that one would have charged for the same usage less what was charged, in nano dollars; negative: it would have charged
    less. None: nothing to compare, or no price is known."""

    @property
    def is_unpriced(self) -> bool:
        """True: tokens of unknown cost on our own bill. Zero is a known cost; a caller's own key is billed to the caller."""
        return self.cost_nano is None and self.caller_kind != "byok" and self.usage.tokens_total > 0
