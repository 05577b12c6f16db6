"""`make bench --only "tool calls"`: calls of agents at `/mcp` beside the same calls at `/rpc`, in turns on one core."""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from tests.bench.machine import memory_of
from tests.bench.measuring import Effort, Outcome, measure
from tests.bench.provider import MODEL, TEXT
from tests.bench.scenarios import Scenario
from tests.bench.shots import PLAIN, RPC, Shot
from tests.bench.stand import standing

Revision = Literal["", "2026-07-28", "2025-11-25"]
"""Of the protocol. Empty: JSON-RPC."""
ERAS: tuple[Revision, ...] = ("2026-07-28", "2025-11-25")
OPEN = "\n[mcp]\nenabled = true\n"
ASK = {"content": "What is a benchmark?", "options": {"provider": "openai", "model": MODEL, "maxTokens": 500}}
CALLS: tuple[tuple[str, str, Mapping[str, object], str], ...] = (
    ("ask a model", "executeAIRequest", ASK, TEXT),
    ("read what is left of the limits", "getRateLimitStatus", {}, "requests"),
)
NOW = "io.modelcontextprotocol/protocolVersion"
ABLE = "io.modelcontextprotocol/clientCapabilities"


@dataclass(frozen=True, slots=True)
class Asking(Shot):
    """A call of a method, as a tool or over JSON-RPC."""

    method: str = ""
    revision: Revision = ""
    holds: str = ""

    def headers(self, token: str) -> dict[str, str]:
        """As a client of that revision sends them."""
        head = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        if not self.revision:
            return {**head, "accept": "application/json"}
        named = {"mcp-method": "tools/call", "mcp-name": self.method} if self.revision == "2026-07-28" else {}
        accept = "application/json, text/event-stream"
        return {**head, "accept": accept, "mcp-protocol-version": self.revision, **named}

    @property
    def must_hold(self) -> str:
        """Of a result of this method."""
        return self.holds


def asking(
    method: str, arguments: Mapping[str, object], holds: str, revision: Literal["", "2026-07-28", "2025-11-25"] = ""
) -> Asking:
    """The call as a client of that revision makes it."""
    call: dict[str, object] = {"method": method, "params": arguments}
    if revision:
        meta = {NOW: revision, ABLE: {}} if revision == "2026-07-28" else {}
        call = {"method": "tools/call", "params": {"name": method, "arguments": arguments, "_meta": meta}}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, **call})
    return Asking("tollgate", "/mcp" if revision else RPC, body, method=method, revision=revision, holds=holds)


def scenarios() -> tuple[Scenario, ...]:
    """A call that asks a model and one that only reads, by clients of both eras."""
    made = []
    for name, method, arguments, holds in CALLS:
        beside = asking(method, arguments, holds)
        for revision in ERAS:
            ours = asking(method, arguments, holds, revision)
            made.append(Scenario(f"{name}, {revision}", 32, beside, ours, PLAIN[2], None))
    return tuple(made)


def run(seconds: float) -> None:
    """Print the table. `seconds`: of one side in one round."""
    effort = Effort(rounds=3 if seconds >= 1 else 1, seconds=seconds, ceiling_seconds=0.1, warm_seconds=0.3, starts=1)
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), starts=1, more=OPEN) as stand:
        chosen = scenarios()
        _say(f"{'32 connections, one core':<48}{'/rpc':>12}{'/mcp':>12}{'ratio':>8}{'CPU /rpc':>12}{'CPU /mcp':>12}")
        for scenario in chosen:
            _say(_row(measure(stand, scenario, effort)))
        memory = memory_of(stand.pids["tollgate"])
    if memory is not None:
        _say(f"memory with the door open: {memory.rss_mb:g} MB; start: {max(stand.start_seconds):g} s")


def _row(seen: Outcome) -> str:
    floor, ours = seen.floor, seen.ours
    used = [f"{'-' if cpu is None else f'{cpu:.0f} us':>12}" for cpu in (floor.cpu_us, ours.cpu_us)]
    rates = f"{floor.per_second:>10.0f}/s{ours.per_second:>10.0f}/s{seen.ratio:>8.2f}"
    failed = f"  {seen.failures} FAILED: {seen.first_failure[:200]}" if seen.failures else ""
    return f"{seen.name:<48}{rates}{''.join(used)}{failed}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
