"""The parameters of `executeAIRequest`, exactly as the documents show them, and what they mean together. No provider here."""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from methods.ai_messages import (
    MessageShape,
    NamedToolChoice,
    ReasoningShape,
    ResponseFormatShape,
    Shape,
    ToolShape,
    UserContent,
    form_of,
)
from methods.method import Params
from methods.prompts import PROMPT_ID
from monetization.callers import Secret

MAX_TOKENS_DEFAULT: Final = 4096
"""Tokens out when neither the call nor its prompt says a number. The provider is told it, so it is also the most that is held."""
MAX_TOKENS_BOUND: Final = 1_000_000
KEY_CHARACTERS_MAX: Final = 4096
PARTS_MAX: Final = 16_384
"""Parts of all messages together: four times as many as messages, and still milliseconds to translate."""

Name = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[str, Field(max_length=256)] | bool | int | float | None


class Options(Shape):
    """How to answer. Everything is optional."""

    model_config = ConfigDict(alias_generator=to_camel)

    provider: Name | None = Field(None, description="A provider's name, as in `listProviders`.")
    model: Name | None = Field(None, description="A model's name, as in `listAllowedModels`.")
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=MAX_TOKENS_BOUND,
        description="The most tokens of the answer, thinking included. "
        f"Absent: {MAX_TOKENS_DEFAULT}, or less if the tier says so.",
    )
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1, le=1000)
    stop: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[list[str], Field(max_length=16), Tag("parts")],
            Discriminator(form_of),
        ]
        | None
    ) = None
    stream: bool = Field(default=False, description="Progress as it happens; same as `params.stream`.")
    tools: list[ToolShape] | None = Field(None, max_length=128)
    tool_choice: Literal["auto", "none", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormatShape | None = None
    reasoning: ReasoningShape | None = None
    api_key: SecretStr | None = Field(None, description="Same as `params.apiKey`.", max_length=KEY_CHARACTERS_MAX)

    @field_validator("api_key", mode="after")
    @classmethod
    def _is_key(cls, key: SecretStr | None) -> SecretStr | None:
        return checked_key(key)

    @model_validator(mode="after")
    def _fits_together(self) -> "Options":
        if self.tool_choice is None or self.tool_choice == "none":
            return self
        if not self.tools:
            raise _problem("toolChoice needs tools")
        if isinstance(self.tool_choice, NamedToolChoice):
            name = self.tool_choice.function.name
            if all(tool.function.name != name for tool in self.tools):
                raise _problem(f"toolChoice names {name!r}, which is not among the tools")
        return self


class ExecuteParams(Params):
    """The parameters; their order here is their order by position."""

    model_config = ConfigDict(strict=True, defer_build=False)  # the first call shall not be slower than the next

    content: UserContent | None = Field(
        None,
        description="What to answer: text, or parts with text and images. With `messages`, the last turn after them.",
    )
    system_prompt: str | None = Field(None, description="Instructions for the model. Excluded by `promptId`.")
    options: Options = Field(default_factory=Options)
    metadata: dict[Annotated[str, Field(min_length=1, max_length=64)], Label] | None = Field(
        None, max_length=16, description="Labels for the caller's own reports; never sent to a provider."
    )
    api_key: SecretStr | None = Field(
        None,
        max_length=KEY_CHARACTERS_MAX,
        description="The caller's own provider key: the call is served with it and costs nothing here. "
        "It is used for this call and neither kept nor logged.",
    )
    messages: list[MessageShape] | None = Field(
        None, min_length=1, max_length=4096, description="The conversation so far, in OpenAI's shape."
    )
    prompt_id: str | None = Field(
        None,
        pattern=PROMPT_ID,
        description="A prompt kept by the server, used as the system prompt; alone, it is the whole request.",
    )
    prompt_context: dict[str, Annotated[str, Field(max_length=65_536)]] | None = Field(
        None, max_length=64, description="Values for the prompt's placeholders."
    )
    stream: bool = Field(
        default=False, description="Progress as it happens, where the transport can carry it (SSE, WebSocket)."
    )
    provider: Name | None = Field(None, description="Same as `options.provider`, which wins.")
    user_id: Any = Field(None, description="Ignored: who pays comes from the credential alone.")  # so any JSON will do
    feature_id: Name | None = Field(
        None,
        description="Which of the application's features asks; reports can be split by it. It opens and costs nothing.",
    )

    @property
    def own_key(self) -> Secret | None:
        """The caller's own provider key, from either place; `params.apiKey` wins."""
        key = self.api_key or self.options.api_key
        return None if key is None else Secret(key.get_secret_value())

    @field_validator("api_key", mode="after")
    @classmethod
    def _is_key(cls, key: SecretStr | None) -> SecretStr | None:
        return checked_key(key)

    @model_validator(mode="after")
    def _fits_together(self) -> "ExecuteParams":
        messages = self.messages
        if self.content is None and messages is None and self.prompt_id is None:
            raise _problem("one of content, messages and promptId is required")
        if messages is not None and self.content is None and all(m.role in {"system", "developer"} for m in messages):
            raise _problem("messages hold only instructions; add a message of the role user, or content")
        if messages is not None and sum(len(m.content) for m in messages if isinstance(m.content, list)) > PARTS_MAX:
            raise _problem(f"messages hold more than {PARTS_MAX} parts; join texts that follow each other")
        if self.prompt_id is not None:
            if self.system_prompt is not None:
                raise _problem("promptId and systemPrompt exclude each other")
            if messages is not None and any(m.role in {"system", "developer"} for m in messages):
                raise _problem("promptId and messages of the role system exclude each other")
        elif self.prompt_context is not None:
            raise _problem("promptContext needs promptId")
        return self


def checked_key(key: SecretStr | None) -> SecretStr | None:
    """A provider key as it may stand in an HTTP header, or None. Raises a validation error that does not repeat it."""
    if key is None:
        return None
    value = key.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise PydanticCustomError("api_key", "an API key is one word of printable ASCII characters")
    return key


def _problem(text: str) -> PydanticCustomError:
    return PydanticCustomError("params", "{problem}", {"problem": text})
