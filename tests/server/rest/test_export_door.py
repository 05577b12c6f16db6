"""The export's door at its edges: a reader who leaves or takes nothing ends the reading, a late failure breaks the file off."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from methods.dialects.canonical import TextDelta
from methods.method import Answer
from methods.progress import ProgressSink
from monetization.calls import Call
from server.plain_http import Means
from server.rest_export import ExportDoor
from server.rpc_calls import RpcLimits

SCOPE = {
    "type": "http", "method": "GET", "path": "/v1/usage/export", "query_string": b"format=csv", "headers": [],
    "client": ("127.0.0.1", 1),
}  # fmt: skip
Serving = Callable[[Call, ProgressSink | None], Awaitable[Answer]]


class Wire:
    """One connection: what the app sent, and a client that leaves when it is told to."""

    def __init__(self, *, takes: bool = True) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self.first = asyncio.Event()
        self._takes = takes

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.first.set()
            if not self._takes:
                await asyncio.Event().wait()

    @property
    def is_whole(self) -> bool:
        return bool(self.sent) and self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


def door(serve: Serving, problems: list[Exception]) -> ExportDoor:
    means = Means(
        serve,
        limits=RpcLimits(write_timeout_seconds=0.05),
        is_draining=lambda: False,
        new_request_id=lambda: "req_1",
        crashed=lambda problem, _: problems.append(problem) if isinstance(problem, Exception) else None,
        monotonic=lambda: 0.0,
    )
    return ExportDoor(means)


async def endless(call: Call, sink: ProgressSink | None) -> Answer:
    assert sink is not None
    assert call.method == "exportUsage"
    while True:
        await sink([TextDelta("row\r\n")])
        await asyncio.sleep(0)


async def failing(call: Call, sink: ProgressSink | None) -> Answer:
    assert sink is not None
    await sink([TextDelta("row\r\n")])
    raise RuntimeError(call.method)


async def test_a_reader_who_leaves_ends_the_reading() -> None:
    wire = Wire()
    serving = asyncio.ensure_future(door(endless, [])(SCOPE, wire.receive, wire.send))
    await asyncio.wait_for(wire.first.wait(), 30)
    wire.left.set()
    await asyncio.wait_for(serving, 30)
    assert not wire.is_whole


async def test_who_asks_for_the_head_alone_gets_it_and_ends_the_reading() -> None:
    wire = Wire()
    await asyncio.wait_for(door(endless, [])({**SCOPE, "method": "HEAD"}, wire.receive, wire.send), 30)
    assert wire.sent[0]["status"] == 200
    assert (b"content-type", b"text/csv; charset=utf-8") in wire.sent[0]["headers"]
    assert (wire.is_whole, [message.get("body") for message in wire.sent[1:]]) == (True, [b""])


@pytest.mark.parametrize(("verb", "status"), [("OPTIONS", 204), ("POST", 405)])
async def test_other_verbs_are_told_which_ones_there_are(verb: str, status: int) -> None:
    wire = Wire()
    wire.left.set()
    await door(endless, [])({**SCOPE, "method": verb}, wire.receive, wire.send)
    assert wire.sent[0]["status"] == status
    assert (b"allow", b"GET, HEAD, OPTIONS") in wire.sent[0]["headers"]


async def test_a_reader_who_takes_nothing_ends_the_reading() -> None:
    wire, problems = Wire(takes=False), list[Exception]()
    await asyncio.wait_for(door(endless, problems)(SCOPE, wire.receive, wire.send), 30)
    assert not wire.is_whole
    assert not problems  # it is no mistake of ours


async def test_a_failure_after_the_first_row_never_looks_like_the_end_of_the_file() -> None:
    wire, problems = Wire(), list[Exception]()
    await door(failing, problems)(SCOPE, wire.receive, wire.send)
    assert len(problems) == 1
    assert not wire.is_whole


@pytest.mark.parametrize("query", [b"format=ndjson&everybody=1", b"format=ndjson&everybody=TRUE"])
async def test_flags_of_the_query_are_true_as_people_write_them(query: bytes) -> None:
    seen: list[object] = []

    async def serve(call: Call, sink: ProgressSink | None) -> Answer:
        del sink
        seen.append(call.params)
        return {"rows": 0}

    wire = Wire()
    await door(serve, [])({**SCOPE, "query_string": query}, wire.receive, wire.send)
    assert seen == [{"format": "ndjson", "everybody": True}]
    assert wire.is_whole


@pytest.mark.parametrize(
    ("query", "params"),
    [
        (b"start_date=2026-11-20T00:00:00+05:45", {"startDate": "2026-11-20T00:00:00+05:45"}),
        (b"feature_id=legal&user_id=u1&customerId=acme", {"feature": "legal", "userId": "u1"}),
        (b"resource_type=pages&featureId=a%20b", {"resourceType": "pages", "feature": "a b"}),
    ],
)
async def test_the_query_is_spelled_as_that_of_the_other_reports(query: bytes, params: dict[str, object]) -> None:
    seen: list[object] = []

    async def serve(call: Call, sink: ProgressSink | None) -> Answer:
        del sink
        seen.append(call.params)
        return {"rows": 0}

    await door(serve, [])({**SCOPE, "query_string": query}, Wire().receive, Wire().send)
    assert seen == [params]


@pytest.mark.parametrize("query", [b"format=csv&format=ndjson", b"userId=a&user_id=b", b"provider=%ff"])
async def test_a_query_that_says_two_things_or_nothing_readable_is_refused(query: bytes) -> None:
    wire = Wire()
    await door(failing, [])({**SCOPE, "query_string": query}, wire.receive, wire.send)
    assert wire.sent[0]["status"] == 400
