"""The fake provider as a process, as the benchmarks and the tests with several processes use it."""

import asyncio
import sys

import aiohttp
import orjson


async def test_it_runs_as_a_process_and_says_where() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fakes.provider",
        "--chunks",
        "100",
        "--reply-bytes",
        "1000",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            url = orjson.loads(await process.stdout.readline())["url"]
            async with aiohttp.ClientSession() as session:
                body = b'{"model":"m","stream":true}'
                async with session.post(f"{url}/v1/chat/completions", data=body) as reply:
                    assert (await reply.read()).count(b'"content":"word') == 100
                async with session.post(f"{url}/v1/messages", data=b'{"model":"m"}') as reply:
                    assert len((await reply.json())["content"][0]["text"]) == 1000
    finally:
        process.kill()
        await process.wait()
