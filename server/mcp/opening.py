"""Opening the door for agents: the official SDK around our handlers, loaded only where the door is open. It reads no message.

Every exchange is served on its own, so any worker serves any of them: there are no sessions, and nothing is kept between two.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from monetization.callers import Caller
from monetization.calls import Credential
from server.config import Settings
from server.config_errors import ConfigError
from server.config_mcp import PATH
from server.gateway import Gateway
from server.mcp.door import McpDoor
from server.mcp.guard import Guard
from server.mcp.signpost import WELL_KNOWN, Signpost
from server.plain_http import Means

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from server.mcp.handlers import Handlers

INSTRUCTIONS: Final = (
    "Tools of a metered gateway to AI models. executeAIRequest asks a model and is charged to the account whose key you use; "
    "calculateCost and checkRequestEligibility tell beforehand what a request would cost and whether it would be served. "
    "The other tools and all resources only read: balances, quotas, limits, usage and prices. A refusal says why, and what to do."
)
_LISTED_MS: Final = 60_000
"""How long agents may remember a list: roles and tables change seldom."""


def routes_of(settings: Settings, door: ASGIApp) -> list[BaseRoute]:
    """Where the door and its metadata are; nowhere, where it is closed."""
    if not settings.mcp.enabled:
        return []
    # The metadata stands under the door's own path, and at the root for agents that look there first (RFC 9728, section 3.1).
    return [Route(PATH, door), Route(f"{WELL_KNOWN}{{rest:path}}", Signpost.of(settings), methods=["GET"])]


def direct_of(settings: Settings, door: ASGIApp) -> dict[str, ASGIApp]:
    """The door by its exact path, for the transport."""
    return {PATH: door} if settings.mcp.enabled else {}


def missing() -> str | None:
    """What keeps an enabled door from opening; None where its package is there."""
    try:
        import mcp.server.streamable_http_manager  # noqa: F401, PLC0415  # only where the door is enabled
    except ImportError:
        return "needs the package 'mcp'; install the extra, in this project's folder: pip install -e '.[mcp]'"
    return None


@asynccontextmanager
async def open_mcp(
    settings: Settings, gateway: Gateway, means: Means, *, extend: "Callable[[Server[object]], None] | None" = None
) -> AsyncIterator[ASGIApp]:
    """The door, until the block ends. `extend` may add to what the SDK serves. Raises: ConfigError without the package."""
    problem = missing()
    if problem is not None:
        raise ConfigError("settings", "mcp.enabled", problem)
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: PLC0415  # only where it is used

    from server.mcp.handlers import Handlers  # noqa: PLC0415  # same

    logging.getLogger("mcp").setLevel(logging.WARNING)  # every exchange has its line in our own log
    handlers = Handlers(means, gateway.catalog)
    server = server_of(settings, handlers)
    if extend is not None:
        extend(server)
    async with AsyncExitStack() as stack:
        apps: list[ASGIApp] = []
        for is_plain in (True, False):
            manager = StreamableHTTPSessionManager(
                server,
                json_response=is_plain,
                stateless=True,
                max_request_body_size=means.limits.body_bytes_max,
            )
            await stack.enter_async_context(manager.run())
            apps.append(manager.handle_request)
        plain, streaming = apps
        yield McpDoor(
            means,
            guard=Guard.of(settings),
            signpost=Signpost.of(settings),
            identify=_identify(gateway),
            tools=handlers.tools,
            plain=plain,
            streaming=streaming,
        )


def server_of(settings: Settings, handlers: "Handlers") -> "Server[object]":
    """The SDK's server with our handlers."""
    from mcp.server.caching import CacheHint  # noqa: PLC0415  # only where the door is open
    from mcp.server.lowlevel import Server  # noqa: PLC0415  # same

    listed, now = CacheHint(_LISTED_MS, "private"), CacheHint(0, "private")
    return Server(
        "tollgate",
        title="Tollgate",
        version=version("tollgate"),
        website_url=settings.server.public_url,
        instructions=settings.mcp.instructions or INSTRUCTIONS,
        cache_hints={
            "server/discover": listed,
            "tools/list": listed,
            "prompts/list": listed,
            "resources/list": listed,
            "resources/templates/list": listed,
            "resources/read": now,
        },
        get_tool_input_schema=handlers.schema,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
    )


def _identify(gateway: Gateway) -> Callable[[Credential], Awaitable[Caller]]:
    """The first steps of the ladder, for messages that come to no call; each call takes all of them again."""

    async def identify(credential: Credential) -> Caller:
        caller = await gateway.people.complete(await gateway.callers.identify(credential))
        gateway.watch.check(caller)
        return caller

    return identify
