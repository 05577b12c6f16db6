"""Requests for Anthropic messages, both ways. Turns and blocks are `anthropic_blocks`' matter, replies `anthropic_reply`'s.

What the canonical form cannot say stays in `ChatRequest.extra`, verbatim, and is rendered by this dialect only. Before a request
goes to another vendor, `untranslatable_fields` names what would be lost and matters.
"""

from typing import Final, Literal, TypeAlias

from methods.dialects.anthropic_blocks import (
    DIALECT,
    parse_message,
    parse_system,
    render_content,
    render_messages,
    untranslatable_blocks,
)
from methods.dialects.anthropic_output import Thinking, is_output_said, parse_output, render_output
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Json, JsonObject, Message, Text, Tool, ToolChoice
from methods.dialects.relays import RELAYED
from methods.dialects.shared import (
    asks_nothing,
    count_at,
    flag_at,
    list_at,
    name_at,
    number_at,
    object_at,
    optional_at,
    says_something,
    strictness_of,
    text_at,
    turns_of,
)

ApiVersion: TypeAlias = Literal["2023-06-01", "2026-10-21"]

HARMLESS_EXTRA: Final = frozenset(
    {
        "cache_control",  # what is cached changes the price, not the answer
        "diagnostics",
        "metadata",
        "service_tier",
        "speed",
        "system",  # the client's own writing of what `ChatRequest.system` says
        "thinking",  # how it shall think; how much stands in `ChatRequest.reasoning`
    }
)
"""Members that another vendor may leave out: they change neither what is answered nor its shape."""

UNTRANSLATABLE_EXTRA: Final = frozenset(
    {
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "tool_choice",
        "user_profile_id",
        "workspace_id",
    }
)
"""The vendor's known members that no other vendor may leave out. Unknown members count as these."""

PRICED_EXTRA: Final = frozenset(
    {
        "billing_policy",  # somebody else's money
        "compaction",  # the vendor's own request, which its usage does not count
        "container",
        "context_management",  # the same, where it compacts
        "inference_geo",
        "mcp_servers",
        "service_tier",
        "thread",  # a conversation that lies at the vendor and that nobody here can count
    }
    | RELAYED
)
"""Members that change what the vendor charges beyond tokens at their usual rate; a door refuses what it cannot price."""

SAMPLING: Final = ("temperature", "top_p", "top_k")
"""Members that version 2026-10-21 answers with 400, at any value (the vendor's migration page)."""

_READ: Final = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "tools",
        "tool_choice",
        "output_config",
        "thinking",
        "stream",
        "metadata",
    }
)
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


def parse_request(
    body: JsonObject, *, version: ApiVersion, model: str | None = None, is_stream: bool | None = None
) -> ChatRequest:
    """A client's request. `max_tokens` may be absent, as it is when tokens are only counted. Raises: Untranslatable."""
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    messages = tuple(
        parse_message(item, f"messages[{place}]")
        for place, item in enumerate(list_at(body.get("messages"), "messages"))
    )
    if not messages:
        raise Untranslatable("messages", "must hold at least one message")
    if version != "2023-06-01":
        _refuse_removed(body, messages, version)
    choice, is_parallel = _parse_tool_choice(body.get("tool_choice"), extra)
    response_format, reasoning = parse_output(body.get("output_config"), body.get("thinking"), extra)
    return ChatRequest(
        model=model or name_at(body.get("model"), "model"),
        messages=messages,
        system=_parse_system(body.get("system"), extra),
        max_tokens=optional_at(body, "max_tokens", count_at),
        temperature=optional_at(body, "temperature", number_at),
        top_p=optional_at(body, "top_p", number_at),
        top_k=optional_at(body, "top_k", count_at),
        stop=_parse_stop(body.get("stop_sequences")),
        tools=_parse_tools(body.get("tools")),
        tool_choice=choice,
        is_parallel_tools=is_parallel,
        response_format=response_format,
        reasoning=reasoning,
        is_stream=is_stream if is_stream is not None else bool(optional_at(body, "stream", flag_at)),
        user=_parse_user(body.get("metadata"), extra),
        dialect=DIALECT,
        extra=extra,
    )


