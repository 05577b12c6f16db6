"""Bytes to and from a server without any HTTP library, for what no library would send."""

import asyncio


async def exchanged(port: int, data: bytes, *, seconds: float = 10.0) -> tuple[int, bytes, bytes]:
    """Status, head and body of the first answer to these bytes; (0, b"", b"") when the server just hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(seconds):
            writer.write(data)
            return await answer_from(reader)
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0, b"", b""
    finally:
        writer.close()


async def answer_from(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """The next answer of a connection. Raises: IncompleteReadError when there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lowered = head.lower()
    if b"\r\ncontent-length: " not in lowered:
        return status, head, b"" if status == 204 else await reader.read()
    size = int(lowered.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
    return status, head, await reader.readexactly(size)


def post(body: bytes, *lines: str, path: str = "/rpc") -> bytes:
    """A POST of JSON with more header lines."""
    more = "".join(f"{line}\r\n" for line in lines)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode("utf-8", "surrogateescape") + body
