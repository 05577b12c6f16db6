"""The one form that every vendor's JSON translates to and from: requests, replies, stream events, vendor errors.

Frozen values only. What a vendor has and this form has not travels in `extra`, verbatim, and comes out again when the same
dialect renders it; across dialects `extra` is dropped or refused by the dialect, never guessed at.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal, TypeAlias

from storage.records.fact import fact
from storage.records.usage import Side, Usage

if TYPE_CHECKING:
    from methods.dialects.canonical_once import OnceReply

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, "Json"]

Role = Literal["user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]


@fact
class Text:
    """Plain text, in either direction."""

    text: str
    extra: Mapping[str, Json] = field(default_factory=dict)
    """The vendor's other members of this part (cache_control, citations, ...)."""


@fact
class Image:
    """An image given to, or made by, the model: base64 data with a media type, or a URL that the vendor fetches itself."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@fact
class Reasoning:
    """The model's thinking. `signature` is the vendor's seal and must come back unchanged."""

    text: str
    signature: str | None = None
    is_redacted: bool = False
    """True: `text` is empty or opaque, and `signature` holds the vendor's encrypted block."""


@fact
class ToolCall:
    """The model asks for a tool."""

    id: str
    name: str
    """Empty in a reply: this is a call, and nobody can read which."""
    arguments: str
    """JSON text, exactly as the model wrote it (it may be invalid JSON)."""
    signature: str | None = None
    """Gemini's thoughtSignature of this part."""


@fact
class ToolResult:
    """The answer of a tool, given back to the model."""

    tool_call_id: str
    content: tuple["Text | Image", ...]
    name: str | None = None
    """The tool's name; Gemini needs it."""
    is_error: bool = False


Part: TypeAlias = Text | Image | Reasoning | ToolCall | ToolResult


@fact
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)


@fact
class Tool:
    """A function that the model may ask for."""

    name: str
    description: str | None
    parameters: JsonObject
    """JSON Schema of the arguments."""
    is_strict: bool | None = field(default=None, kw_only=True)
    """Whether the arguments must fit the schema exactly. None: the client did not say."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@fact
class ToolChoice:
    """Whether and which tool must be used. `name` is set exactly for mode `named`."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


@fact
class ResponseFormat:
    """Structured output. `schema` is set exactly for kind `json_schema`."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: JsonObject | None = None
    name: str | None = None
    is_strict: bool | None = None


@fact
class ReasoningSettings:
    """How much the model may think: an effort word or a token budget; both None means that thinking is switched off."""

    effort: str | None = None
    budget_tokens: int | None = None


@fact
class ChatRequest:
    """One request for a reply."""

    model: str
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    is_parallel_tools: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: ReasoningSettings | None = None
    is_stream: bool = False
    wants_stream_usage: bool = True
    """What the client asked for; upstream usage is always asked for."""
    answers: int = 1
    """How many answers are asked for, each of up to `max_tokens`. Several are asked of a vendor of the same dialect only."""
    user: str | None = None
    """The vendor's end-user marker."""
    dialect: str | None = None
    """The dialect this was parsed from; `extra` is rendered only by the same one."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@fact
class ChatReply:
    """One complete reply."""

    model: str
    parts: tuple[Part, ...]
    finish_reason: FinishReason
    usage: Usage | None
    """None: the vendor sent no usage. Zero is a `Usage()`."""
    id: str | None = None
    native_finish_reason: str | None = None
    """The vendor's own word for it."""
    stop_sequence: str | None = None
    dialect: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    raw: bytes | None = field(default=None, compare=False, repr=False)
    """The vendor's own bytes, for a client that speaks this vendor's language."""
    once: "OnceReply | None" = None
    """The answer to what was no chat: vectors, or a count. It then has no parts."""
    untold: Side | None = None
    """The side of the usage that the vendor left out: it is zero there, and unknown."""
    is_unread: bool = False
    """True: the vendor said something of which nobody here can read a part, so that there are no parts."""
    others: tuple[Part, ...] = ()
    """What the further answers of a vendor say that was asked for several. Only `raw` shows them."""

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join([part.text for part in self.parts if type(part) is Text])


@fact
class Started:
    """The vendor has begun to answer."""

    id: str | None
    model: str | None


@fact
class TextDelta:
    """More text of part `index`."""

    text: str
    index: int = 0


@fact
class RefusalDelta(TextDelta):
    """More of the words by which the model refuses: text as well, for vendors who do not tell them apart."""


@fact
class ImageMade:
    """An image that is part `index`, whole: no vendor sends one in pieces."""

    image: Image
    index: int = 0


@fact
class ReasoningDelta:
    """More thinking of part `index`; a signature closes it."""

    text: str
    index: int = 0
    signature: str | None = None
    is_redacted: bool = False


@fact
class ToolCallDelta:
    """More of a tool call. `id` and `name` come with the first fragment of each call; without a name nobody can read it."""

    index: int
    """Which tool call, counted from 0 in this reply."""
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    signature: str | None = None


@fact
class UsageSeen:
    """Usage so far; cumulative, the last one counts."""

    usage: Usage
    untold: Side | None = None
    """The side that the vendor has left out so far: it is zero, or what it was before, and unknown."""


@fact
class Finished:
    """The vendor says that the answer is complete and why. Usage may still follow."""

    finish_reason: FinishReason
    native_finish_reason: str | None = None
    stop_sequence: str | None = None


@fact
class VendorError:
    """An error in a vendor's own words, before or in the middle of an answer."""

    status: int
    """HTTP status; for an error inside a stream, the status that fits its kind."""
    kind: str
    """The vendor's type or status word, such as `rate_limit_error` or `RESOURCE_EXHAUSTED`."""
    message: str
    retry_after_seconds: float | None = None
    code: str | None = None
    """The vendor's own word for this one mistake, such as `context_length_exceeded`, where it has one beside the type."""
    param: str | None = None
    """The member of the request that it names, in its own language."""


@fact
class Passed:
    """Bytes of an event stream that go to the client as they are, on a door that speaks the vendor's own language."""

    data: bytes


StreamEvent: TypeAlias = (
    Started | TextDelta | ImageMade | ReasoningDelta | ToolCallDelta | UsageSeen | Finished | VendorError
)
