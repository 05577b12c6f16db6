"""What goes wrong with a database: killed, read-only, full, away. Money fails closed and nothing is half written."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from storage.errors import StorageUnavailable, StoreRefused
from storage.records.commands import Charge, Claim, Done, Grant, Hold, Idempotency, Settle
from storage.records.ledger import CREDITS, AccountKey, WindowKey
from storage.records.usage import UsageRow
from storage.sql.postgres.session import PAUSE_SECONDS
from storage.store import Store, open_store
from tests.fakes.postgres import NoPostgres, Server, running, unavailable

END_THE_COMMIT = """DO $$ DECLARE found int; BEGIN
FOR attempt IN 1..2500 LOOP
  PERFORM pg_stat_clear_snapshot(), pg_sleep(0.02);
  SELECT pid INTO found FROM pg_stat_activity WHERE query='COMMIT' AND state='active' AND wait_event='PgSleep';
  EXIT WHEN found IS NOT NULL;
END LOOP;
ASSERT pg_terminate_backend(found);
END $$"""
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()"
)
KILLS = 2
ADA = AccountKey("t", "user", "ada", CREDITS, "TOKEN")


def now_us() -> int:
    return time.time_ns() // 1000


def grant(ref: str = "1", amount: int = 1_000_000, account: AccountKey = ADA) -> Grant:
    return Grant(account=account, amount=amount, reason="purchase", source="test", source_ref=ref)


def charge(key: str) -> Charge:
    return Charge(account=ADA, amount=1, idempotency=Idempotency("test", key, key))


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that may be killed: its commits are on disk."""
    try:
        with running() as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))


async def is_well(store: Store) -> bool:
    return [check for check in await store.verify() if not check.is_ok] == []


async def until_it_answers(store: Store, key: str) -> Done:
    async with asyncio.timeout(30):
        while True:
            try:
                outcome = await store.submit(charge(key))
            except StorageUnavailable:
                await asyncio.sleep(PAUSE_SECONDS / 5)
            else:
                assert isinstance(outcome, Done)
                return outcome


async def test_a_database_killed_under_load_loses_no_answer_and_halves_none(mortal: Server) -> None:
    await kill_under_load(mortal, KILLS)


async def kill_under_load(mortal: Server, kills: int) -> None:
    """Kill the server so many times while twenty callers charge one account, then compare with what they were told."""
    url = await asyncio.to_thread(mortal.fresh)
    done: set[str] = set()
    failed: list[str] = []
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        ends, loaded = asyncio.Event(), asyncio.Event()

        async def work(worker: int) -> None:
            number = 0
            while not ends.is_set():
                number += 1
                key = f"{worker}-{number}"
                try:
                    await store.submit(charge(key))
                    done.add(key)
                    if len(done) % 200 == 0:
                        loaded.set()
                except StorageUnavailable:
                    failed.append(key)
                    await asyncio.sleep(0.01)

        workers = [asyncio.create_task(work(worker)) for worker in range(20)]
        for _ in range(kills):
            loaded.clear()
            await asyncio.wait_for(loaded.wait(), 30)
            await asyncio.to_thread(mortal.kill)
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                await store.submit(charge(f"down-{began}"))
            assert time.monotonic() - began < 30
            await asyncio.to_thread(mortal.restart)
        await until_it_answers(store, "last")
        ends.set()
        await asyncio.gather(*workers)
        assert failed
        assert await is_well(store)
        for key in [*done, *failed[:50]]:  # what was answered is there; what was not is applied once by its repetition
            outcome = await store.submit(charge(key))
            assert isinstance(outcome, Done)
            assert outcome.is_replay or key in failed
        spent = 1_000_000 - (await store.balance(ADA)).posted
        keys = len(await keys_of(store))
        assert spent == keys
        assert await is_well(store)


async def keys_of(store: Store) -> list[int]:
    found, cursor = [], None
    while True:
        page = await store.transfers(ADA, limit=1000, cursor=cursor)
        found += [row.id for row in page.rows if row.code == "usage"]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_reads_and_writes_work_again_after_every_connection_was_cut(store_url: tuple[str, Server]) -> None:
    url, server = store_url
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        await store.balance(ADA)
        server.query(CUT, server.database(url))
        assert (await store.balance(ADA)).posted == 1_000_000
        assert isinstance(await store.submit(charge("a")), Done)


@pytest.fixture
async def store_url(postgres: Server) -> tuple[str, Server]:
    return await asyncio.to_thread(postgres.cleaned), postgres