def _refuse_removed(body: JsonObject, messages: tuple[Message, ...], version: str) -> None:
    """What newer versions answer with 400 (the vendor's migration page): refused here with the field's name."""
    for name in SAMPLING:
        if body.get(name) is not None:
            raise Untranslatable(name, f"was removed in API version {version}; leave it out")
    for place, message in enumerate(messages):
        content = message.extra.get("content")
        for number, block in enumerate(content if isinstance(content, list) else []):
            kind = block.get("type") if isinstance(block, dict) else None
            if kind == "document" and message.role == "assistant":
                raise Untranslatable(f"messages[{place}].content[{number}]", f"no documents here in version {version}")
        for number, part in enumerate(message.parts):
            if message.role == "user" and isinstance(part, Text) and "citations" in part.extra:
                raise Untranslatable(f"messages[{place}].content[{number}].citations", f"removed in version {version}")


def _parse_system(value: Json, extra: dict[str, Json]) -> tuple[Text, ...]:
    texts = parse_system(value)
    if value is not None and render_content(texts) != value:
        extra["system"] = value
    return texts


def _parse_stop(value: Json) -> tuple[str, ...]:
    items = [] if value is None else list_at(value, "stop_sequences")
    return tuple(text_at(item, f"stop_sequences[{place}]") for place, item in enumerate(items))


def _parse_user(value: Json, extra: dict[str, Json]) -> str | None:
    if value is None:
        return None
    metadata = object_at(value, "metadata")
    if not metadata.keys() <= {"user_id"}:
        extra["metadata"] = value
    return optional_at(metadata, "user_id", text_at)


def _parse_tools(value: Json) -> tuple[Tool, ...]:
    items = [] if value is None else list_at(value, "tools")
    return tuple(_parse_tool(object_at(item, f"tools[{place}]"), f"tools[{place}]") for place, item in enumerate(items))


def _parse_tool(tool: JsonObject, field: str) -> Tool:
    """A client's tool; the vendor's own tools keep their whole JSON in `extra`, where `type` tells them apart."""
    kind = tool.get("type")
    if kind not in (None, "custom"):
        kind = name_at(kind, f"{field}.type")
        name = tool.get("name")
        return Tool(name if isinstance(name, str) and name else kind, description=None, parameters={}, extra=tool)
    return Tool(
        name=name_at(tool.get("name"), f"{field}.name"),
        description=_described(tool.get("description"), f"{field}.description"),
        parameters=object_at(tool.get("input_schema"), f"{field}.input_schema"),
        is_strict=strictness_of(tool),
        extra={
            name: value
            for name, value in tool.items()
            if name not in ("type", "name", "description", "input_schema") and value is not None
        },
    )


def _described(value: Json, field: str) -> str | None:
    return None if value is None else text_at(value, field)


def _parse_tool_choice(value: Json, extra: dict[str, Json]) -> tuple[ToolChoice | None, bool | None]:
    if value is None:
        return None, None
    member = object_at(value, "tool_choice")
    single = member.get("disable_parallel_tool_use")
    is_parallel = None if single is None else not flag_at(single, "tool_choice.disable_parallel_tool_use")
    match name_at(member.get("type"), "tool_choice.type"):
        case "auto":
            return ToolChoice("auto"), is_parallel
        case "any":
            return ToolChoice("required"), is_parallel
        case "none":
            return ToolChoice("none"), is_parallel
        case "tool":
            return ToolChoice("named", name_at(member.get("name"), "tool_choice.name")), is_parallel
        case _:
            extra["tool_choice"] = value
            return None, is_parallel


def untranslatable_fields(request: ChatRequest) -> list[str]:
    """The fields of a request of this dialect that matter and that no other vendor can be told; none for other requests."""
    if request.dialect != DIALECT:
        return []
    fields = [
        name
        for name, value in request.extra.items()
        if not (name in HARMLESS_EXTRA or asks_nothing(value) or (name == "output_config" and is_output_said(value)))
    ]
    fields += [f"tools[{place}]" for place, tool in enumerate(request.tools) if "type" in tool.extra]
    for place, message in enumerate(request.messages):
        fields += untranslatable_blocks(message, f"messages[{place}]")
    return fields


