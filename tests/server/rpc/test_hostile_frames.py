"""Frames that no WebSocket library sends, to the shipped server on loopback."""

import asyncio
import json
import zlib

import pytest
from websockets.asyncio.client import connect

from tests.server.rpc.conftest import World
from tests.server.rpc.served import served


def _frame(kind: int, payload: bytes, *, is_last: bool = True, is_masked: bool = True, reserved: int = 0) -> bytes:
    mask = 0x80 if is_masked else 0
    size = len(payload)
    lengths = bytes([mask | size]) if size < 126 else bytes([mask | 127]) + size.to_bytes(8, "big")
    return bytes([(0x80 if is_last else 0) | reserved | kind]) + lengths + (b"\0\0\0\0" if is_masked else b"") + payload


def _bomb() -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(b'"' + b"a" * 8_000_000 + b'"') + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


HOSTILE = {
    "no UTF-8": (_frame(1, b'"\xff"'), 1007),
    "a surrogate": (_frame(1, b'"\xed\xa0\x80"'), 1007),
    "unmasked": (_frame(1, b"{}", is_masked=False), 1002),
    "an unknown kind": (_frame(3, b"{}"), 1002),
    "a reserved bit": (_frame(1, b"{}", reserved=0x20), 1002),
    "a length of 2^62": (b"\x81\xff" + (2**62).to_bytes(8, "big") + b"\0\0\0\0x", 1009),
    "a message without end": (
        _frame(1, b"x" * 65_000, is_last=False) + _frame(0, b"x" * 65_000, is_last=False) * 70,
        1009,
    ),
    "a bomb": (_frame(1, _bomb(), reserved=0x40), 1009),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_frames_that_break_the_rules_close_their_socket_with_its_code_and_no_other(
    world: World, name: str
) -> None:
    data, code = HOSTILE[name]
    async with served(world.door()) as at, connect(at.ws) as other:
        reader, writer = await at.raw()
        writer.write(
            b"GET /rpc HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
        )
        assert b"permessage-deflate" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.write(data)
        head = await asyncio.wait_for(reader.readexactly(4), 30)
        assert (head[0], int.from_bytes(head[2:], "big")) == (0x88, code)
        await other.send('{"jsonrpc":"2.0","id":1,"method":"ping"}')
        assert json.loads(await asyncio.wait_for(other.recv(), 30))["result"] == {"pong": True}
    assert [call.method for call in world.calls] == ["ping"]
