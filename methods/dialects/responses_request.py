"""Requests for OpenAI's Responses, both ways. Items are `responses_items`' matter, replies `responses_reply`'s.

What the canonical form cannot say stays in `ChatRequest.extra`, verbatim, and is rendered by this dialect only; `responses_extra`
knows what that means for other dialects.
"""

from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatRequest,
    Json,
    JsonObject,
    ReasoningSettings,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from methods.dialects.openai_request import render_effort
from methods.dialects.responses_items import DIALECT, parse_input, render_input
from methods.dialects.shared import (
    count_at,
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

_READ: Final = frozenset(
    {
        "input",
        "instructions",
        "max_output_tokens",
        "model",
        "parallel_tool_calls",
        "reasoning",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    }
)
_PARAGRAPH: Final = "\n\n"


def parse_request(body: JsonObject, *, model: str | None = None, is_stream: bool | None = None) -> ChatRequest:
    """A client's request. A null member is an absent one. Raises: Untranslatable, naming the field that is malformed."""
    system, messages = parse_input(body.get("input"))
    if not system and not messages:
        raise Untranslatable("input", "must hold at least one item")
    instructions = optional_at(body, "instructions", text_at)
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    return ChatRequest(
        model=model or name_at(body.get("model"), "model"),
        messages=messages,
        system=((Text(instructions),) if instructions else ()) + system,
        max_tokens=optional_at(body, "max_output_tokens", _at_least_one),
        temperature=optional_at(body, "temperature", number_at),
        top_p=optional_at(body, "top_p", number_at),
        tools=_parse_tools(body.get("tools")),
        tool_choice=_parse_tool_choice(body.get("tool_choice"), extra),
        is_parallel_tools=optional_at(body, "parallel_tool_calls", flag_at),
        response_format=_parse_text(body.get("text"), extra),
        reasoning=_parse_reasoning(body.get("reasoning"), extra),
        is_stream=is_stream if is_stream is not None else bool(optional_at(body, "stream", flag_at)),
        user=optional_at(body, "user", text_at),
        dialect=DIALECT,
        extra=extra,
    )


def _at_least_one(value: Json, field: str) -> int:
    return count_at(value, field, least=1)


def _parse_tools(value: Json) -> tuple[Tool, ...]:
    items = [] if value is None else list_at(value, "tools")
    return tuple(_parse_tool(object_at(item, f"tools[{place}]"), f"tools[{place}]") for place, item in enumerate(items))


def _parse_tool(tool: JsonObject, field: str) -> Tool:
    """A function; a tool of another kind keeps its whole JSON in `extra`, where `type` tells it apart."""
    kind = name_at(tool.get("type"), f"{field}.type")
    if kind != "function":
        name = tool.get("name")
        return Tool(name if isinstance(name, str) and name else kind, description=None, parameters={}, extra=tool)
    description, parameters = tool.get("description"), tool.get("parameters")
    return Tool(
        name=name_at(tool.get("name"), f"{field}.name"),
        description=None if description is None else text_at(description, f"{field}.description"),
        parameters={} if parameters is None else object_at(parameters, f"{field}.parameters"),
        is_strict=strictness_of(tool),
        extra={
            name: value
            for name, value in tool.items()
            if name not in ("type", "name", "description", "parameters") and value is not None
        },
    )


def _parse_tool_choice(value: Json, extra: dict[str, Json]) -> ToolChoice | None:
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case {"type": "function", "name": str(name)} if name:
            return ToolChoice("named", name)
        case {"type": str(kind)} if kind != "function":
            extra["tool_choice"] = value
            return None
        case _:
            raise Untranslatable("tool_choice", "must be auto, none, required or an object that names a function")


def _parse_text(value: Json, extra: dict[str, Json]) -> ResponseFormat | None:
    """Structured output. What stands there besides keeps the whole member in `extra` as well."""
    if value is None:
        return None
    member = object_at(value, "text")
    wanted = _parse_format(member.get("format"))
    if wanted is None or {"format": _render_format(wanted)} != value:
        extra["text"] = value
    return wanted


def _parse_format(value: Json) -> ResponseFormat | None:
    if value is None:
        return None
    wanted = object_at(value, "text.format")
    match name_at(wanted.get("type"), "text.format.type"):
        case "text":
            return ResponseFormat("text")
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            strict = wanted.get("strict")
            return ResponseFormat(
                "json_schema",
                schema=object_at(wanted.get("schema"), "text.format.schema"),
                name=name_at(wanted.get("name"), "text.format.name"),
                is_strict=None if strict is None else flag_at(strict, "text.format.strict"),
            )
        case _:
            return None


def _parse_reasoning(value: Json, extra: dict[str, Json]) -> ReasoningSettings | None:
    """How much it may think; what stands there besides keeps the whole member in `extra` as well."""
    if value is None:
        return None
    member = object_at(value, "reasoning")
    effort = optional_at(member, "effort", name_at)
    if member != {"effort": effort}:
        extra["reasoning"] = value
    if effort is None:
        return None
    return ReasoningSettings() if effort == "none" else ReasoningSettings(effort=effort)


def render_request(request: ChatRequest) -> JsonObject:
    """The body to send upstream. Raises: Untranslatable."""
    is_own = request.dialect == DIALECT
    _refuse_unknown(request)
    body: JsonObject = {"model": request.model}
    instructions = _render_instructions(request.system, is_own=is_own)
    if instructions:
        body["instructions"] = instructions
    body["input"] = render_input(request.system, request.messages, is_own=is_own)
    body.update(_render_settings(request, is_own=is_own))
    if request.tools:
        body["tools"] = [_render_tool(tool, is_own=is_own) for tool in request.tools]
    if request.tool_choice:
        body["tool_choice"] = _render_tool_choice(request.tool_choice)
    if request.response_format:
        body["text"] = {"format": _render_format(request.response_format)}
    if is_own:
        body.update(request.extra)
    else:
        # The vendor keeps answers unless it is told not to, and no other dialect asked for that.
        body["store"] = False
    if request.is_stream:
        body["stream"] = True
    return body


def _refuse_unknown(request: ChatRequest) -> None:
    """Settings of other vendors that this one has no word for."""
    if request.top_k is not None:
        raise Untranslatable("top_k", "this vendor has no such setting")
    if request.stop:
        raise Untranslatable("stop", "this vendor's Responses know no stop texts")


def _render_instructions(system: tuple[Text, ...], *, is_own: bool) -> str:
    """One text: all that did not come as an item of the input."""
    return _PARAGRAPH.join([text.text for text in system if text.text and not (is_own and "item" in text.extra)])


def _render_settings(request: ChatRequest, *, is_own: bool) -> JsonObject:
    """The plain members, those that nobody set left out."""
    effort = render_effort(request.reasoning, is_own=is_own)
    settings: JsonObject = {
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "parallel_tool_calls": request.is_parallel_tools if is_own or request.tools else None,
        "user": request.user,
        "reasoning": None if effort is None else {"effort": effort},
    }
    return {name: value for name, value in settings.items() if value is not None}


def _render_tool(tool: Tool, *, is_own: bool) -> Json:
    if is_own and "type" in tool.extra:
        return dict(tool.extra)
    function: JsonObject = {"type": "function", "name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if is_own:
        return {**function, "parameters": tool.parameters or None, **tool.extra}
    # The vendor makes schemas strict unless it is told not to, and other vendors' schemas seldom are.
    is_strict = bool(tool.is_strict) and is_closed(tool.parameters)
    return {**function, "parameters": tool.parameters or {"type": "object", "properties": {}}, "strict": is_strict}


def _render_tool_choice(choice: ToolChoice) -> Json:
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def _render_format(wanted: ResponseFormat) -> JsonObject:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    rendered: JsonObject = {"type": "json_schema", "name": wanted.name or "reply", "schema": wanted.schema or {}}
    if wanted.is_strict is not None:
        rendered["strict"] = wanted.is_strict
    return rendered


def render_echo(request: ChatRequest | None) -> JsonObject:
    """What the vendor's replies repeat of the request they answer; without one, the vendor's defaults.

    A request of another dialect is told in this one's words, as far as it has them; a reply is never refused for it.
    """
    if request is None:
        return {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    is_own = request.dialect == DIALECT
    extra = request.extra if is_own else {}
    wanted = request.response_format or ResponseFormat("text")
    effort = render_effort(request.reasoning, is_own=is_own)
    return {
        "instructions": _render_instructions(request.system, is_own=is_own) or None,
        "max_output_tokens": request.max_tokens,
        "metadata": extra.get("metadata", {}),
        "parallel_tool_calls": request.is_parallel_tools is not False,
        "previous_response_id": None,
        "reasoning": extra.get("reasoning", {"effort": effort, "summary": None}),
        "service_tier": "default",
        "store": False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": extra.get("text", {"format": _render_format(wanted)}),
        "tool_choice": extra.get("tool_choice", _render_tool_choice(request.tool_choice or ToolChoice("auto"))),
        "tools": [_echoed(tool, is_own=is_own) for tool in request.tools],
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": "disabled",
        "user": request.user,
    }


def _echoed(tool: Tool, *, is_own: bool) -> Json:
    """A tool as the vendor repeats it: whether it is strict is always said."""
    rendered = _render_tool(tool, is_own=is_own)
    return {"strict": True, **rendered} if isinstance(rendered, dict) and rendered["type"] == "function" else rendered
