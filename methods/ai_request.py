"""From the wire's parameters to the one canonical request. Pure but for the prompt registry; no provider, no money."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import orjson

from methods.ai_messages import (
    AssistantMessage,
    ImagePart,
    ImageUrlPart,
    MessageShape,
    ReasoningPart,
    ReasoningShape,
    ResponseFormatShape,
    SystemMessage,
    TextPart,
    ToolMessage,
    ToolShape,
)
from methods.ai_params import MAX_TOKENS_DEFAULT, ExecuteParams, Options
from methods.dialects.canonical import (
    ChatRequest,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningSettings,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from methods.prompts import FilledPrompt, PromptRegistry
from monetization.counting import tokens_likely
from monetization.estimate import IMAGE_TOKENS_LIKELY, request_tokens_max
from monetization.terms import Route
from storage.records.fact import fact

_NO_PROMPT: Final = FilledPrompt("")


Resolve = Callable[[str | None, str | None], Route]
"""From a provider's and a model's name, if any, to who may serve the call."""


@fact
class Draft:
    """What a call asks for, and who may serve it."""

    request: ChatRequest
    """Its model is the first target's."""
    route: Route
    is_output_asked: bool
    """Whether the caller itself named `maxTokens`."""


def draft_of(params: ExecuteParams, prompts: PromptRegistry, resolve: Resolve) -> Draft:
    """What these parameters mean now. Raises: NotFound, InvalidParams, UnknownModel, UnknownProvider."""
    options = params.options
    prompt = _NO_PROMPT if params.prompt_id is None else prompts.fill(params.prompt_id, params.prompt_context or {})
    route = resolve(options.provider or params.provider or prompt.provider, options.model or prompt.model)
    if params.own_key is not None:  # a key of one vendor never reaches another
        route = route.of_provider(route.equals[0].provider) or route
    system, messages = _conversation(params, prompt)
    request = ChatRequest(
        model=route.equals[0].model,
        messages=messages,
        system=system,
        max_tokens=options.max_tokens or prompt.max_tokens or MAX_TOKENS_DEFAULT,
        temperature=prompt.temperature if options.temperature is None else options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        stop=_stop(options),
        tools=tuple([_tool(tool) for tool in options.tools]) if options.tools else (),
        tool_choice=_tool_choice(options),
        is_parallel_tools=options.parallel_tool_calls,
        response_format=_response_format(options.response_format),
        reasoning=_reasoning(options.reasoning),
        is_stream=params.stream or options.stream,
    )
    return Draft(request, route, is_output_asked=options.max_tokens is not None)


def images_in(request: ChatRequest) -> int:
    """How many images go in."""
    return sum([1 for part in _parts(request) if type(part) is Image])


def images_detailed_in(request: ChatRequest) -> int:
    """How many of them are not asked to be looked at in low detail."""
    return sum([1 for part in _parts(request) if type(part) is Image and part.extra.get("detail") != "low"])


def image_bytes_in(request: ChatRequest) -> int:
    """The size of the images that stand in the request itself."""
    return sum([len(part.data) for part in _parts(request) if type(part) is Image and part.data is not None])


def tokens_input_max(request: ChatRequest, *, images: int) -> int:
    """The most tokens that the request can be; see `monetization.estimate` for the rule."""
    return request_tokens_max(
        _texts(request), messages=len(request.messages) + 1, tools=len(request.tools), images=images
    )


def tokens_input_likely(request: ChatRequest) -> int:
    """The tokens that the request most likely was, for a vendor who never said. Slow: call it in a thread."""
    return sum(map(tokens_likely, _texts(request))) + images_in(request) * IMAGE_TOKENS_LIKELY


