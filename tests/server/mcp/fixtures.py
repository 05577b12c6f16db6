"""The tools, prompts and resources that the official conformance suite calls by name, beside ours on the same server.

The product has nothing of what most of them show (images, questions back to the client), so they stand here. Every request that
names none of them takes the product's own way.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as wire
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[Any]]
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060"
        "00000005000001a5f645400000000049454e44ae426082"
    )
).decode()
SILENCE = base64.b64encode(
    bytes.fromhex("5249464624000000574156456d74201000000001000100401f0000401f0000010008006461746100000000")
).decode()
STATE_KEY = b"a key that only this fixture knows"
PAUSE_SECONDS = 0.05
"""The suite asks for it: notifications must be seen one by one."""


def text(words: str) -> wire.TextContent:
    return wire.TextContent(type="text", text=words)


def image() -> wire.ImageContent:
    return wire.ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, words: str, mime_type: str = "text/plain") -> wire.EmbeddedResource:
    return wire.EmbeddedResource(
        type="resource", resource=wire.TextResourceContents(uri=uri, mime_type=mime_type, text=words)
    )


def said(*content: Any, is_error: bool = False) -> wire.CallToolResult:
    return wire.CallToolResult(content=list(content), is_error=is_error)


# Questions back to the client ------------------------------------------------------------------------------------------


def question(message: str, name: str, kind: str = "string") -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(words: str, tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": {"type": "text", "text": words}}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": tokens}}


ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}
NEEDS = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def sealed(state: str) -> str:
    """A state that the client carries and cannot change."""
    return f"{state}.{hmac.new(STATE_KEY, state.encode(), hashlib.sha256).hexdigest()}"


def opened(state: object) -> str:
    plain = str(state).rpartition(".")[0]
    if not hmac.compare_digest(sealed(plain), str(state)):
        raise MCPError(wire.INVALID_PARAMS, "requestState was changed on its way")
    return plain


def asking(ctx: Context, requests: dict[str, dict[str, Any]], state: str | None = None) -> dict[str, Any]:
    """The result that asks, with what the client can answer; it must be able to answer something."""
    declared = ctx.session.client_capabilities
    able = {
        name: request
        for name, request in requests.items()
        if getattr(declared, NEEDS[request["method"]], None) is not None
    }
    if not able:
        lacking: dict[str, Any] = {NEEDS[request["method"]]: {} for request in requests.values()}
        raise MCPError(-32021, "The client lacks a capability", {"requiredCapabilities": lacking})
    asked: dict[str, Any] = {"resultType": "input_required", "inputRequests": able}
    return asked if state is None else {**asked, "requestState": sealed(state)}


def answers(ctx: Context) -> dict[str, Any]:
    """What the client has answered so far; what is no answer is as if it were not there."""
    given = (ctx.params or {}).get("inputResponses")
    return {name: value for name, value in (given or {}).items() if isinstance(value, dict)}


def value_of(answer: dict[str, Any] | None, name: str, kind: type) -> Any:
    """A field of an answer to a question. None: it is not there, or of another kind."""
    content = (answer or {}).get("content")
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, kind) else None


async def elicitation(ctx: Context) -> Any:
    name = value_of(answers(ctx).get("user_name"), "name", str)
    if name is None:
        return asking(ctx, {"user_name": question("What is your name?", "name")})
    return said(text(f"Hello, {name}!"))


async def sampling(ctx: Context) -> Any:
    answer = answers(ctx).get("capital_question")
    if answer is None:
        return asking(ctx, {"capital_question": sample("What is the capital of France?", 100)})
    return said(text(json.dumps(answer.get("content"))))


async def list_roots(ctx: Context) -> Any:
    answer = answers(ctx).get("client_roots")
    if answer is None:
        return asking(ctx, {"client_roots": ROOTS})
    return said(text(json.dumps(answer.get("roots"))))


async def request_state(ctx: Context) -> Any:
    if "confirm" not in answers(ctx):
        return asking(ctx, {"confirm": question("Please confirm", "ok", "boolean")}, "first")
    opened((ctx.params or {}).get("requestState"))
    return said(text("state-ok"))


async def multiple_inputs(ctx: Context) -> Any:
    wanted = {
        "user_name": question("What is your name?", "name"),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    given = answers(ctx)
    if not given.keys() >= wanted.keys():
        return asking(ctx, wanted, "all")
    opened((ctx.params or {}).get("requestState"))
    return said(text("All of it arrived."))


async def multi_round(ctx: Context) -> Any:
    given, state = answers(ctx), (ctx.params or {}).get("requestState")
    reached = opened(state) if state is not None else ""
    if reached == "round-2" and "step2" in given:
        return said(text("Both steps are done."))
    if reached == "round-1" and "step1" in given:
        return asking(ctx, {"step2": question("Step 2: What is your favorite color?", "color")}, "round-2")
    return asking(ctx, {"step1": question("Step 1: What is your name?", "name")}, "round-1")


async def missing_capability(ctx: Context) -> Any:
    if "answer" in answers(ctx):
        return said(text("It could."))
    return asking(ctx, {"answer": sample("Say something", 10)})


# Tools -----------------------------------------------------------------------------------------------------------------


async def simple_text(ctx: Context) -> Any:
    return said(text("This is a simple text response for testing."))


async def image_content(ctx: Context) -> Any:
    return said(image())


async def audio_content(ctx: Context) -> Any:
    return said(wire.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav"))


async def embedded_resource(ctx: Context) -> Any:
    return said(embedded("test://embedded-resource", "This is an embedded resource content."))


async def multiple_content_types(ctx: Context) -> Any:
    data = embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return said(text("Multiple content types test:"), image(), data)


async def error_handling(ctx: Context) -> Any:
    return said(text("This tool intentionally returns an error for testing"), is_error=True)


async def with_progress(ctx: Context) -> Any:
    for progress in (0, 50, 100):
        await ctx.session.report_progress(progress, 100)
        await asyncio.sleep(PAUSE_SECONDS)
    return said(text("It went on."))


async def with_logging(ctx: Context) -> Any:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:  # later clients are told only what they asked for
            logged = wire.LoggingMessageNotificationParams(level="info", data=words)
            await ctx.session.send_notification(wire.LoggingMessageNotification(params=logged), ctx.request_id)
        await asyncio.sleep(PAUSE_SECONDS)
    return said(text("It was logged."))


TOOLS: dict[str, Callable[[Context], Awaitable[Any]]] = {
    "test_simple_text": simple_text,
    "test_image_content": image_content,
    "test_audio_content": audio_content,
    "test_embedded_resource": embedded_resource,
    "test_multiple_content_types": multiple_content_types,
    "test_error_handling": error_handling,
    "test_tool_with_progress": with_progress,
    "test_tool_with_logging": with_logging,
    "test_logging_tool": with_logging,
    "test_streaming_elicitation": elicitation,
    "test_missing_capability": missing_capability,
    "test_input_required_result_elicitation": elicitation,
    "test_input_required_result_capabilities": multiple_inputs,
    "test_input_required_result_sampling": sampling,
    "test_input_required_result_list_roots": list_roots,
    "test_input_required_result_request_state": request_state,
    "test_input_required_result_tampered_state": request_state,
    "test_input_required_result_multiple_inputs": multiple_inputs,
    "test_input_required_result_multi_round": multi_round,
}

# Prompts and resources -------------------------------------------------------------------------------------------------


def prompt(*content: Any) -> wire.GetPromptResult:
    return wire.GetPromptResult(messages=[wire.PromptMessage(role="user", content=block) for block in content])


async def get_prompt(ctx: Context, params: wire.GetPromptRequestParams) -> Any:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return prompt(text("This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            return prompt(text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))
        case "test_prompt_with_embedded_resource":
            resource = embedded(given["resourceUri"], "Embedded resource content for testing.")
            return prompt(resource, text("Please process the embedded resource above."))
        case "test_prompt_with_image":
            return prompt(image(), text("Please analyze the image above."))
        case _:
            context = value_of(answers(ctx).get("user_context"), "context", str)
            if context is None:
                asked = question("What context should the prompt use?", "context")
                return asking(ctx, {"user_context": asked})
            return prompt(text(f"The context is {context}."))


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
TEMPLATE = "test://template/{id}/data"
WATCHED = "test://watched-resource"


def contents(uri: str) -> wire.TextResourceContents | wire.BlobResourceContents:
    if uri == "test://static-binary":
        return wire.BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)
    if uri.startswith("test://template/"):
        chosen = uri.split("/")[3]
        data = {"id": chosen, "templateTest": True, "data": f"Data for ID: {chosen}"}
        return wire.TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(data))
    words = "This is the content of the static text resource."
    return wire.TextResourceContents(uri=uri, mime_type="text/plain", text=words)


RESOURCES = ("test://static-text", "test://static-binary", WATCHED)


def is_ours(uri: str) -> bool:
    return uri in RESOURCES or (uri.startswith("test://template/") and uri.endswith("/data"))


# Beside the product's own ----------------------------------------------------------------------------------------------


class Beside:
    """The fixtures beside what a server has: whatever names none of them goes the server's own way."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server

    async def _own(self, ctx: Context, params: Any) -> Any:
        return await self._kept[ctx.method](ctx, params)

    def attach(self) -> None:
        lists = wire.PaginatedRequestParams
        wrapped: dict[str, tuple[type[Any], Handler]] = {
            "tools/list": (lists, self.list_tools),
            "tools/call": (wire.CallToolRequestParams, self.call_tool),
            "prompts/list": (lists, self.list_prompts),
            "prompts/get": (wire.GetPromptRequestParams, self.get_prompt),
            "resources/list": (lists, self.list_resources),
            "resources/read": (wire.ReadResourceRequestParams, self.read_resource),
        }
        entries = {method: self._server.get_request_handler(method) for method in wrapped}
        self._kept = {method: entry.handler for method, entry in entries.items() if entry is not None}
        more: dict[str, tuple[type[Any], Handler]] = {
            "resources/templates/list": (lists, templates),
            "completion/complete": (wire.CompleteRequestParams, complete),
            "resources/subscribe": (wire.SubscribeRequestParams, nothing),
            "resources/unsubscribe": (wire.UnsubscribeRequestParams, nothing),
            "logging/setLevel": (wire.SetLevelRequestParams, nothing),
        }
        for method, (params, handler) in {**wrapped, **more}.items():
            self._server.add_request_handler(method, params, handler)

    async def list_tools(self, ctx: Context, params: Any) -> wire.ListToolsResult:
        empty = {"type": "object", "properties": {}}
        more = [wire.Tool(name=name, description=name, input_schema=empty) for name in TOOLS]
        return wire.ListToolsResult(tools=[*(await self._own(ctx, params)).tools, *more])

    async def call_tool(self, ctx: Context, params: wire.CallToolRequestParams) -> Any:
        tool = TOOLS.get(params.name)
        return await (self._own(ctx, params) if tool is None else tool(ctx))

    async def list_prompts(self, ctx: Context, params: Any) -> wire.ListPromptsResult:
        more = [
            wire.Prompt(
                name=name,
                description=name,
                arguments=[wire.PromptArgument(name=each, description=each, required=True) for each in names],
            )
            for name, names in PROMPTS.items()
        ]
        return wire.ListPromptsResult(prompts=[*(await self._own(ctx, params)).prompts, *more])

    async def get_prompt(self, ctx: Context, params: wire.GetPromptRequestParams) -> Any:
        return await (get_prompt(ctx, params) if params.name in PROMPTS else self._own(ctx, params))

    async def list_resources(self, ctx: Context, params: Any) -> wire.ListResourcesResult:
        more = [wire.Resource(uri=uri, name=uri, mime_type=contents(uri).mime_type) for uri in RESOURCES]
        return wire.ListResourcesResult(resources=[*(await self._own(ctx, params)).resources, *more])

    async def read_resource(self, ctx: Context, params: wire.ReadResourceRequestParams) -> Any:
        uri = str(params.uri)
        return wire.ReadResourceResult(contents=[contents(uri)]) if is_ours(uri) else await self._own(ctx, params)


async def templates(ctx: Context, params: Any) -> wire.ListResourceTemplatesResult:
    found = wire.ResourceTemplate(uri_template=TEMPLATE, name="template", mime_type="application/json")
    return wire.ListResourceTemplatesResult(resource_templates=[found])


async def complete(ctx: Context, params: wire.CompleteRequestParams) -> wire.CompleteResult:
    values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    return wire.CompleteResult(completion=wire.Completion(values=values, total=len(values), has_more=False))


async def nothing(ctx: Context, params: Any) -> wire.EmptyResult:
    return wire.EmptyResult()


def extend(server: Server[Any]) -> None:
    """Put the fixtures beside what the server has."""
    Beside(server).attach()
