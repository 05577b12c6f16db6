"""Requests for OpenAI chat completions, both ways. Messages are `openai_messages`' matter, replies `openai_reply`'s.

What the canonical form cannot say stays in `ChatRequest.extra`, verbatim, and is rendered by this dialect only; `openai_extra`
knows what that means for other vendors. `max_tokens` in `extra` means that the client used that name; the number that counts is
`ChatRequest.max_tokens`.
"""

from typing import Final, Literal, TypeAlias

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatRequest,
    Json,
    JsonObject,
    ReasoningSettings,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from methods.dialects.openai_messages import (
    DIALECT,
    parse_messages,
    render_messages,
)
from methods.dialects.shared import (
    answers_at,
    count_at,
    effort_of,
    flag_at,
    is_closed,
    list_at,
    name_at,
    number_at,
    object_at,
    optional_at,
    strictness_of,
    text_at,
)

MaxTokensField: TypeAlias = Literal["max_completion_tokens", "max_tokens"]

_ANSWERS_MAX: Final = 128
"""The vendor's own bound of `n` (API reference of chat completions)."""

_READ: Final = frozenset(
    {
        "messages",
        "model",
        "max_completion_tokens",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user",
    }
)


def parse_request(body: JsonObject, *, model: str | None = None, is_stream: bool | None = None) -> ChatRequest:
    """A client's request. A null member is an absent one. Raises: Untranslatable, naming the field that is malformed."""
    system, messages = parse_messages(body.get("messages"))
    if not system and not messages:
        raise Untranslatable("messages", "must hold at least one message")
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    streams = is_stream if is_stream is not None else bool(optional_at(body, "stream", flag_at))
    return ChatRequest(
        model=model or name_at(body.get("model"), "model"),
        messages=messages,
        system=system,
        max_tokens=_parse_max_tokens(body),
        answers=answers_at(extra.get("n"), "n", most=_ANSWERS_MAX),
        temperature=optional_at(body, "temperature", number_at),
        top_p=optional_at(body, "top_p", number_at),
        top_k=optional_at(body, "top_k", count_at),
        stop=_parse_stop(body.get("stop")),
        tools=_parse_tools(body.get("tools")),
        tool_choice=_parse_tool_choice(body.get("tool_choice"), extra),
        is_parallel_tools=optional_at(body, "parallel_tool_calls", flag_at),
        response_format=_parse_format(body.get("response_format"), extra),
        reasoning=_parse_reasoning(body.get("reasoning_effort")),
        is_stream=streams,
        wants_stream_usage=_parse_stream_options(body.get("stream_options"), extra) or not streams,
        user=optional_at(body, "user", text_at),
        dialect=DIALECT,
        extra=extra,
    )


def _parse_max_tokens(body: JsonObject) -> int | None:
    newer, older = body.get("max_completion_tokens"), body.get("max_tokens")
    if newer is not None and older is not None and newer != older:
        raise Untranslatable("max_tokens", "contradicts max_completion_tokens; give only one of them")
    if newer is not None:
        return count_at(newer, "max_completion_tokens", least=1)
    return None if older is None else count_at(older, "max_tokens", least=1)


def _parse_stop(value: Json) -> tuple[str, ...]:
    if value is None or isinstance(value, str):
        return (value,) if value else ()
    return tuple(text_at(item, f"stop[{place}]") for place, item in enumerate(list_at(value, "stop")))


def _parse_tools(value: Json) -> tuple[Tool, ...]:
    items = [] if value is None else list_at(value, "tools")
    return tuple(_parse_tool(object_at(item, f"tools[{place}]"), f"tools[{place}]") for place, item in enumerate(items))


def _parse_tool(tool: JsonObject, field: str) -> Tool:
    """A function; a tool of another kind keeps its whole JSON in `extra`, where `type` tells it apart."""
    kind = name_at(tool.get("type", "function"), f"{field}.type")
    if kind != "function":
        return Tool(name=kind, description=None, parameters={}, extra=tool)
    function = object_at(tool.get("function"), f"{field}.function")
    description, parameters = function.get("description"), function.get("parameters")
    return Tool(
        name=name_at(function.get("name"), f"{field}.function.name"),
        description=None if description is None else text_at(description, f"{field}.function.description"),
        parameters={} if parameters is None else object_at(parameters, f"{field}.function.parameters"),
        is_strict=strictness_of(function),
        extra={
            name: value
            for name, value in function.items()
            if name not in ("name", "description", "parameters") and value is not None
        },
    )


def _parse_tool_choice(value: Json, extra: dict[str, Json]) -> ToolChoice | None:
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case {"type": "function", "function": {"name": str(name)}} if name:
            return ToolChoice("named", name)
        case {"type": str(kind)} if kind != "function":
            extra["tool_choice"] = value
            return None
        case _:
            raise Untranslatable("tool_choice", "must be auto, none, required or an object that names a function")


