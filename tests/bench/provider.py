"""The fake provider as the benchmark wants it: whole replies and streams that leave chunk by chunk, or in one burst."""

import argparse
import asyncio
import sys

import orjson
import uvloop

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import GOOD, Script

CHUNKS = 100
WORD = "benchmark "
TEXT = WORD * CHUNKS
MODEL = "bench"
PACED_MODEL = "bench-paced"
_PACED = Script()


class BenchProvider(FakeProvider):
    """Its paced streams put every chunk into a write of its own, as a model does; the others go out in one piece."""

    def script_for(self, model: str, body: bytes = b"") -> Script:
        """Paced or not, as the model's name says."""
        del body
        return _PACED if model == PACED_MODEL else GOOD


async def _serve() -> None:
    async with BenchProvider(words=(WORD,) * CHUNKS, records=False) as fake:
        sys.stdout.buffer.write(orjson.dumps({"port": fake.port}) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.Event().wait()


def main() -> None:
    """`python -m tests.bench.provider`; prints its port as one JSON line and runs until it is ended."""
    argparse.ArgumentParser().parse_args()
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
