"""Requests for Gemini's generateContent, both ways. Turns are `gemini_parts`' matter, `generationConfig` is `gemini_config`'s.

What the canonical form cannot say stays in `ChatRequest.extra`, verbatim, and is rendered by this dialect only. Before a request
goes to another vendor, `untranslatable_fields` names what would be lost and matters.
"""

from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Json, JsonObject, Text, Tool, ToolChoice
from methods.dialects.gemini_config import Thinking, parse_config, render_config, untranslatable_config
from methods.dialects.gemini_names import DIALECT, items_of, members_of, to_json_schema
from methods.dialects.gemini_parts import CallIds, parse_message, parse_part, render_messages, untranslatable_parts
from methods.dialects.shared import asks_nothing, list_at, name_at, object_at, says_something, text_at, turns_of

HARMLESS_EXTRA: Final = frozenset(
    {
        "labels",
        "safetySettings",  # thresholds of this vendor's own filters; another vendor has its own
        "serviceTier",
        "store",
        "systemInstruction",  # the client's own writing of what `ChatRequest.system` says
        "toolConfig",  # judged by what stands in it
    }
)
"""Members that another vendor may leave out: they change neither what is answered nor its shape."""

UNTRANSLATABLE_EXTRA: Final = frozenset({"cachedContent"})
"""The vendor's known members that no other vendor may leave out. Unknown members count as these."""

PRICED_EXTRA: Final = frozenset({"cachedContent", "serviceTier"})
"""Members that change what the vendor charges beyond tokens at their usual rate; a door refuses what it cannot price."""

_READ: Final = frozenset({"model", "contents", "systemInstruction", "generationConfig", "tools", "toolConfig"})
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def parse_request(body: JsonObject, *, model: str | None = None, is_stream: bool | None = None) -> ChatRequest:
    """A client's request. Raises: Untranslatable."""
    given = members_of(body)
    extra: dict[str, Json] = {name: value for name, value in given.items() if name not in _READ and value is not None}
    ids = CallIds()
    messages = tuple(
        parse_message(item, f"contents[{place}]", ids)
        for place, item in enumerate(list_at(items_of(given.get("contents")), "contents"))
    )
    if not messages:
        raise Untranslatable("contents", "must hold at least one turn")
    config = parse_config(given.get("generationConfig"), extra)
    return ChatRequest(
        model=(model or name_at(given.get("model"), "model")).removeprefix("models/"),
        messages=messages,
        system=_parse_system(given.get("systemInstruction"), extra),
        max_tokens=config.max_tokens,
        answers=config.answers,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        stop=config.stop,
        tools=_parse_tools(given.get("tools")),
        tool_choice=_parse_tool_choice(given.get("toolConfig"), extra),
        response_format=config.response_format,
        reasoning=config.reasoning,
        is_stream=bool(is_stream),
        dialect=DIALECT,
        extra=extra,
    )


def _parse_system(value: Json, extra: dict[str, Json]) -> tuple[Text, ...]:
    """The system instruction: a content object, or plain text, which some clients send."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),)
    texts = _system_texts(value)
    if _render_system(texts, is_own=True) != value:
        extra["systemInstruction"] = value
    return texts


def _system_texts(value: Json) -> tuple[Text, ...]:
    texts: list[Text] = []
    parts = items_of(members_of(object_at(value, "systemInstruction")).get("parts"))
    for place, item in enumerate(list_at(parts, "systemInstruction.parts")):
        part = parse_part(item, f"systemInstruction.parts[{place}]", CallIds())
        if not isinstance(part, Text):
            raise Untranslatable(f"systemInstruction.parts[{place}]", "must be text")
        texts.append(part)
    return tuple(texts)


def _parse_tools(value: Json) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for place, item in enumerate([] if value is None else list_at(items_of(value), "tools")):
        field = f"tools[{place}]"
        for name, member in members_of(object_at(item, field)).items():
            if name == "functionDeclarations":
                declared = list_at(items_of(member), f"{field}.{name}")
                tools += [
                    _parse_function(object_at(function, f"{field}.{name}[{number}]"), f"{field}.{name}[{number}]")
                    for number, function in enumerate(declared)
                ]
            elif member is not None:
                tools.append(Tool(name, description=None, parameters={}, extra={"builtin": {name: member}}))
    return tuple(tools)


def _parse_function(value: JsonObject, field: str) -> Tool:
    """A function. Parameters in the vendor's own Schema stay in `extra` beside their translation."""
    given = members_of(value)
    description, schema = given.get("description"), given.get("parametersJsonSchema")
    extra = {
        name: member
        for name, member in given.items()
        if name not in ("name", "description", "parametersJsonSchema") and member is not None
    }
    if schema is not None:
        parameters = object_at(schema, f"{field}.parametersJsonSchema")
    else:
        own = given.get("parameters")
        parameters = {} if own is None else to_json_schema(object_at(own, f"{field}.parameters"))
    return Tool(
        name=name_at(given.get("name"), f"{field}.name"),
        description=None if description is None else text_at(description, f"{field}.description"),
        parameters=parameters,
        extra=extra,
    )


