"""The real `serve` in its own process: how it leaves."""

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from server.serving import CannotListen, listen


@dataclass
class Served:
    process: Process
    url: str
    http: aiohttp.ClientSession

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return (await self.process.stdout.readline()).decode().strip()

    async def status(self, path: str) -> int:
        async with self.http.get(f"{self.url}{path}") as reply:
            await reply.read()
            return reply.status

    async def text(self, path: str) -> str:
        async with self.http.get(f"{self.url}{path}") as reply:
            return await reply.text()

    def working(self, seconds: float) -> "asyncio.Task[int]":
        return asyncio.create_task(self.status(f"/work?seconds={seconds}"))

    def working_until_enough(self) -> "asyncio.Task[int]":
        """Work that ends when /enough was asked for."""
        return asyncio.create_task(self.status("/work?waits=1"))

    async def until_readiness_fails(self) -> None:
        async with asyncio.timeout(30):
            while await self.status("/readyz") == 200:
                pass  # each round waits for an answer

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def served(folder: Path, **server: object) -> AsyncIterator[Served]:
    file = folder / "config.toml"
    postgres = 'url = "postgresql://nobody@127.0.0.1/none"' if "workers" in server else ""
    lines = "\n".join(f"{key} = {value}" for key, value in {"port": 0, **server}.items())
    file.write_text(f"[server]\n{lines}\n[storage]\n{postgres}\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.operations.small_app", str(file), stdout=PIPE, start_new_session=True
    )
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            serving = Served(process, "", http)
            serving.url = await serving.line()
            assert serving.url.startswith("http://127.0.0.1:")
            yield serving
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
        await process.wait()


async def test_at_sigterm_readiness_fails_new_work_is_refused_and_running_work_finishes(tmp_path: Path) -> None:
    async with served(tmp_path) as serving:
        assert await serving.status("/readyz") == 200
        running = serving.working_until_enough()
        assert await serving.line() == "working"
        serving.process.send_signal(signal.SIGTERM)
        await serving.until_readiness_fails()
        assert await serving.status("/livez") == 200
        assert await serving.status("/work") == 503
        assert not running.done()
        assert await serving.status("/enough") == 200
        assert await running == 200
        assert await serving.line() == "closing with 0"
        assert await serving.ended() == 0


async def test_while_a_balancer_notices_calls_are_still_taken(tmp_path: Path) -> None:
    async with served(tmp_path, drain_notice_seconds=4) as serving:
        assert await serving.status("/readyz") == 200
        serving.process.send_signal(signal.SIGTERM)
        await serving.until_readiness_fails()
        assert await serving.status("/work") == 200
        async with asyncio.timeout(30):
            while await is_served(serving):
                pass  # each round waits for an answer
        assert await serving.ended() == 0


async def is_served(serving: Served) -> bool:
    """Whether a new call is taken; a server that has gone takes none."""
    try:
        return await serving.status("/work") == 200
    except aiohttp.ClientError:
        return False


async def test_work_that_outlives_the_deadline_is_cancelled_before_the_stores_close(tmp_path: Path) -> None:
    async with served(tmp_path, drain_seconds=0.3) as serving:
        running = serving.working(60)
        assert await serving.line() == "working"
        serving.process.send_signal(signal.SIGTERM)
        assert await serving.line() == "closing with 0"
        assert await serving.ended() == 0
        (answer,) = await asyncio.gather(running, return_exceptions=True)
        assert answer == 500 or isinstance(answer, aiohttp.ClientError)


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as serving:
        running = serving.working(60)
        assert await serving.line() == "working"
        serving.process.send_signal(signal.SIGTERM)
        await serving.until_readiness_fails()
        serving.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):  # and not after the 20 seconds of a drain
            await serving.process.wait()
        await asyncio.gather(running, return_exceptions=True)


async def test_workers_add_up_their_metrics_and_leave_together(tmp_path: Path) -> None:
    async with served(tmp_path, workers=2) as serving:
        asked, answered = 0, set[str]()
        async with asyncio.timeout(30):
            while len(answered) < 2:
                asked += 1
                answered.add(await serving.text("/work"))
        async with asyncio.timeout(30):
            while await counted(serving) != asked:
                pass  # what the other worker has counted may be a second old
        serving.process.send_signal(signal.SIGTERM)
        assert await serving.ended() == 0


async def counted(serving: Served) -> float:
    found = re.search(r'tollgate_calls_total\{[^}]*outcome="ok"[^}]*\} ([0-9.]+)', await serving.text("/metrics"))
    assert found is not None
    return float(found[1])


async def test_workers_whose_parent_was_killed_leave_by_themselves(tmp_path: Path) -> None:
    async with served(tmp_path, workers=2) as serving:
        assert (await serving.text("/work")) != ""
        serving.process.kill()
        await serving.ended()
        async with asyncio.timeout(30):
            while await is_answered(serving):
                pass  # each round waits for an answer


async def is_answered(serving: Served) -> bool:
    try:
        await serving.status("/work")
    except aiohttp.ClientError:
        return False
    return True


def test_a_port_in_use_is_named_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            listen("127.0.0.1", port)
    assert f"127.0.0.1:{port}" in str(refused.value)
    assert "--port" in str(refused.value)
    assert "\n" not in str(refused.value)