def _parse_format(value: Json, extra: dict[str, Json]) -> ResponseFormat | None:
    """Structured output. What goes beyond name, schema and strictness keeps the whole member in `extra` as well."""
    if value is None:
        return None
    member = object_at(value, "response_format")
    kind = name_at(member.get("type"), "response_format.type")
    if kind == "text":
        return ResponseFormat("text")
    if kind == "json_object":
        return ResponseFormat("json_object")
    if kind != "json_schema":
        extra["response_format"] = value
        return None
    inner = object_at(member.get("json_schema"), "response_format.json_schema")
    if not inner.keys() <= {"name", "schema", "strict"}:
        extra["response_format"] = value
    strict = inner.get("strict")
    return ResponseFormat(
        "json_schema",
        schema=object_at(inner.get("schema", {}), "response_format.json_schema.schema"),
        name=name_at(inner.get("name"), "response_format.json_schema.name"),
        is_strict=None if strict is None else flag_at(strict, "response_format.json_schema.strict"),
    )


def _parse_reasoning(value: Json) -> ReasoningSettings | None:
    if value is None:
        return None
    effort = name_at(value, "reasoning_effort")
    return ReasoningSettings() if effort == "none" else ReasoningSettings(effort=effort)


def _parse_stream_options(value: Json, extra: dict[str, Json]) -> bool:
    """Whether the client asked for usage in its stream. The vendor's default is no."""
    if value is None:
        return False
    options = dict(object_at(value, "stream_options"))
    wants_usage = options.pop("include_usage", None)
    if options:
        extra["stream_options"] = options
    return False if wants_usage is None else flag_at(wants_usage, "stream_options.include_usage")


def render_request(
    request: ChatRequest,
    *,
    max_tokens_field: MaxTokensField,
    asks_stream_usage: bool,
    sends_reasoning: bool,
    sends_top_k: bool,
) -> JsonObject:
    """The body to send upstream. Raises: Untranslatable."""
    is_own = request.dialect == DIALECT
    body: JsonObject = {"model": request.model}
    body["messages"] = render_messages(
        request.system, request.messages, is_own=is_own, sends_reasoning=is_own or sends_reasoning
    )
    body.update(_render_settings(request, is_own=is_own, max_tokens_field=max_tokens_field, sends_top_k=sends_top_k))
    if request.stop:
        body["stop"] = list(request.stop)
    if request.tools:
        body["tools"] = [_render_tool(tool, is_own=is_own) for tool in request.tools]
    if request.tool_choice:
        body["tool_choice"] = _render_tool_choice(request.tool_choice)
    if request.response_format:
        body["response_format"] = _render_format(request.response_format)
    if is_own:
        body.update(
            {name: value for name, value in request.extra.items() if name not in ("max_tokens", "stream_options")}
        )
    if request.is_stream:
        body["stream"] = True
        _render_stream_options(body, request, asks_usage=asks_stream_usage, is_own=is_own)
    return body


def _render_settings(
    request: ChatRequest, *, is_own: bool, max_tokens_field: MaxTokensField, sends_top_k: bool
) -> JsonObject:
    """The plain members, those that nobody set left out."""
    if request.top_k is not None and not (is_own or sends_top_k):
        raise Untranslatable("top_k", "this vendor has no such setting")
    settings: JsonObject = {
        "max_tokens" if is_own and "max_tokens" in request.extra else max_tokens_field: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "parallel_tool_calls": request.is_parallel_tools if request.tools else None,
        "user": request.user,
        "reasoning_effort": render_effort(request.reasoning, is_own=is_own),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _render_stream_options(body: JsonObject, request: ChatRequest, *, asks_usage: bool, is_own: bool) -> None:
    given = request.extra.get("stream_options") if is_own else None
    options: JsonObject = dict(given) if isinstance(given, dict) else {}
    if asks_usage:
        options["include_usage"] = True
    if options:
        body["stream_options"] = options


def render_effort(reasoning: ReasoningSettings | None, *, is_own: bool) -> str | None:
    """Other vendors' clients switch thinking off by habit, and most models refuse `none`, so only this dialect's own say it."""
    if reasoning is None:
        return None
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget_tokens is not None:
        return effort_of(reasoning.budget_tokens)
    return "none" if is_own else None


def _render_tool(tool: Tool, *, is_own: bool) -> Json:
    if is_own and "type" in tool.extra:
        return dict(tool.extra)
    function: JsonObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = tool.parameters
    if is_own:
        function.update(tool.extra)
    elif tool.is_strict is False or (tool.is_strict and is_closed(tool.parameters)):
        function["strict"] = tool.is_strict
    return {"type": "function", "function": function}


def _render_tool_choice(choice: ToolChoice) -> Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _render_format(wanted: ResponseFormat) -> Json:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    inner: JsonObject = {"name": wanted.name or "reply", "schema": wanted.schema or {}}
    if wanted.is_strict is not None:
        inner["strict"] = wanted.is_strict
    return {"type": "json_schema", "json_schema": inner}