def _parse_tool_choice(value: Json, extra: dict[str, Json]) -> ToolChoice | None:
    """What `toolConfig` says beyond the canonical choice keeps it whole in `extra`."""
    if value is None:
        return None
    config = members_of(object_at(value, "toolConfig"))
    calling = config.get("functionCallingConfig")
    choice = None if calling is None else _choice_of(object_at(calling, "toolConfig.functionCallingConfig"))
    if choice is None or _render_tool_choice(choice) != value:
        extra["toolConfig"] = value
    return choice


def _choice_of(value: JsonObject) -> ToolChoice | None:
    calling = members_of(value)
    names = [
        name_at(name, "toolConfig.functionCallingConfig.allowedFunctionNames")
        for name in list_at(
            calling.get("allowedFunctionNames") or [], "toolConfig.functionCallingConfig.allowedFunctionNames"
        )
    ]
    mode = calling.get("mode")
    match mode.upper() if isinstance(mode, str) else mode:  # the vendor takes any case, and its samples are in lower
        case None | "MODE_UNSPECIFIED":
            return None
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto")
        case "NONE":
            return ToolChoice("none")
        case "ANY":
            return ToolChoice("named", names[0]) if len(names) == 1 else ToolChoice("required")
        case _:
            raise Untranslatable("toolConfig.functionCallingConfig.mode", "must be AUTO, ANY, NONE or VALIDATED")


def untranslatable_fields(request: ChatRequest) -> list[str]:
    """The fields of a request of this dialect that matter and that no other vendor can be told; none for other requests."""
    if request.dialect != DIALECT:
        return []
    fields = [
        name
        for name, value in request.extra.items()
        if not (name in HARMLESS_EXTRA or name == "generationConfig" or asks_nothing(value))
    ]
    fields += untranslatable_config(request.extra.get("generationConfig"))
    fields += _untranslatable_tool_config(request.extra.get("toolConfig"))
    fields += [f"tools.{tool.name}" for tool in request.tools if "builtin" in tool.extra]
    for place, message in enumerate(request.messages):
        fields += untranslatable_parts(message, f"contents[{place}]")
    return fields


def _untranslatable_tool_config(value: Json) -> list[str]:
    config = members_of(value) if isinstance(value, dict) else {}
    fields = [f"toolConfig.{name}" for name in config if name != "functionCallingConfig"]
    calling = config.get("functionCallingConfig")
    names = members_of(calling).get("allowedFunctionNames") if isinstance(calling, dict) else None
    if isinstance(names, list) and len(names) > 1:
        fields.append("toolConfig.functionCallingConfig.allowedFunctionNames")
    return fields


def render_request(request: ChatRequest, *, thinking: Thinking) -> JsonObject:
    """The body to send upstream; model and stream stand in the URL. Raises: Untranslatable."""
    is_own = request.dialect == DIALECT
    extra = dict(request.extra) if is_own else {}
    kept = extra.pop("generationConfig", None)
    turns = render_messages(request.messages, is_own=is_own)
    body: JsonObject = {"contents": turns if is_own else turns_of(turns)}
    if says_something(request.system) or (is_own and request.system):
        verbatim = extra.pop("systemInstruction", None)
        is_same = verbatim is not None and _system_texts(verbatim) == request.system
        body["systemInstruction"] = verbatim if is_same else _render_system(request.system, is_own=is_own)
    if request.tools:
        body["tools"] = _render_tools(request.tools, is_own=is_own)
    if request.is_parallel_tools is False and request.tools:
        raise Untranslatable("parallel_tool_calls", "this vendor cannot be told to call one tool at a time")
    if request.tool_choice:
        body["toolConfig"] = _render_tool_choice(request.tool_choice)
    config = render_config(request, kept if isinstance(kept, dict) else {}, is_own=is_own, thinking=thinking)
    if config:
        body["generationConfig"] = config
    return {**body, **extra}


def _render_system(system: tuple[Text, ...], *, is_own: bool) -> JsonObject:
    parts: list[Json] = [
        {"text": text.text, **(text.extra if is_own else {})} for text in system if is_own or text.text
    ]
    return {"parts": parts}


def _render_tools(tools: tuple[Tool, ...], *, is_own: bool) -> list[Json]:
    """All functions in one entry, as the vendor wants, then its own tools."""
    functions: list[Json] = []
    others: list[Json] = []
    for tool in tools:
        builtin = tool.extra.get("builtin") if is_own else None
        if builtin is not None:
            others.append(builtin)
            continue
        function: JsonObject = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.parameters and not (is_own and "parameters" in tool.extra):
            function["parametersJsonSchema"] = tool.parameters
        functions.append({**function, **(tool.extra if is_own else {})})
    return [{"functionDeclarations": functions}, *others] if functions else others


def _render_tool_choice(choice: ToolChoice) -> JsonObject:
    calling: JsonObject = {"mode": _MODES[choice.mode]}
    if choice.mode == "named":
        calling["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": calling}
