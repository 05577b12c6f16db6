"""The result of `executeAIRequest`: the union of what the documents show, so that every documented client finds its fields.

These are typed dictionaries with their wire names, not models: they are made on every call, from values of ours that need no
check, and cost a seventh of what models cost (measured: 1.4 us against 10 us with their JSON).
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from methods.dialects.canonical import FinishReason
from storage.records.usage import Usage


class UsageReport(TypedDict):
    """Tokens of this call, and what they cost. A counter that the provider does not have is 0; no usage at all is no object."""

    inputTokens: Annotated[int, Field(description="All tokens in, cached ones included.")]
    outputTokens: Annotated[int, Field(description="All tokens out, thinking included.")]
    totalTokens: int
    cachedInputTokens: Annotated[int, Field(description="Of the input: read from the provider's prompt cache.")]
    cacheWriteTokens: Annotated[int, Field(description="Of the input: written to the provider's prompt cache.")]
    reasoningTokens: Annotated[int, Field(description="Of the output: thinking.")]
    isEstimated: NotRequired[
        Annotated[Literal[True], Field(description="The provider sent no count, so this is an estimate.")]
    ]
    cost: NotRequired[Annotated[float, Field(description="What the provider's tokens cost, in US dollars.")]]
    platformFee: NotRequired[Annotated[float, Field(description="What was added to it, in US dollars.")]]
    saving: NotRequired[
        Annotated[
            float,
            Field(
                description="Where another model served: what the one asked for would have charged for the same tokens less what "
                "was charged, in US dollars; negative where it would have charged less."
            ),
        ]
    ]


class TextUsage(TypedDict):
    """The same counts under the names of `ai.generateText`."""

    promptTokens: int
    completionTokens: int
    totalTokens: int


class TextData(TypedDict):
    """The answer as `ai.generateText` shows it."""

    content: str
    usage: NotRequired[TextUsage]
    model: str
    provider: str
    requestId: str
    finishReason: FinishReason


class TokenUsage(TypedDict):
    """What the call took from a balance of virtual tokens."""

    tokensUsed: int
    tokensCharged: int
    platformFee: int
    remainingBalance: int


class UsageInfo(TypedDict):
    """What the call used of the caller's own provider key."""

    tokensUsed: int
    estimatedCostUsd: NotRequired[float]


class MonthlyUsage(TypedDict):
    """What the caller's calls have come to this calendar month, this one included."""

    tokens: int
    requests: int
    cost: Annotated[float, Field(description="What the providers billed for them, in US dollars.")]


class CreditReport(TypedDict):
    """What the call took in credits."""

    deducted: float
    remaining: Annotated[float, Field(description="Credits left and not held by other calls.")]
    monthlyUsage: NotRequired[MonthlyUsage]


class FunctionCallReport(TypedDict):
    """Which tool the model asks for, and with what."""

    name: str
    arguments: Annotated[str, Field(description="JSON text, exactly as the model wrote it.")]


class ToolCallReport(TypedDict):
    """A tool that the model asks for: give it back in `tool_calls` of the assistant's message, unchanged."""

    id: str
    type: Literal["function"]
    function: FunctionCallReport
    signature: NotRequired[str]


class ReasoningReport(TypedDict):
    """Thinking of the model: a part that can be given back in the assistant's message, unchanged."""

    type: Literal["reasoning"]
    text: str
    signature: NotRequired[str]
    redacted: NotRequired[Literal[True]]


class ExecuteResult(TypedDict):
    """The whole answer, complete by itself even when it was streamed before."""

    content: Annotated[str, Field(description="The text of the answer; empty when the model only asks for tools.")]
    success: Literal[True]
    data: TextData
    usage: NotRequired[UsageReport]
    requestId: str
    model: str
    provider: str
    finishReason: FinishReason
    askedModel: NotRequired[
        Annotated[str, Field(description="`provider/model` that was asked for, where another one served.")]
    ]
    toolCalls: NotRequired[list[ToolCallReport]]
    reasoning: NotRequired[list[ReasoningReport]]
    quotaRemaining: NotRequired[
        Annotated[
            int,
            Field(
                description="Tokens left of this period's quota; of an organization's member the least of own, pool's and cap's."
            ),
        ]
    ]
    tokenUsage: NotRequired[TokenUsage]
    usageInfo: NotRequired[UsageInfo]
    credits: NotRequired[CreditReport]


def usage_report(usage: Usage) -> UsageReport:
    """The counts of one call, under the names of `executeAIRequest`."""
    tokens_input, tokens_output = usage.tokens_input, usage.tokens_output
    return {
        "inputTokens": tokens_input,
        "outputTokens": tokens_output,
        "totalTokens": tokens_input + tokens_output,
        "cachedInputTokens": usage.cache_read,
        "cacheWriteTokens": usage.cache_write_5m + usage.cache_write_1h,
        "reasoningTokens": usage.reasoning,
    }


def text_usage(report: UsageReport) -> TextUsage:
    """The same counts under the names of `ai.generateText`."""
    return {
        "promptTokens": report["inputTokens"],
        "completionTokens": report["outputTokens"],
        "totalTokens": report["totalTokens"],
    }
