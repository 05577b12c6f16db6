"""The wire shapes of a conversation: messages, parts, tools. OpenAI's chat shapes, which clients know; checks and no translation.

Members are spelled as OpenAI spells them (`tool_calls`, `image_url`); camelCase spellings of the same are taken as well.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

TOOL_NAME: Final = r"^[A-Za-z0-9_.:-]{1,64}$"
IMAGE_URL: Final = r"^(https?://|data:image/[a-z0-9.+-]+;base64,)"


class Shape(BaseModel):
    """A part of the parameters: strict about names and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def either(name: str, camel: str) -> AliasChoices:
    """A member under OpenAI's spelling, and under the one of our other members."""
    return AliasChoices(name, camel)


class TextPart(Shape):
    """Plain text."""

    type: Literal["text"]
    text: str


class ImageUrl(Shape):
    """Where an image is."""

    url: str = Field(pattern=IMAGE_URL, description="https URL that the provider fetches, or a data: URL with base64.")


class ImageUrlPart(Shape):
    """An image in OpenAI's shape."""

    type: Literal["image_url"]
    image_url: ImageUrl = Field(validation_alias=either("image_url", "imageUrl"))


class ImagePart(Shape):
    """An image as base64 with its media type."""

    type: Literal["image"]
    media_type: str = Field(
        validation_alias=AliasChoices("mediaType", "media_type"),
        pattern=r"^image/[a-z0-9.+-]+$",
        examples=["image/png"],
    )
    data: str = Field(min_length=1, description="The image, base64.")


class ReasoningPart(Shape):
    """Thinking of an earlier answer, given back unchanged; some providers need it to go on after a tool call."""

    type: Literal["reasoning"]
    text: str = ""
    signature: str | None = None
    redacted: bool = False


def form_of(value: object) -> str:
    """Whether a text-or-parts member is meant as text or as parts."""
    return "text" if isinstance(value, str) else "parts"


# One branch is chosen before it is checked, so a problem is told once and for the form that was meant.
UserContent = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[
        list[Annotated[TextPart | ImageUrlPart | ImagePart, Field(discriminator="type")]],
        Field(min_length=1, max_length=256),
        Tag("parts"),
    ],
    Discriminator(form_of),
]
TextContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextPart], Field(min_length=1, max_length=256), Tag("parts")],
    Discriminator(form_of),
]
AssistantContent = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[
        list[Annotated[TextPart | ReasoningPart, Field(discriminator="type")]], Field(max_length=256), Tag("parts")
    ],
    Discriminator(form_of),
]


class FunctionCall(Shape):
    """Which tool the model asks for, and with what."""

    name: str = Field(pattern=TOOL_NAME)
    arguments: str = Field(description="JSON text, exactly as the model wrote it.")


class ToolCallShape(Shape):
    """A tool call of an earlier answer: an element of the result's `toolCalls`, given back unchanged."""

    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] = "function"
    function: FunctionCall
    signature: str | None = Field(None, description="The provider's seal on this call, where the result carried one.")


class SystemMessage(Shape):
    """Instructions. Wherever it stands, it is sent as part of the system prompt, after `systemPrompt`."""

    role: Literal["system", "developer"]
    content: TextContent


class UserMessage(Shape):
    """What the person says."""

    role: Literal["user"]
    content: UserContent


class AssistantMessage(Shape):
    """An earlier answer of the model."""

    role: Literal["assistant"]
    content: AssistantContent | None = None
    tool_calls: list[ToolCallShape] | None = Field(
        None, validation_alias=either("tool_calls", "toolCalls"), max_length=128
    )


class ToolMessage(Shape):
    """The answer of a tool."""

    role: Literal["tool"]
    tool_call_id: str = Field(validation_alias=either("tool_call_id", "toolCallId"), min_length=1, max_length=256)
    content: UserContent
    name: str | None = Field(None, pattern=TOOL_NAME, description="The tool's name; found by the id when absent.")
    is_error: bool = Field(default=False, validation_alias=either("is_error", "isError"))


MessageShape = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class FunctionShape(Shape):
    """A function that the model may ask for."""

    name: str = Field(pattern=TOOL_NAME)
    description: str | None = None
    parameters: dict[str, Any] = Field(  # JSON Schema, which is the caller's own and goes on as it came
        default_factory=lambda: {"type": "object", "properties": {}}, description="JSON Schema of the arguments."
    )


class ToolShape(Shape):
    """A tool."""

    type: Literal["function"] = "function"
    function: FunctionShape


class FunctionName(Shape):
    """A function by its name."""

    name: str = Field(pattern=TOOL_NAME)


class NamedToolChoice(Shape):
    """This tool and no other."""

    type: Literal["function"]
    function: FunctionName


class JsonSchemaShape(Shape):
    """The schema that the answer must follow."""

    name: str = Field("answer", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    schema_: dict[str, Any] = Field(alias="schema")  # JSON Schema, as above
    strict: bool | None = None


class ResponseFormatShape(Shape):
    """Structured output."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaShape | None = Field(
        None,
        validation_alias=either("json_schema", "jsonSchema"),
        description="Needed exactly for the type json_schema.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "ResponseFormatShape":
        if (self.json_schema is not None) != (self.type == "json_schema"):
            raise PydanticCustomError("response_format", "json_schema is given exactly for the type json_schema")
        return self


class ReasoningShape(Shape):
    """How much the model may think: one of the two."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="'none' switches thinking off."
    )
    budget_tokens: int | None = Field(
        None, validation_alias=AliasChoices("budgetTokens", "budget_tokens"), ge=1, le=1_000_000
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "ReasoningShape":
        if (self.effort is None) == (self.budget_tokens is None):
            raise PydanticCustomError("reasoning", "give one of effort and budgetTokens")
        return self
