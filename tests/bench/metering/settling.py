"""What sums cost a settlement: the same holds and settlements with their usage rows, once with the sums and once without."""

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from storage.records.commands import Done, Grant, Hold, Settle
from storage.records.ledger import CREDITS, AccountKey
from storage.records.money import CREDIT
from storage.records.usage import Usage, UsageRow
from storage.sql.rollups import Columns
from storage.sql.sqlite.series import UsageWriter
from storage.sql.sqlite.store import open_sqlite
from storage.store import Store
from tests.bench.ledger_bench import NANO, now_us

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


def account(number: int) -> AccountKey:
    """A user's credits."""
    return AccountKey("bench", "user", f"user-{number}", CREDITS, CREDIT)


async def _settle(store: Store, numbers: "itertools.count[int]", caller: int, end: float) -> int:
    count, key = 0, account(caller)
    while time.perf_counter() < end:
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


async def _cpu_us(path: Path, usage: type[UsageWriter], callers: int, seconds: float) -> float:
    """Microseconds of processor time for one hold and its settlement."""
    async with open_sqlite(str(path), clock_us=now_us, usage=usage) as store:
        grants = (
            Grant(
                account=account(number), amount=10**6 * NANO, reason="purchase", source="bench", source_ref=str(number)
            )
            for number in range(callers)
        )
        await asyncio.gather(*(store.submit(grant) for grant in grants))
        numbers, begun = itertools.count(), time.process_time()
        end = time.perf_counter() + seconds
        done = await asyncio.gather(*(_settle(store, numbers, caller, end) for caller in range(callers)))
        return (time.process_time() - begun) / sum(done) * 1e6


async def measure(seconds: float, show: Callable[[str], object]) -> None:
    """Print a line for each number of callers; the two sides take turns and the medians count."""
    show(f"{'a hold and its settlement, CPU us':36}{'rows only':>11}{'with sums':>11}{'ratio':>7}   aim")
    for callers in CALLERS:
        found: dict[type[UsageWriter], list[float]] = {RowsOnly: [], UsageWriter: []}
        for _ in range(ROUNDS):
            for usage, times in found.items():
                with tempfile.TemporaryDirectory() as folder:
                    times.append(await _cpu_us(Path(folder) / "settle.db", usage, callers, seconds / ROUNDS))
        floor, ours = (median(times) for times in found.values())
        ratio = ours / floor
        aim = f"< {RATIO_MAX}: {'met' if ratio < RATIO_MAX else 'NOT MET'}"
        show(f"{f'{callers} callers':36}{floor:11.1f}{ours:11.1f}{ratio:7.2f}   {aim}")


def run(seconds: float) -> None:
    """Print the table."""
    asyncio.run(measure(max(seconds, 0.5) * ROUNDS, lambda line: sys.stdout.write(line + "\n")))
