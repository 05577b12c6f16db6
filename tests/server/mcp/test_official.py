"""What the official programs say of our door: the conformance suite of both eras, and the inspector at its strictest."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.npm import FIRST_USE_SECONDS
from tests.server.mcp.fixtures import extend
from tests.server.mcp.stand import standing
from tests.server.mcp.suite import Suite

BASELINE = Path(__file__).with_name("expected_failures.yml")
pytestmark = pytest.mark.timeout(FIRST_USE_SECONDS)


@pytest.mark.parametrize(
    ("revision", "more"), [("2026-07-28", ()), ("2025-11-25", ("--expected-failures", str(BASELINE)))]
)
async def test_nothing_of_the_official_suite_fails_unexpectedly(
    suite: Suite, private_key: str, tmp_path: Path, revision: str, more: tuple[str, ...]
) -> None:
    async with standing(tmp_path, private_key, extend) as stand:
        where = ("--url", f"{stand.url}/mcp", "--requirements", revision, "-o", str(tmp_path / "out"))
        code, said = await suite.run("conformance", "server", *where, *more, folder=tmp_path)
    assert code == 0, said[-4000:]
    assert stand.crashes == []
    assert f"Running requirements {revision} (" in said


async def inspected(suite: Suite, url: str, token: str, *arguments: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of the inspector, which shows a credential as any client does."""
    header = ("--header", f"Authorization: Bearer {token}")
    shown = ("--cli", f"{url}/mcp", "--transport", "http", *header, *arguments)
    return await suite.run("mcp-inspector", *shown, folder=folder)


async def test_the_inspector_finds_no_tool_that_some_client_could_not_use(
    suite: Suite, private_key: str, tmp_path: Path
) -> None:
    async with standing(tmp_path, private_key, lambda _: None, shows=False) as stand:
        listing = ("--method", "tools/list", "--strict")
        code, said = await inspected(suite, stand.url, stand.token, *listing, folder=tmp_path)
    assert code == 0, said[-4000:]
    assert "Warning" not in said
    tools: list[dict[str, Any]] = json.loads(said)["tools"]
    assert "executeAIRequest" in {tool["name"] for tool in tools}


async def test_the_inspector_calls_a_tool_and_is_refused_without_a_credential(
    suite: Suite, private_key: str, tmp_path: Path
) -> None:
    async with standing(tmp_path, private_key, lambda _: None, shows=False) as stand:
        asking = ("--method", "tools/call", "--tool-name", "executeAIRequest", "--tool-arg", "content=Hello")
        code, said = await inspected(suite, stand.url, stand.token, *asking, folder=tmp_path)
        assert code == 0, said[-4000:]
        result = json.loads(said)
        assert result["structuredContent"]["provider"] == "simulator"
        code, said = await inspected(suite, stand.url, "nonsense", *asking, folder=tmp_path)
    assert code != 0, said[-4000:]
