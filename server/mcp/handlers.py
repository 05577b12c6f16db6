"""What each message of the protocol comes to: tools from the method tables, prompts from the registry, resources from a table.

Whatever reads or does something is a call through the gateway. Lists come from the catalog, and show what the caller may call.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final  # Any: messages hold JSON of every shape

import mcp_types as wire
import orjson
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from methods.catalog import Catalog
from methods.errors import Cancelled
from methods.method import Method
from methods.progress import Progress, ProgressSink
from monetization.callers import Caller
from server.mcp.exchange import STATE, Exchange, error_of, run
from server.mcp.resources import BY_URI, RESOURCES
from server.mcp.results import answered, refused, spoken
from server.mcp.schemas import input_schema, output_schema
from server.plain_http import Means
from storage.errors import Fault, NotFound

Context = ServerRequestContext[Any, Any]
_NOT_FOUND_THEN: Final = -32002
"""Of a resource, until 2025-11-25; since then it is -32602 (SEP-2164)."""
_JSON: Final = "application/json"


def tool_of(method: Method) -> wire.Tool:
    """A method as a tool."""
    tool = method.tool
    assert tool is not None, f"{method.name} is no tool"
    return wire.Tool(
        name=method.name,
        title=tool.title,
        description=" ".join((method.handler.__doc__ or method.name).split()),
        input_schema=input_schema(method),
        output_schema=output_schema(method),
        annotations=wire.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            destructive_hint=False,
            idempotent_hint=tool.is_read_only,
            open_world_hint=tool.is_open_world,
        ),
    )


class Handlers:
    """Answers the messages. `ctx` is the SDK's; the exchange that belongs to it is found in its request."""

    def __init__(self, means: Means, catalog: Catalog) -> None:
        self._means = means
        self._catalog = catalog
        self.tools = {method.name: tool_of(method) for method in catalog.methods if method.tool is not None}

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """What a tool's arguments are checked against by the SDK, where headers repeat some of them."""
        tool = self.tools.get(name)
        return None if tool is None else tool.input_schema

    async def list_tools(self, ctx: Context, params: object) -> wire.ListToolsResult:
        """The tools that the caller may call, in the order of the tables."""
        del params
        caller = _exchange(ctx).caller
        return wire.ListToolsResult(tools=[tool for name, tool in self.tools.items() if self._may(caller, name)])

    async def call_tool(self, ctx: Context, params: wire.CallToolRequestParams) -> wire.CallToolResult:
        """Run a method. What it refuses is a result too, so that a model can read it."""
        if params.name not in self.tools:
            raise MCPError(wire.INVALID_PARAMS, f"Unknown tool: {params.name[:128]}")
        arguments, exchange = params.arguments or {}, _exchange(ctx)
        try:
            return answered(await self._run(ctx, params.name, arguments, sink=_sink(ctx)))
        except Cancelled as cancelled:
            raise _error(cancelled, exchange) from None
        except Fault as fault:
            return refused(error_of(fault, exchange))

    async def list_resources(self, ctx: Context, params: object) -> wire.ListResourcesResult:
        """What the caller may read."""
        del params
        caller = _exchange(ctx).caller
        return wire.ListResourcesResult(
            resources=[
                wire.Resource(
                    uri=standing.uri,
                    name=standing.uri.removeprefix("tollgate://"),
                    title=standing.title,
                    description=_summary(self._catalog.find(standing.method)),
                    mime_type=_JSON,
                )
                for standing in RESOURCES
                if self._may(caller, standing.method)
            ]
        )

    async def list_templates(self, ctx: Context, params: object) -> wire.ListResourceTemplatesResult:
        """There are none."""
        del ctx, params
        return wire.ListResourceTemplatesResult(resource_templates=[])

    async def read_resource(self, ctx: Context, params: wire.ReadResourceRequestParams) -> wire.ReadResourceResult:
        """How the caller stands now."""
        uri = str(params.uri)
        standing = BY_URI.get(uri)
        if standing is None:
            code = _NOT_FOUND_THEN if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS else wire.INVALID_PARAMS
            raise MCPError(code, "Resource not found", {"uri": uri[:256]})
        body = await self._asked(ctx, standing.method, dict(standing.params))
        text = wire.TextResourceContents(uri=uri, mime_type=_JSON, text=body.decode())
        return wire.ReadResourceResult(contents=[text])

    async def list_prompts(self, ctx: Context, params: object) -> wire.ListPromptsResult:
        """The prompts that the operator shares."""
        del params
        if not self._may(_exchange(ctx).caller, "listPrompts"):
            return wire.ListPromptsResult(prompts=[])
        found = orjson.loads(await self._asked(ctx, "listPrompts", {}))
        return wire.ListPromptsResult(prompts=[_prompt(entry) for entry in found["prompts"]])

    async def get_prompt(self, ctx: Context, params: wire.GetPromptRequestParams) -> wire.GetPromptResult:
        """A prompt with its placeholders replaced."""
        asked = {"promptId": params.name, "promptContext": params.arguments or {}}
        text = orjson.loads(await self._asked(ctx, "getPrompt", asked))["text"]
        content = wire.TextContent(type="text", text=text)
        return wire.GetPromptResult(messages=[wire.PromptMessage(role="user", content=content)])

    def _may(self, caller: Caller, name: str) -> bool:
        method = self._catalog.find(name)
        try:
            method.authorize(caller, self._catalog.access[method.name])
        except Fault:
            return False
        return True

    async def _asked(self, ctx: Context, method: str, params: Mapping[str, object]) -> bytes:
        """The result of a call whose refusal is an error of the protocol. Raises: MCPError."""
        try:
            return await self._run(ctx, method, params)
        except Fault as fault:
            raise _error(fault, _exchange(ctx)) from None

    async def _run(
        self, ctx: Context, method: str, params: Mapping[str, object], *, sink: ProgressSink | None = None
    ) -> bytes:
        """Raises: Faults; MCPError for a mistake of ours, which is logged. The broad net of the handlers is here."""
        exchange = _exchange(ctx)
        try:
            return await run(
                self._means, exchange, method, params, meta=_meta(ctx), message_id=ctx.request_id, sink=sink
            )
        except Fault:
            raise
        except Exception as problem:  # noqa: BLE001  # as the docstring says
            self._means.crashed(problem, exchange.request_id)
            data = {"reason": "internal_error", "requestId": exchange.request_id}
            raise MCPError(wire.INTERNAL_ERROR, "Internal error", data) from None


