"""Many writers in several processes on a few hot accounts: no deadlock, no lost row, no broken invariant."""

import asyncio
import json
import sys
import time
from pathlib import Path

from storage.records.commands import Done, Grant
from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_store
from tests.fakes.postgres import Server

PROCESSES = 4
TASKS = 16
SECONDS = 5.0
ACCOUNTS = 10
LOTS = 4

WRITER = """
import asyncio, json, random, sys, time
from storage.records.commands import Charge, Claim, Done, Event, Hold, Idempotency, Move, Release, Settle
from storage.records.ledger import CREDITS, AccountKey, WindowKey
from storage.records.usage import Usage, UsageRow
from storage.store import open_store

url, name, seconds, tasks = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])

def account(number):
    return AccountKey("t", "user", f"user-{number}", CREDITS, "TOKEN")

def now_us():
    return time.time_ns() // 1000

async def main():
    counts = {"charged": 0, "usage": 0, "settled": 0, "windows": 0}
    end = time.monotonic() + seconds
    async with open_store(url, clock_us=now_us) as store:
        async def work(task):
            chance = random.Random(f"{name}-{task}")
            number = 0
            while time.monotonic() < end:
                number += 1
                key = account(chance.randrange(10))
                claims = tuple(
                    Claim(WindowKey("t", subject, "tokens", "monthly", 0), 3)
                    for subject in chance.sample(["team-a", "team-b", "team-c", key.owner_id], 3)
                )
                held = await store.submit(Hold(account=key, amount=3, expires_us=now_us() + 60_000_000, claims=claims))
                assert isinstance(held, Done), held
                row = UsageRow(id=f"{name}-{task}-{number}", request_id="r", occurred_us=now_us(), user_id=key.owner_id,
                               caller_kind="subscription", tier="free", method="m", door="rpc", provider="p", model="m",
                               outcome="done", usage=Usage(input=1), tenant="t", cost_nano=1)
                settled = await store.submit(Settle(tenant="t", hold_id=held.id, amount=2, quota={"tokens": 2}, usage=row,
                                                    events=(Event("x", "{}"),)))
                assert isinstance(settled, Done), settled
                counts["charged"] += settled.amount
                counts["settled"] += 1
                counts["usage"] += 1
                counts["windows"] += 6
                if chance.random() < 0.2:
                    moved = await store.submit(Move(source=key, target=account((int(key.owner_id[5:]) + 1) % 10), amount=1))
                    assert isinstance(moved, Done), moved
                if chance.random() < 0.2:
                    shared = chance.randrange(200)
                    once = await store.submit(Charge(account=account(shared % 10), amount=1,
                                                     idempotency=Idempotency("shared", str(shared), "same")))
                    assert isinstance(once, Done), once
                    counts["charged"] += 0 if once.is_replay else 1
        await asyncio.gather(*(work(task) for task in range(tasks)))
    print(json.dumps(counts))

asyncio.run(main())
"""


def account(number: int) -> AccountKey:
    return AccountKey("t", "user", f"user-{number}", CREDITS, "TOKEN")


async def writer(url: str, name: str, seconds: float) -> dict[str, int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, url, name, str(seconds), str(TASKS), stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, int] = json.loads(out)
    return found


async def test_sixty_four_writers_on_ten_hot_accounts_neither_deadlock_nor_lose_a_row(postgres: Server) -> None:
    await write_together(postgres, SECONDS)


async def write_together(postgres: Server, seconds: float) -> None:
    """Let all writers loose for so long, then count every row."""
    url = await asyncio.to_thread(postgres.fresh)
    name = postgres.database(url)
    granted = 1_000_000
    async with open_store(url, clock_us=lambda: time.time_ns() // 1000) as store:
        for number in range(ACCOUNTS):
            for lot in range(LOTS):
                made = await store.submit(
                    Grant(
                        account=account(number),
                        amount=granted,
                        reason="purchase",
                        source="test",
                        source_ref=f"{number}-{lot}",
                    )
                )
                assert isinstance(made, Done)
        counts = await asyncio.gather(*(writer(url, f"w{number}", seconds) for number in range(PROCESSES)))
        assert [check for check in await store.verify() if not check.is_ok] == []
        balances = [await store.balance(account(number)) for number in range(ACCOUNTS)]
    total = {key: sum(count[key] for count in counts) for key in counts[0]}
    assert total["settled"] > 100
    assert sum(balance.posted for balance in balances) == ACCOUNTS * LOTS * granted - total["charged"]
    assert sum(balance.held for balance in balances) == 0
    assert postgres.query("SELECT count(*) FROM usage", name) == [[str(total["usage"])]]
    assert postgres.query("SELECT count(*) FROM outbox", name) == [[str(total["settled"])]]
    assert postgres.query("SELECT sum(used), sum(held) FROM quota_window", name) == [[str(total["windows"]), "0"]]
    assert postgres.query("SELECT deadlocks FROM pg_stat_database WHERE datname=current_database()", name) == [["0"]]