def _conversation(params: ExecuteParams, prompt: FilledPrompt) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The system prompt and the turns: earlier messages first, `content` last; a prompt alone is the only turn."""
    instructions = prompt.text or params.system_prompt
    system = [Text(instructions)] if instructions else []
    turns: list[Message] = []
    called: dict[str, str] = {}
    for message in params.messages or ():
        if isinstance(message, SystemMessage):
            system.extend(_text_content(message.content))
        else:
            turns.append(_message(message, called))
    if params.content is not None:
        turns.append(Message("user", _seen_content(params.content)))
    if not turns:
        return (), (Message("user", tuple(system)),)
    return tuple(system), tuple(turns)


def _message(message: MessageShape, called: dict[str, str]) -> Message:
    """One turn. `called`: the id of every call so far → its tool, to which this turn adds."""
    if isinstance(message, AssistantMessage):
        calls = message.tool_calls or ()
        called.update({call.id: call.function.name for call in reversed(calls)})
        parts = _answer_content(message.content)
        parts += [ToolCall(call.id, call.function.name, call.function.arguments, call.signature) for call in calls]
        return Message("assistant", tuple(parts))
    if isinstance(message, ToolMessage):
        result = ToolResult(
            tool_call_id=message.tool_call_id,
            content=_seen_content(message.content),
            name=message.name or called.get(message.tool_call_id),
            is_error=message.is_error,
        )
        return Message("tool", (result,))
    return Message("user", _seen_content(message.content))


def _text_content(content: str | list[TextPart]) -> list[Text]:
    return [Text(content)] if isinstance(content, str) else [Text(part.text) for part in content]


def _seen_content(content: str | Sequence[TextPart | ImageUrlPart | ImagePart]) -> tuple[Text | Image, ...]:
    return (Text(content),) if isinstance(content, str) else tuple([_seen(part) for part in content])


def _answer_content(content: str | list[TextPart | ReasoningPart] | None) -> list[Part]:
    if not content:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [
        Reasoning(part.text, part.signature, part.redacted) if isinstance(part, ReasoningPart) else Text(part.text)
        for part in content
    ]


def _seen(part: TextPart | ImageUrlPart | ImagePart) -> Text | Image:
    match part:
        case TextPart():
            return Text(part.text)
        case ImagePart():
            return Image(media_type=part.media_type, data=part.data)
        case ImageUrlPart():
            url = part.image_url.url
            if not url.startswith("data:"):
                return Image(url=url)
            kind, _, data = url.removeprefix("data:").partition(";base64,")
            return Image(media_type=kind, data=data)


def _stop(options: Options) -> tuple[str, ...]:
    if options.stop is None:
        return ()
    return (options.stop,) if isinstance(options.stop, str) else tuple(options.stop)


def _tool(tool: ToolShape) -> Tool:
    function = tool.function
    return Tool(function.name, function.description, function.parameters)


def _tool_choice(options: Options) -> ToolChoice | None:
    choice = options.tool_choice
    if choice is None:
        return None
    return ToolChoice(choice) if isinstance(choice, str) else ToolChoice("named", choice.function.name)


def _response_format(shape: ResponseFormatShape | None) -> ResponseFormat | None:
    if shape is None:
        return None
    if shape.json_schema is None:
        return ResponseFormat(shape.type)
    schema = shape.json_schema
    return ResponseFormat(shape.type, schema.schema_, schema.name, schema.strict)


def _reasoning(shape: ReasoningShape | None) -> ReasoningSettings | None:
    if shape is None:
        return None
    return ReasoningSettings(None if shape.effort == "none" else shape.effort, shape.budget_tokens)


def _parts(request: ChatRequest) -> Iterator[Part]:
    for message in request.messages:
        for part in message.parts:
            yield part
            if type(part) is ToolResult:
                yield from part.content


def _texts(request: ChatRequest) -> Iterator[str]:
    """Everything that is written in a request: what a tokenizer will see of it."""
    for text in request.system:
        yield text.text
    for part in _parts(request):
        match part:
            case Text():
                yield part.text
            case Reasoning():
                yield part.text + (part.signature or "")
            case ToolCall():
                yield part.name + part.arguments + (part.signature or "")
            case ToolResult() | Image():
                pass
    for tool in request.tools:
        yield tool.name + (tool.description or "") + orjson.dumps(tool.parameters).decode()
    if request.response_format is not None and request.response_format.schema is not None:
        yield orjson.dumps(request.response_format.schema).decode()
