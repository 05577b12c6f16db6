"""Which limiter a configuration comes to, and what the doctor hears of a store."""

import asyncio

import pytest

from storage.ephemeral.memory import MemoryLimiter
from storage.ephemeral.opening import open_limiter, probe
from storage.ephemeral.redis import RedisLimiter
from tests.fakes.valkey import Cluster, Valkey, hole, running


@pytest.mark.parametrize(("url", "kind"), [("", MemoryLimiter), ("redis://127.0.0.1:9/0", RedisLimiter)])
async def test_an_address_means_a_store_and_none_means_this_process(url: str, kind: type) -> None:
    async with open_limiter(
        url,
        prefix="test",
        lease_seconds=1,
        answer_seconds=0.04,
        clock_us=lambda: 1,
        new_id=lambda: "p1",
        on_change=lambda _: None,
    ) as limiter:
        assert isinstance(limiter, kind)


async def test_a_store_that_answers_has_no_problem(valkey_server: Valkey, valkey_cluster: Cluster) -> None:
    assert await probe(valkey_server.url) is None
    assert await probe(valkey_cluster.url) is None


async def test_a_store_with_a_password_says_so_and_not_which() -> None:
    with running("--requirepass", "right") as server:
        problem = await probe(f"redis://:wrong@127.0.0.1:{server.port}/0")
        assert problem is not None
        assert "check user, password" in problem
        assert "wrong" not in problem
        assert await probe(f"redis://:right@127.0.0.1:{server.port}/0") is None


async def test_a_store_that_hangs_is_not_waited_for(valkey_server: Valkey) -> None:
    async with hole(valkey_server.port) as way:
        way.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await probe(way.url)
