"""A server's regular work, done again and again on a store with some use: what that loads and keeps. A process of a test."""

import asyncio
import gc
import os
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import orjson

import server.app
import server.serving  # noqa: F401  # with the app, what a server has loaded when it is ready
from monetization.registers import Registers
from server.compose import Instruments, now_us, regular_work
from server.config import Settings
from server.drain import Drain
from server.from_settings import ceiling_of, model_costs_of, price_sources_of
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics
from server.reloading import open_tiers
from storage.records.usage import Usage, UsageRow
from storage.store import Store, open_store

USERS = 20
TIMES = 10


async def main(folder: Path) -> None:
    instruments = Instruments(Logs(LineWriter(os.open(os.devnull, os.O_WRONLY)), now=time.time), Metrics(), Drain())
    settings, logs = Settings.of({}), instruments.logs
    async with open_store(f"sqlite:///{folder}/new.db", clock_us=now_us) as store:
        registers = Registers(store, price_sources_of(settings), on_problem=sys.exit, ceiling=ceiling_of(settings))
        costs = partial(model_costs_of, book=registers.book, clock_us=now_us)
        with open_tiers(settings, costs, logs=logs, metrics=instruments.metrics) as in_force:
            await use(store)
            jobs = regular_work(settings, store, registers, in_force, instruments)
            at_ready = set(sys.modules)
            for job in jobs:
                await job.run()
            loaded = sorted(sys.modules.keys() - at_ready)
            tracemalloc.start()
            kept = []
            for _ in range(TIMES):
                for job in jobs:
                    await job.run()
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
    logs.close()
    names = [job.name for job in jobs]
    sys.stdout.write(orjson.dumps({"jobs": names, "loaded": loaded, "kept": kept[-1] - kept[0]}).decode())


async def use(store: Store) -> None:
    """Calls of some users, so that there is something to look at."""
    for number in range(USERS):
        await store.record_usage(
            UsageRow(
                id=f"use_{number}",
                request_id=f"req_{number}",
                occurred_us=now_us(),
                user_id=f"user_{number}",
                caller_kind="subscription",
                tier="free",
                method="executeAIRequest",
                door="rpc",
                provider="openai",
                model="m",
                outcome="done",
                usage=Usage(input=3, output=4),
                cost_nano=50,
            )
        )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
