"""From results and faults of calls to the results of tools. Nothing is served here."""

from collections.abc import Sequence
from typing import Any, Final  # Any: results are JSON of every shape

import mcp_types as wire
import orjson

from methods.dialects.canonical import TextDelta
from methods.progress import Notice, Progress, RunStarted

ERROR: Final = "tollgate/error"
"""Where in `_meta` a refusal stands as data: code, message and data as over JSON-RPC. It is no `structuredContent`, because that
must fit the tool's schema, and clients check it in failures too."""


def answered(result: bytes) -> wire.CallToolResult:
    """A result: as data, and as text for clients that read no data."""
    return wire.CallToolResult(
        content=[wire.TextContent(type="text", text=result.decode())], structured_content=orjson.loads(result)
    )


def refused(error: dict[str, Any]) -> wire.CallToolResult:
    """A refusal, in words that a model can act on."""
    data = error["data"]
    words = [f"{error['message']}: {data['detail']}." if "detail" in data else f"{error['message']}."]
    if "retryAfter" in data:
        words.append(f"Try again after {data['retryAfter']:g} seconds.")
    if "upgradeUrl" in data:
        words.append(f"More: {data['upgradeUrl']}")
    words.append(f"(reason {data['reason']}, request {data['requestId']})")
    return wire.CallToolResult(
        content=[wire.TextContent(type="text", text=" ".join(words).replace("..", "."))],
        is_error=True,
        _meta={ERROR: error},
    )


def spoken(items: Sequence[Progress]) -> list[str]:
    """The steps of a running call for people who watch: text as it arrives, whatever came together in one piece."""
    said: list[str] = []
    is_text = False
    for item in items:
        match item:
            case TextDelta():
                said[-1:] = [said[-1] + item.text] if is_text else [*said[-1:], item.text]
            case RunStarted():
                said.append(f"{item.provider}/{item.model} answers")
            case Notice():
                said.append(item.text)
            case _:
                continue
        is_text = isinstance(item, TextDelta)
    return said
