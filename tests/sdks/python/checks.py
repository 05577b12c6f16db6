"""Runs the checks of one SDK in one process and prints one JSON line for each. Knows no SDK, and only the standard library."""

import asyncio
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

PROVIDERS = ("openai", "anthropic", "google")
TEXT = "Grüße, ready when you are ✓ 世界 done."
TOKENS_IN, TOKENS_OUT = 11, 7
CALLS = [("weather", {"city": "Berlin"}), ("weather", {"city": "世界"})]
"""What the fake provider says, written down once more: the SDK must give exactly this."""
VECTOR = [0.25, -1.5, 3.0, 0.0]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one point, as a PNG in base64."""
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
THOUGHTS = "First I think."
SHAPED = {"city": "Berlin", "degrees": 21}
ALONE = f"Hello from {os.getpid()}"
"""A text that no other run sends."""
_KEPT: dict[str, Any] = {}
Made = TypeVar("Made")


@dataclass(frozen=True)
class World:
    """Where the server under test is, and who may call it."""

    url: str
    """Without a path."""
    keys: Mapping[str, str]
    """Credential of each kind of caller: good, token, unknown, poor, spent, hasty, narrow."""
    own_vendor_key: str


Check = Callable[[World], Any]


def main(checks: Mapping[str, Check]) -> None:
    """Run the checks that the second argument names (all without it) in the world that the first one describes."""
    world = World(**json.loads(sys.argv[1]))
    wanted = sys.argv[2:] or list(checks)
    for name in wanted:
        started = time.monotonic()
        line = {"name": name, **_outcome(checks[name], world)}
        line["took_ms"] = round((time.monotonic() - started) * 1000)
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def _outcome(check: Check, world: World) -> dict[str, Any]:
    try:
        seen = check(world)
        if inspect.iscoroutine(seen):
            seen = asyncio.run(seen)
    except Exception as problem:  # noqa: BLE001  # the line tells it, and the next check runs
        import traceback  # noqa: PLC0415  # only a failure needs it

        where = "".join(traceback.format_tb(problem.__traceback__)[-4:])
        return {"ok": False, "seen": f"{type(problem).__module__}.{type(problem).__name__}: {problem}\n{where}"}
    return {"ok": True, "seen": str(seen)}


def refused(kind: type[Exception], call: Callable[[], Any], *, within: int = 1) -> Any:
    """The error that the call raises, at the latest when it is made `within` times; it must be exactly of this class."""
    got: list[Any] = []
    raised: Exception | None = None
    while raised is None and len(got) < within:
        try:
            got.append(call())
        except kind as error:
            raised = error
    assert type(raised) is kind, f"expected {kind.__name__}: {raised!r} after {got!r}"
    return raised


def kept(kind: Callable[..., Made], **settings: Any) -> Made:
    """A client with these settings, made once: making one reads certificates, and Google's closes when nobody holds it."""
    name = repr((kind, settings))
    if name not in _KEPT:
        _KEPT[name] = kind(**settings)
    made: Made = _KEPT[name]
    return made


def at_once(call: Callable[[], Made], times: int = 2) -> list[Made]:
    """What the calls gave that ran at the same time."""
    with ThreadPoolExecutor(times) as threads:
        return [begun.result() for begun in [threads.submit(call) for _ in range(times)]]


def gathered(answer: Iterable[Any], into: list[Any]) -> None:
    """Read a stream to its end; what came before an error is kept."""
    into.extend(answer)


def expect(got: object, wanted: object, what: str = "") -> None:
    """Compare, and show both sides when they differ."""
    assert got == wanted, f"{what}: got {got!r}, expected {wanted!r}"
