"""The result of `executeAIRequest`: the union of what the documents show, so that every documented client finds its fields."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from methods.ai_messages import FunctionCall
from methods.method import Result
from storage.records.usage import Usage

# The documents show money as JSON numbers here. It is exact until this line, and nine decimals survive the rendering.
JsonMoney = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class UsageReport(Result):
    """Tokens of this call, and what they cost. A counter that the provider does not have is 0; no usage at all is no object."""

    input_tokens: int = Field(description="All tokens in, cached ones included.")
    output_tokens: int = Field(description="All tokens out, thinking included.")
    total_tokens: int
    cached_input_tokens: int = Field(description="Of the input: read from the provider's prompt cache.")
    cache_write_tokens: int = Field(description="Of the input: written to the provider's prompt cache.")
    reasoning_tokens: int = Field(description="Of the output: thinking.")
    is_estimated: bool | None = Field(None, description="True: the provider sent no count, so it was estimated.")
    cost: JsonMoney | None = Field(None, description="What the provider's tokens cost, in US dollars.")
    platform_fee: JsonMoney | None = Field(None, description="What was added to it, in US dollars.")


class TextUsage(Result):
    """The same counts under the names of `ai.generateText`."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TextData(Result):
    """The answer as `ai.generateText` shows it."""

    content: str
    usage: TextUsage | None = None
    model: str
    provider: str
    request_id: str
    finish_reason: str


class TokenUsage(Result):
    """What the call took from a balance of virtual tokens."""

    tokens_used: int
    tokens_charged: int
    platform_fee: int
    remaining_balance: int


class UsageInfo(Result):
    """What the call used of the caller's own provider key."""

    tokens_used: int
    estimated_cost_usd: JsonMoney | None = None


class ToolCallReport(Result):
    """A tool that the model asks for: give it back in `tool_calls` of the assistant's message, unchanged."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall
    signature: str | None = None


class ReasoningReport(Result):
    """Thinking of the model: a part that can be given back in the assistant's message, unchanged."""

    type: Literal["reasoning"] = "reasoning"
    text: str
    signature: str | None = None
    redacted: bool | None = None


class ExecuteResult(Result):
    """The whole answer, complete by itself even when it was streamed before."""

    content: str = Field(description="The text of the answer; empty when the model only asks for tools.")
    success: Literal[True] = True
    data: TextData
    usage: UsageReport | None = None
    request_id: str
    model: str
    provider: str
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]
    tool_calls: tuple[ToolCallReport, ...] | None = None
    reasoning: tuple[ReasoningReport, ...] | None = None
    quota_remaining: int | None = Field(None, description="Tokens left of this period's quota.")
    token_usage: TokenUsage | None = None
    usage_info: UsageInfo | None = None


def usage_report(usage: Usage, *, is_estimated: bool = False) -> UsageReport:
    """The counts of one call, under the names of `executeAIRequest`."""
    return UsageReport(
        input_tokens=usage.tokens_input,
        output_tokens=usage.tokens_output,
        total_tokens=usage.tokens_total,
        cached_input_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
        reasoning_tokens=usage.reasoning,
        is_estimated=is_estimated or None,
    )


def text_usage(usage: Usage) -> TextUsage:
    """The same counts under the names of `ai.generateText`."""
    return TextUsage(
        prompt_tokens=usage.tokens_input, completion_tokens=usage.tokens_output, total_tokens=usage.tokens_total
    )
