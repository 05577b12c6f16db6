"""A small catalog behind the real door, and a client that speaks ASGI to it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from methods.catalog import Catalog
from methods.dialects.canonical import TextDelta
from methods.errors import Unauthenticated
from methods.method import Access, Answer, Method, Params
from methods.progress import ProgressSink, RunStarted
from monetization.callers import Caller
from monetization.calls import Call
from server.rpc import RpcDoor
from server.rpc_calls import RpcLimits, Serve
from server.running import RunningCalls


class Nothing(Params):
    pass


class Pair(Params):
    minuend: float
    subtrahend: float


class Cancel(Params):
    id: str | int | float


async def ping(context: Any, params: Nothing) -> Answer:
    return {"pong": True}


async def subtract(context: Any, params: Pair) -> Answer:
    return {"value": int(params.minuend - params.subtrahend)}


class Three(Params):
    a: int
    b: int
    c: int


async def add(context: Any, params: Three) -> Answer:
    return {"value": params.a + params.b + params.c}


async def get_data(context: Any, params: Nothing) -> Answer:
    return {"value": ["hello", 5]}


async def crash(context: Any, params: Nothing) -> Answer:
    raise ValueError("secret insides")


@dataclass
class World:
    """Serves calls as the gateway does, without money."""

    calls: list[Call] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    left_at: float = 0.0
    """Of the loop's clock: when a waiting call was cancelled."""
    running: RunningCalls = field(default_factory=RunningCalls)
    is_draining: bool = False
    handlers: dict[str, Serve] = field(default_factory=dict)
    catalog: Catalog = field(
        default_factory=lambda: Catalog(
            [
                Method(f.__name__.replace("add", "sum"), f, Access.PUBLIC, scope="public")
                for f in (ping, subtract, add, get_data, crash)
            ]
        )
    )

    async def serve(self, call: Call, sink: ProgressSink | None) -> Answer:
        self.calls.append(call)
        self.called.set()
        caller = Caller("subscription", user_id=call.credential.value or "nobody")
        with self.running.track(caller, call):
            if call.method in self.handlers:
                return await self.handlers[call.method](call, sink)
            match call.method:
                case "wait" | "partial":
                    if sink is not None:
                        await sink([RunStarted("m", "p"), TextDelta("Hel"), TextDelta("lo", 0)])
                    self.started.set()
                    if call.method == "partial":
                        raise Unauthenticated("late")
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self.left_at = asyncio.get_running_loop().time()
                        self.left.set()
                case "talk":
                    assert sink is not None
                    await sink([RunStarted("m", "p"), TextDelta("100% ü"), TextDelta("\ud83d")])
                    return {"content": "done"}
                case "private":
                    raise Unauthenticated("show a token", retry_after_seconds=2)
                case "cancelRequest":
                    return {"cancelled": self.running.cancel(caller, orjson.loads(orjson.dumps(call.params))["id"])}
            method = self.catalog.find(call.method)
            context: Any = None
            return await method.handler(context, method.parse(call.params))

    def door(self, *, is_mapped: bool = False, **limits: Any) -> RpcDoor:
        ids: Callable[[], str] = lambda: "req_made"  # noqa: E731  # one expression with a name
        return RpcDoor(
            self.serve,
            limits=RpcLimits(**limits),
            is_mapped=is_mapped,
            is_draining=lambda: self.is_draining,
            new_request_id=ids,
            monotonic=time.monotonic,
            crashed=lambda _, request_id: self.crashed.append(request_id),
        )


@pytest.fixture
def world() -> World:
    return World()
