"""How commands reach Redis or Valkey: one server over one connection, or a cluster. It knows no script and no limit."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias  # Any: the library's own types stop at this module

from redis import asyncio as redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

__all__ = ["NoScriptError", "RedisError", "Reply", "Wire", "connect"]

Reply: TypeAlias = list[int] | int | bytes | Exception
Argument: TypeAlias = str | int


class Wire(Protocol):
    """An open way to a server or a cluster."""

    async def send(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send all commands at once and return their replies in order; an error of one command is its reply.

        Raises what the library raises when the way itself is broken.
        """
        ...

    async def load(self, scripts: Sequence[str]) -> None:
        """Tell every server these scripts."""
        ...

    async def close(self) -> None:
        """Let go of it at once."""
        ...


class _Single:
    """One server. The connection is used directly: the library's pipelines cost twice as much for the same bytes."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def send(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies: list[Reply] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as refused:
                replies.append(refused)
        return replies

    async def load(self, scripts: Sequence[str]) -> None:
        for told in await self.send([("SCRIPT", "LOAD", script) for script in scripts]):
            if isinstance(told, Exception):
                raise told

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class _Cluster:
    """A cluster: each command goes to the node of its keys, the commands of one node together."""

    def __init__(self, client: "redis.RedisCluster") -> None:
        self._client = client

    async def send(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        pipeline = self._client.pipeline()
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Reply] = await pipeline.execute(raise_on_error=False)
        return replies

    async def load(self, scripts: Sequence[str]) -> None:
        for script in scripts:
            await self._client.script_load(script)

    async def close(self) -> None:
        await self._client.aclose()


async def connect(url: str) -> Wire:
    """Open a way to what the address names, and hear it answer. The caller bounds the time."""
    # RESP2: the pool of this library's version does not replace idle RESP3 connections that the server has closed.
    options: dict[str, Any] = {"protocol": 2, "retry": Retry(NoBackoff(), 0), "socket_timeout": None}
    single = _Single(ConnectionPool.from_url(url, **options).make_connection())  # type: ignore[no-untyped-call]  # the library's own gap
    try:
        is_cluster = await _is_cluster(single)
    except BaseException:
        await single.close()
        raise
    if not is_cluster:
        return single
    await single.close()
    client = redis.RedisCluster.from_url(url, **options)
    try:
        await client.initialize()
    except BaseException:
        await client.aclose()
        raise
    return _Cluster(client)


async def _is_cluster(single: _Single) -> bool:
    (told,) = await single.send([("INFO", "cluster")])
    if isinstance(told, Exception):
        raise told
    return isinstance(told, bytes) and b"cluster_enabled:1" in told