def render_request(
    request: ChatRequest, *, version: ApiVersion, thinking: Thinking | None, max_tokens_default: int
) -> JsonObject:
    """The body to send upstream. Raises: Untranslatable."""
    is_own = request.dialect == DIALECT
    extra = dict(request.extra) if is_own else {}
    body: JsonObject = {"model": request.model}
    body.update(
        render_output(
            request,
            is_own=is_own,
            is_verbatim="thinking" in extra,
            thinking=thinking,
            max_tokens_default=max_tokens_default,
        )
    )
    turns = render_messages(request.messages, is_own=is_own)
    body["messages"] = turns if is_own else turns_of(turns)
    if not is_own and _lacks_thinking(body):
        body["thinking"] = {"type": "disabled"}  # a budget is a most
    if says_something(request.system) or (is_own and request.system):
        body["system"] = _render_system(request.system, extra, is_own=is_own)
    body.update(_render_sampling(request, version=version, is_own=is_own))
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.tools:
        body["tools"] = [_render_tool(tool, is_own=is_own) for tool in request.tools]
    choice = _render_tool_choice(request)
    if choice:
        body["tool_choice"] = choice
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    body.update(extra)
    if request.is_stream:
        body["stream"] = True
    return body


def _lacks_thinking(body: JsonObject) -> bool:
    """Whether the model shall go on after its calls with a budget for thinking: the vendor then wants the thinking before them.

    Only this vendor's seal opens that, so turns of other dialects never hold it.
    """
    match body:
        case {"thinking": {"type": "enabled"}, "messages": [*_, {"content": [{"type": "tool_result"}, *_]}]}:
            return True
        case _:
            return False


def _render_system(system: tuple[Text, ...], extra: dict[str, Json], *, is_own: bool) -> Json:
    """The client's own JSON as long as it still says what `system` says (a server-side prompt may have been put before it)."""
    verbatim = extra.pop("system", None)
    if verbatim is not None and parse_system(verbatim) == system:
        return verbatim
    return render_content(system if is_own else [Text(text.text) for text in system if text.text], "system")


def _render_sampling(request: ChatRequest, *, version: ApiVersion, is_own: bool) -> JsonObject:
    values: JsonObject = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    given: JsonObject = {name: value for name, value in values.items() if value is not None}
    if given and version != "2023-06-01":
        raise Untranslatable(next(iter(given)), f"the vendor removed it in API version {version}; leave it out")
    if not is_own and request.temperature is not None and not 0 <= request.temperature <= 1:
        raise Untranslatable("temperature", "this vendor takes 0 to 1")
    return given


def _render_tool(tool: Tool, *, is_own: bool) -> Json:
    if is_own and "type" in tool.extra:
        return dict(tool.extra)
    rendered: JsonObject = {"name": tool.name}
    if tool.description is not None:
        rendered["description"] = tool.description
    is_said = is_own or tool.parameters.get("type") == "object"
    rendered["input_schema"] = tool.parameters if is_said else {"type": "object", **tool.parameters}
    if is_own:
        rendered.update(tool.extra)
    elif tool.is_strict:
        rendered["strict"] = True
    return rendered


def _render_tool_choice(request: ChatRequest) -> JsonObject | None:
    choice, is_parallel = request.tool_choice, request.is_parallel_tools
    if choice is None:
        if is_parallel is False and request.tools:
            return {"type": "auto", "disable_parallel_tool_use": True}
        return None
    rendered: JsonObject = {"type": _CHOICES.get(choice.mode, "tool")}
    if choice.mode == "named":
        rendered["name"] = choice.name
    if is_parallel is not None and choice.mode != "none":
        rendered["disable_parallel_tool_use"] = not is_parallel
    return rendered