async def test_a_read_only_database_refuses_to_hold_and_serves_again_afterwards(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    name = postgres.database(url)
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        postgres.query(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        postgres.query(CUT, name)
        with pytest.raises(StorageUnavailable, match="nothing was recorded"):
            await store.submit(Hold(account=ADA, amount=5, expires_us=now_us() + 1_000_000))
        assert (await store.balance(ADA)).held == 0
        postgres.query(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        postgres.query(CUT, name)
        assert isinstance(await until_it_answers(store, "again"), Done)
        assert await is_well(store)


async def test_a_start_that_must_write_and_cannot_is_refused_in_one_line(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    name = postgres.database(url)
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        await store.submit(Hold(account=ADA, amount=5, expires_us=now_us() + 1_000))
    postgres.query(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
    with pytest.raises(StoreRefused, match="cannot write now"):
        async with open_store(url, clock_us=lambda: now_us() + 1_000_000):
            pass
    postgres.query(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    async with open_store(url, clock_us=lambda: now_us() + 1_000_000) as store:
        assert (await store.balance(ADA)).held == 0


async def test_a_disk_that_is_full_halfway_through_a_batch_leaves_nothing_of_it(store_url: tuple[str, Server]) -> None:
    url, server = store_url
    name = server.database(url)
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE='53100', MESSAGE='no space left'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON batch EXECUTE FUNCTION full_disk()"
    )
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        server.query(full, name)
        try:
            outcomes = await asyncio.gather(*(store.submit(charge(str(n))) for n in range(5)), return_exceptions=True)
        finally:
            server.query("DROP FUNCTION full_disk CASCADE", name)
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        assert (await store.balance(ADA)).posted == 1_000_000
        assert isinstance(await store.submit(charge("0")), Done)
        assert await is_well(store)


async def test_a_lost_answer_of_a_commit_is_found_out_and_told_truly(store_url: tuple[str, Server]) -> None:
    url, server = store_url
    name = server.database(url)
    slow = (
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON batch DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        server.query(slow, name)
        waiting = asyncio.ensure_future(store.submit(charge("lost")))
        await asyncio.to_thread(server.query, END_THE_COMMIT, name)
        with pytest.raises(StorageUnavailable, match="nothing was recorded"):
            await waiting
        server.query("DROP FUNCTION slow CASCADE", name)
        assert (await store.balance(ADA)).posted == 1_000_000
        first = await store.submit(charge("lost"))
        assert isinstance(first, Done)
        assert not first.is_replay
        assert await is_well(store)


class Cutter:
    """Stands between a store and its database; once armed, it passes the next COMMIT on and cuts before the answer."""

    def __init__(self, server: Server) -> None:
        self.socket = str(server.folder / ".s.PGSQL.5432")
        self.is_armed = False
        self.tasks: list[asyncio.Task[None]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_unix_connection(self.socket)
        back = asyncio.create_task(self.copy(other_reader, writer))
        self.tasks.append(back)
        self.writers += [writer, other_writer]
        while data := await reader.read(1 << 16):
            is_last = self.is_armed and b"COMMIT\x00" in data
            if is_last:
                self.is_armed = False
                back.cancel()
            other_writer.write(data)
            await other_writer.drain()
            if is_last:
                await other_reader.read(1)  # the server has answered; nobody hears it
                break
        other_writer.close()
        writer.close()

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()


async def test_a_commit_that_happened_is_a_success_even_when_its_answer_was_lost(store_url: tuple[str, Server]) -> None:
    url, server = store_url
    cutter = Cutter(server)
    proxy = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    async with open_store(f"postgresql://tollgate@127.0.0.1:{port}/{server.database(url)}", clock_us=now_us) as store:
        await store.submit(grant())
        for number in range(5):
            cutter.is_armed = True
            outcome = await store.submit(charge(str(number)))
            assert not cutter.is_armed
            assert isinstance(outcome, Done)
            assert not outcome.is_replay
        assert (await store.balance(ADA)).posted == 1_000_000 - 5
        assert await is_well(store)
    proxy.close()
    await asyncio.gather(*cutter.tasks, return_exceptions=True)
    for writer in cutter.writers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in cutter.writers), return_exceptions=True)


async def test_a_label_that_postgres_cannot_store_stops_no_charge(store_url: tuple[str, Server]) -> None:
    url, _ = store_url
    row = UsageRow(id="use_1", request_id="r\x00", occurred_us=1, user_id="ada", caller_kind="byok", tier="free", method="m",
                   door="rpc", provider=None, model="m\ud800", outcome="done", tenant="t", feature="\x00f",
                   charge_amount=30)  # fmt: skip
    async with open_store(url, clock_us=now_us) as store:
        await store.submit(grant())
        held = await store.submit(Hold(account=ADA, amount=50, expires_us=now_us() + 60_000_000, ref="a\x00b"))
        assert isinstance(held, Done)
        settled = await store.submit(Settle(tenant="t", hold_id=held.id, amount=30, usage=row, ref="r\x00"))
        assert isinstance(settled, Done)
        assert settled.amount == 30
        (kept,) = (await store.usage("t", "ada")).rows
        assert (kept.request_id, kept.model, kept.feature) == ("r\ufffd", "m?", "\ufffdf")
        assert await is_well(store)


async def test_two_stores_that_share_only_a_quota_window_never_lose_a_count(store_url: tuple[str, Server]) -> None:
    url, _ = store_url
    window = WindowKey("t", "team", "requests", "monthly", 0)
    bob = ADA._replace(owner_id="bob")

    async def count(store: Store, account: AccountKey) -> int:
        taken = 0
        for _ in range(60):
            one = Charge(account=account, amount=0, claims=(Claim(window, 1, limit=100),))
            taken += isinstance(await store.submit(one), Done)
        return taken

    async with open_store(url, clock_us=now_us) as one, open_store(url, clock_us=now_us) as other:
        assert sum(await asyncio.gather(count(one, ADA), count(other, bob))) == 100
        assert (await one.window(window)).used == 100
        assert await is_well(one)


async def test_two_stores_that_grant_one_business_key_at_once_grant_it_once(store_url: tuple[str, Server]) -> None:
    url, _ = store_url
    bob = ADA._replace(owner_id="bob")
    async with open_store(url, clock_us=now_us) as one, open_store(url, clock_us=now_us) as other:
        for number in range(20):
            same = [grant(str(number), 5), grant(str(number), 5, bob)]
            outcomes = await asyncio.gather(one.submit(same[0]), other.submit(same[1]), other.submit(same[0]))
            assert sum(isinstance(outcome, Done) and not outcome.is_replay for outcome in outcomes) == 1
        assert (await one.balance(ADA)).posted + (await one.balance(bob)).posted == 100
        assert await is_well(one)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://tollgate:geheim@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://tollgate:geheim@127.0.0.1/x?readers=0", "readers='0'"),
        ("postgresql://tollgate:geheim@127.0.0.1/x?statement_cache_size=many", "statement_cache_size='many'"),
    ],
)
async def test_a_wrong_address_is_refused_in_one_line_without_its_password(url: str, words: str) -> None:
    with pytest.raises(StoreRefused, match=r"^storage\.url: ") as refused:
        async with open_store(url, clock_us=now_us):
            pass
    assert words in str(refused.value)
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_database_that_does_not_exist_is_refused_in_one_line(postgres: Server) -> None:
    with pytest.raises(StoreRefused, match=r"refused the connection.*no_such_place"):
        async with open_store(postgres.url("no_such_place"), clock_us=now_us):
            pass


def test_a_missing_driver_is_one_line_that_names_the_key_and_the_extra() -> None:
    code = (
        "import asyncio, sys\nsys.modules['asyncpg'] = None\nfrom storage.store import open_store\n"
        "async def main():\n    async with open_store('postgresql://h/d', clock_us=lambda: 0): pass\n"
        "try: asyncio.run(main())\nexcept Exception as refused: print(type(refused).__name__, refused)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.startswith("StoreRefused storage.url: PostgreSQL needs asyncpg")
    assert "pip install -e '.[postgres]'" in done.stdout


async def test_a_store_uses_a_fixed_number_of_connections_and_no_session_state(store_url: tuple[str, Server]) -> None:
    url, server = store_url
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name='tollgate'"
    locks = "SELECT count(*) FROM pg_locks WHERE locktype='advisory'"
    async with open_store(f"{url}&readers=2&statement_cache_size=0", clock_us=now_us) as store:
        await store.submit(grant())
        await asyncio.gather(
            *(store.balance(ADA) for _ in range(50)), *(store.submit(charge(str(n))) for n in range(50))
        )
        assert await is_well(store)
        assert int(server.query(count)[0][0]) <= 3
        assert server.query(locks) == [["0"]]