def _exchange(ctx: Context) -> Exchange:
    assert ctx.request is not None, "every message comes over HTTP"
    found: Exchange = ctx.request.scope["state"][STATE]
    return found


def _meta(ctx: Context) -> Mapping[str, object]:
    said = (ctx.params or {}).get("_meta")
    return said if isinstance(said, Mapping) else {}


def _sink(ctx: Context) -> ProgressSink | None:
    """Where progress goes: to whoever gave a token for it."""
    if "progressToken" not in _meta(ctx):
        return None
    count, exchange = 0, _exchange(ctx)

    async def tell(items: Sequence[Progress]) -> None:
        nonlocal count
        for words in spoken(items):
            count += 1  # it must grow with every message
            exchange.has_progress = True
            await ctx.session.report_progress(count, message=words)

    return tell


def _error(fault: Fault, exchange: Exchange) -> MCPError:
    error: Any = error_of(fault, exchange)
    code = wire.INVALID_PARAMS if isinstance(fault, NotFound) else error["code"]
    return MCPError(code, error["message"], error["data"])


def _prompt(entry: Mapping[str, Any]) -> wire.Prompt:
    return wire.Prompt(
        name=entry["promptId"],
        description=entry["description"] or None,
        arguments=[
            wire.PromptArgument(
                name=variable["name"],
                required=variable["required"],
                description=f"Left out: {variable['default']}" if "default" in variable else None,
            )
            for variable in entry["variables"]
        ],
    )


def _summary(method: Method) -> str:
    return (method.handler.__doc__ or method.name).partition("\n")[0]
