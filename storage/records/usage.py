"""Usage of one AI call, in disjoint buckets whose sum is the vendor's own total. No prices here."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
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
