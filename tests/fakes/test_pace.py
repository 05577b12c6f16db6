"""What other tests lean on: a promise that is never kept fails them, and a port is one block's alone."""

import socket
from contextlib import ExitStack

import pytest

from tests.fakes.pace import TRIES, within
from tests.fakes.ports import BUS, own_port


async def test_a_promise_that_is_kept_once_is_kept() -> None:
    took = iter([0.3, 0.2, 0.1, 9.0])

    async def measured() -> float:
        return next(took)

    await within(0.1, measured)
    assert next(took) == 9.0, "nobody measures on"


async def test_a_promise_that_is_never_kept_fails_and_says_what_was_measured() -> None:
    times = 0

    async def measured() -> float:
        nonlocal times
        times += 1
        return 0.101

    with pytest.raises(AssertionError, match=r"0\.1 s were promised, and it took \[0\.101, "):
        await within(0.1, measured)
    assert times == TRIES


def test_a_port_is_given_to_one_block_at_a_time_with_its_companion() -> None:
    with ExitStack() as stack:
        ports = [stack.enter_context(own_port()) for _ in range(50)]
        assert len({*ports, *(port + BUS for port in ports)}) == 100
        for port in ports:
            with socket.create_server(("127.0.0.1", port)):
                pass  # whoever has the block can listen there
