"""The rules of JSON-RPC that a request and its reply alone cannot show; the number of each test is the rule's."""

import asyncio
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from methods.catalog import Catalog
from methods.method import Access, Answer, Method, Result
from methods.progress import ProgressSink
from monetization.calls import Call
from tests.fakes.pace import within
from tests.server.rpc.client import JSON, post
from tests.server.rpc.conftest import World, ping

HERE = Path(__file__).parent
TESTS = HERE.parents[1]


class Odd(Result):
    figure: float
    nothing: None = None


async def _said(world: World, body: bytes, *headers: tuple[bytes, bytes]) -> Any:
    _, _, said = await post(world.door(), body, headers=(JSON, *headers))
    return json.loads(said, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) if said else None


def test_every_rule_from_r01_to_r38_has_a_vector_or_a_test_of_its_number() -> None:
    named = " ".join(vector["id"] for vector in json.loads((HERE / "vectors.json").read_text())["vectors"])
    for file in TESTS.rglob("test_*.py"):
        named += " ".join(re.findall(r"^(?:async )?def (test_r\d\d_)", file.read_text(), re.MULTILINE)).upper()
    found = {int(number) for number in re.findall(r"(?<![A-Z0-9])(?:TEST_)?R(\d\d)(?!\d)", named)}
    assert sorted(set(range(1, 39)) - found) == []


async def test_r12_the_handler_of_a_notification_runs_alone_and_in_a_batch(world: World) -> None:
    done: list[object] = []

    async def record(call: Call, sink: ProgressSink | None) -> Answer:
        done.append(call.params)
        return {}

    world.handlers["record"] = record
    one = b'{"jsonrpc":"2.0","method":"record","params":[1]}'
    two = b'{"jsonrpc":"2.0","method":"record","params":[2]}'
    assert await _said(world, one) is None
    assert await _said(world, b"[" + one + b"," + two + b"]") is None
    assert done == [[1], [1], [2]]


async def test_r14_what_is_said_of_unknown_names_is_bounded_and_costs_little(world: World) -> None:
    start = b'{"jsonrpc":"2.0","method":"subtract","id":1,"params":{%b}}'
    said = await _said(world, start % (b'"%b":1' % (b"n" * 1_000_000)))
    assert (said["error"]["code"], len(json.dumps(said)) < 2_000) == (-32602, True)
    assert len(said["error"]["data"]["errors"]) == 3
    many = start % b",".join(b'"k%d":1' % number for number in range(200_000))

    async def many_named() -> float:
        """As a multiple of what reading it takes."""
        before = time.process_time()
        json.loads(many)
        reading = time.process_time() - before
        before = time.process_time()
        said = await _said(world, many)
        took = time.process_time() - before
        assert (said["error"]["code"], len(json.dumps(said)) < 2_000) == (-32602, True)
        return took / reading

    await within(2.5, many_named)  # else each problem was put into words


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", (-32700, "Parse error")),
        (b"[]", (-32600, "Invalid Request")),
        (b'{"jsonrpc":"2.0","method":"nothing","id":1}', (-32601, "Method not found")),
        (b'{"jsonrpc":"2.0","method":"subtract","params":["x"],"id":1}', (-32602, "Invalid params")),
        (b'{"jsonrpc":"2.0","method":"crash","id":1}', (-32603, "Internal error")),
    ],
)
async def test_r20_the_predefined_errors_have_their_words(world: World, body: bytes, error: tuple[int, str]) -> None:
    said = (await _said(world, body))["error"]
    assert (said["code"], said["message"]) == error


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_model", [True, False])
async def test_r21_a_result_that_json_has_no_word_for_is_still_json(
    world: World, number: float, *, is_model: bool
) -> None:
    async def odd(call: Call, sink: ProgressSink | None) -> Answer:
        return Odd(figure=number) if is_model else {"figure": number}

    world.handlers["odd"] = odd
    said = await _said(world, b'{"jsonrpc":"2.0","method":"odd","id":1}')
    assert said["id"] == 1
    assert said["result"] in ({"figure": None}, {})


@pytest.mark.parametrize("answer", [{"text": "\ud800"}, {"number": 2**64}, {1: "a"}, {"set": {1}}])
async def test_r17_a_result_that_cannot_be_written_is_our_mistake_and_not_half_a_reply(
    world: World, answer: Any
) -> None:
    async def odd(call: Call, sink: ProgressSink | None) -> Answer:
        given: Answer = answer
        return given

    world.handlers["odd"] = odd
    said = await _said(world, b'{"jsonrpc":"2.0","method":"odd","id":1}')
    assert (said["id"], said["error"]["code"]) == (1, -32603)
    assert "result" not in said
    assert world.crashed == ["req_made"]


async def test_r22_replies_stand_in_the_order_of_their_requests_whichever_ends_first(world: World) -> None:
    second_is_done = asyncio.Event()

    async def first(call: Call, sink: ProgressSink | None) -> Answer:
        await asyncio.wait_for(second_is_done.wait(), 30)  # R28: they run beside each other, else this never ends
        return {}

    async def second(call: Call, sink: ProgressSink | None) -> Answer:
        second_is_done.set()
        return {}

    world.handlers.update(first=first, second=second)
    said = await _said(world, b'[{"jsonrpc":"2.0","method":"first","id":1},{"jsonrpc":"2.0","method":"second","id":2}]')
    assert [one["id"] for one in said] == [1, 2]
    assert all("result" in one for one in said)


async def test_r30_an_id_that_a_batch_uses_twice_cannot_be_cancelled(world: World) -> None:
    release = asyncio.Event()
    running = 0

    async def held(call: Call, sink: ProgressSink | None) -> Answer:
        nonlocal running
        running += 1
        if running == 2:
            world.started.set()
        await release.wait()
        return {}

    world.handlers["held"] = held
    one = b'{"jsonrpc":"2.0","method":"held","id":7}'
    batch = asyncio.create_task(_said(world, b"[" + one + b"," + one + b"]"))
    await asyncio.wait_for(world.started.wait(), 30)
    said = await _said(world, b'{"jsonrpc":"2.0","method":"cancelRequest","params":{"id":7},"id":8}')
    assert said["result"] == {"cancelled": False}
    release.set()
    assert [reply["id"] for reply in await batch] == [7, 7]


@pytest.mark.parametrize("name", ["rpc.x", "rpc.", "rpc.discover2", "$/x"])
def test_r32_nobody_can_register_a_reserved_name(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        Catalog([Method(name, ping, Access.PUBLIC)])
    with pytest.raises(ValueError, match="reserved"):
        Catalog([Method("ping", ping, Access.PUBLIC, aliases=(name,))])


async def test_r37_the_bounds_of_ids_are_exact(world: World) -> None:
    limit = 2**53 - 1
    for rpc_id in (limit, -limit, "x" * 256, "\U0001f600" * 256):
        assert (await _said(world, orjson.dumps({"jsonrpc": "2.0", "method": "ping", "id": rpc_id})))["id"] == rpc_id
    for rpc_id in (limit + 1, -limit - 1, "x" * 257):
        said = await _said(world, orjson.dumps({"jsonrpc": "2.0", "method": "ping", "id": rpc_id}))
        assert (said["error"]["code"], said["id"]) == (-32600, None)
