"""What sums cost a settlement: the same holds and settlements with their usage rows, once with the sums and once without."""

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

from storage.records.commands import Done, Grant, Hold, Settle
from storage.records.ledger import CREDITS, AccountKey
from storage.records.money import CREDIT
from storage.records.usage import Usage, UsageRow
from storage.sql.postgres.series import UsageWriter as PostgresWriter
from storage.sql.postgres.store import open_postgres
from storage.sql.rollups import Columns
from storage.sql.sqlite.series import UsageWriter
from storage.sql.sqlite.store import open_sqlite
from storage.store import Store
from tests.bench.ledger_bench import NANO, now_us
from tests.bench.postgres_ledger_bench import TUNED
from tests.fakes.postgres import NoPostgres, Server, running

RATIO_MAX = 1.3
CALLERS = (1, 32, 256)
ROUNDS = 5
_MODELS = ("claude-sonnet-4-5", "gpt-5", "gemini-2.5-flash")


class RowsOnly(UsageWriter):
    """Writes the rows as the product does, and no sums: the floor of this comparison."""

    def write(self, rows: Sequence[Columns], replaced: Iterable[str]) -> None:
        """As the product's, to the point where the sums begin."""
        self._taken(replaced)
        self._added(rows)


class RowsOnlyOnPostgres(PostgresWriter):
    """The same on PostgreSQL, where series are looked up before a batch; these looks stay in the floor."""

    async def raise_sums(self) -> None:
        """Nothing."""


def account(number: int) -> AccountKey:
    """A user's credits."""
    return AccountKey("bench", "user", f"user-{number}", CREDITS, CREDIT)


async def _settle(store: Store, numbers: "itertools.count[int]", caller: int, end: float) -> int:
    count, key = 0, account(caller)
    while not count or time.perf_counter() < end:
        number = next(numbers)
        held = await store.submit(Hold(account=key, amount=2 * NANO, expires_us=now_us() + 60_000_000))
        assert isinstance(held, Done), held
        settled = await store.submit(
            Settle(tenant="bench", hold_id=held.id, amount=NANO, usage=_row(caller, number, f"row-{number}"))
        )
        assert isinstance(settled, Done), settled
        count += 1
    return count


def _row(caller: int, number: int, row_id: str) -> UsageRow:
    return UsageRow(
        id=row_id,
        request_id=row_id,
        occurred_us=now_us(),
        user_id=f"user-{caller}",
        caller_kind="subscription",
        tier="professional",
        method="executeAIRequest",
        door="rpc",
        provider="bench",
        model=_MODELS[number % len(_MODELS)],
        outcome="done",
        usage=Usage(input=100, output=50),
        tenant="bench",
        latency_us=1_000_000,
        cost_nano=NANO // 2,
        charge_amount=NANO,
        charge_asset=CREDIT,
    )


Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens a store that holds nothing yet."""


async def _cpu_us(opening: Opening, cpu_seconds: Callable[[], float], callers: int, seconds: float) -> float:
    """Microseconds of processor time for one hold and its settlement."""
    async with opening() as store:
        grants = (
            Grant(
                account=account(number), amount=10**6 * NANO, reason="purchase", source="bench", source_ref=str(number)
            )
            for number in range(callers)
        )
        await asyncio.gather(*(store.submit(grant) for grant in grants))
        await store.prune(
            usage_before_us=0
        )  # the server's job: from then on what can wait waits until the day has ended
        numbers, begun = itertools.count(), cpu_seconds()
        end = time.perf_counter() + seconds
        done = await asyncio.gather(*(_settle(store, numbers, caller, end) for caller in range(callers)))
        return (cpu_seconds() - begun) / sum(done) * 1e6


async def measure(
    seconds: float,
    show: Callable[[str], object],
    sides: tuple[Opening, Opening],
    cpu_seconds: Callable[[], float] = time.process_time,
    of_callers: Sequence[int] = CALLERS,
) -> None:
    """Print a line for each number of callers; the two sides, rows only first, take turns and the medians count."""
    show(f"{'a hold and its settlement, CPU us':36}{'rows only':>11}{'with sums':>11}{'ratio':>7}   aim")
    for callers in of_callers:
        found: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for opening, times in zip(sides, found, strict=True):
                times.append(await _cpu_us(opening, cpu_seconds, callers, seconds / ROUNDS))
        floor, ours = (median(times) for times in found)
        ratio = ours / floor
        aim = f"< {RATIO_MAX}: {'met' if ratio < RATIO_MAX else 'NOT MET'}"
        show(f"{f'{callers} callers':36}{floor:11.1f}{ours:11.1f}{ratio:7.2f}   {aim}")


def on_sqlite() -> tuple[Opening, Opening]:
    """Files of their own."""

    @asynccontextmanager
    async def opened(usage: type[UsageWriter]) -> AsyncIterator[Store]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_sqlite(str(Path(folder) / "settle.db"), clock_us=now_us, usage=usage) as store:
                yield store

    return partial(opened, RowsOnly), partial(opened, UsageWriter)


def on_postgres(server: Server) -> tuple[Opening, Opening]:
    """One database, emptied each time."""

    @asynccontextmanager
    async def opened(usage: type[PostgresWriter]) -> AsyncIterator[Store]:
        url = await asyncio.to_thread(server.cleaned)
        async with open_postgres(url, clock_us=now_us, usage=usage) as store:
            yield store

    return partial(opened, RowsOnlyOnPostgres), partial(opened, PostgresWriter)


def run(seconds: float) -> None:
    """Print both tables; on PostgreSQL the processor's time is ours and the server's."""
    whole = max(seconds, 0.5) * ROUNDS
    show("SQLite")
    asyncio.run(measure(whole, show, on_sqlite()))
    try:
        with running(*TUNED) as server:
            show("PostgreSQL")
            asyncio.run(measure(whole, show, on_postgres(server), lambda: time.process_time() + server.cpu_seconds()))
    except NoPostgres as why:
        show(f"no PostgreSQL here: {why}")


def show(line: str) -> None:
    """Print it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
