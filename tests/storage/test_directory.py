"""Directory entries: one promise on every database; versions, tombstones, pages, and the order in which changes are told."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from billing.errors import accepted
from storage.errors import InvalidCursor, VersionChanged
from storage.records.commands import Done, Grant, Keep, Put, Refusal, RequireVersion
from storage.records.directory import DELETED, DirectoryEntry
from storage.records.kept import ANSWER, KeptRow
from storage.records.ledger import CREDITS, AccountKey
from storage.records.money import NEVER_US
from storage.sql.directory_rows import STAY_US
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock

T = "default"


def entry(key: str, body: str = "{}", *, kind: str = "limits", owner: str = "user:u", **more: int) -> DirectoryEntry:
    return DirectoryEntry(T, kind, key, owner, body, **more)


async def put(store: Store, made: DirectoryEntry, expect: int | None = None) -> int:
    """The new version."""
    done = await store.submit(Put(made, expect))
    assert isinstance(done, Done), done
    return done.amount


async def test_the_newest_version_stands_with_its_numbers(store: Store, clock: Clock) -> None:
    assert await store.entry(T, "limits", "a") is None
    assert await store.directory_seq() == 0
    assert await put(store, entry("a", '{"rpm":1}')) == 1
    clock.forward(1)
    assert await put(store, entry("a", '{"rpm":2}')) == 2
    found = await store.entry(T, "limits", "a")
    assert found == entry("a", '{"rpm":2}', version=2, seq=2, changed_us=clock.now)
    assert await store.entry("other", "limits", "a") is None
    assert await store.directory_seq() == 2


async def test_a_put_that_expects_another_version_changes_nothing(store: Store, clock: Clock) -> None:
    refused = await store.submit(Put(entry("a"), expect=1))
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.data["version"]) == ("version_changed", 0)
    with pytest.raises(VersionChanged) as told:
        accepted(refused)
    assert told.value.data == {"version": 0}
    assert await put(store, entry("a"), 0) == 1
    again = await store.submit(Put(entry("a", "[]"), expect=0))
    assert isinstance(again, Refusal)
    assert again.data["version"] == 1
    assert await put(store, entry("a", "[1]"), 1) == 2
    assert await put(store, entry("a", DELETED), 2) == 3
    dead = await store.submit(Put(entry("a", "[2]"), expect=3))
    assert isinstance(dead, Refusal)
    assert await put(store, entry("a", "[3]", expires_us=clock.later(1)), 0) == 4
    clock.forward(1)
    assert await put(store, entry("a", "[4]"), 0) == 5


async def test_a_group_that_requires_a_version_is_applied_only_while_that_one_stands(store: Store) -> None:
    def required(version: int) -> RequireVersion:
        return RequireVersion(tenant=T, kind="limits", key="a", version=version)

    assert isinstance(await store.submit_together([Put(entry("b"), 0), required(0)]), tuple)
    assert await put(store, entry("a")) == 1
    refused = await store.submit_together([Put(entry("b", "[2]")), required(0)])
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.data["version"], refused.index) == ("version_changed", 1, 1)
    assert isinstance(await store.submit_together([Put(entry("b", "[3]"), 1), required(1)]), tuple)
    assert await put(store, entry("a", DELETED)) == 2
    assert isinstance(await store.submit(required(2)), Refusal)
    assert isinstance(await store.submit(required(0)), Done)
    assert isinstance(await store.submit(RequireVersion(tenant=T, kind="limits", key="\x00", version=1)), Refusal)


async def test_deleted_and_expired_entries_are_absent_and_still_told_as_changes(store: Store, clock: Clock) -> None:
    await put(store, entry("a"))
    await put(store, entry("b", expires_us=clock.later(5)))
    await put(store, entry("a", DELETED))
    assert [found.key for found in await store.entries_of(T, "user:u")] == ["b"]
    clock.forward(5)
    assert await store.entries_of(T, "user:u") == ()
    assert await store.entry(T, "limits", "a") is None
    assert await store.entry(T, "limits", "b") is None
    assert (await store.entries(T, "limits")).rows == ()
    changed, last = await store.entries_changed(0, 10)
    assert [(found.key, found.body) for found in changed] == [("b", "{}"), ("a", DELETED)]
    assert last == 3
    assert await store.entries_changed(last, 10) == ((), last)


async def test_an_owner_has_its_entries_of_every_kind_and_nobody_elses(store: Store) -> None:
    await put(store, entry("u", kind="subscription"))
    await put(store, entry("u"))
    await put(store, entry("v", owner="user:v"))
    assert [(found.kind, found.key) for found in await store.entries_of(T, "user:u")] == [
        ("limits", "u"),
        ("subscription", "u"),
    ]
    assert await store.entries_of("other", "user:u") == ()


async def test_an_entry_never_changes_its_owner_not_even_after_its_deletion(store: Store) -> None:
    await put(store, entry("a"))
    for body in ("{}", DELETED):
        await put(store, entry("a", body))
        refused = await store.submit(Put(entry("a", owner="user:v")))
        assert isinstance(refused, Refusal)
        assert refused.reason == "invalid"


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"])
async def test_what_no_database_can_hold_is_refused_and_harms_no_neighbour(store: Store, bad: str) -> None:
    for made in (entry(bad), entry("a", bad), entry("a", owner=bad), entry("a", kind=bad)):
        refused, fine = await asyncio.gather(
            asyncio.ensure_future(store.submit(Put(made))), asyncio.ensure_future(store.submit(Put(entry("fine"))))
        )
        assert isinstance(refused, Refusal)
        assert isinstance(fine, Done)
    assert await store.entry(T, "limits", bad) is None
    assert await store.entries_of(T, bad) == ()
    assert (await store.kept_page(T, "audit", key=bad)).rows == ()


async def test_an_entry_and_its_audit_row_are_there_together_or_not_at_all(store: Store) -> None:
    audit = Keep(KeptRow(T, "audit", "user:u", '{"act":"set"}', actor="root", reason="asked"))
    refused = await store.submit_together([audit, Put(entry("a")), Put(entry("b"), expect=7)])
    assert isinstance(refused, Refusal)
    assert refused.index == 2
    assert await store.entries_of(T, "user:u") == ()
    assert (await store.kept_page(T, "audit")).rows == ()
    done = await store.submit_together([audit, Put(entry("a"), expect=0), Put(entry("a", "[]"), expect=1)])
    assert not isinstance(done, Refusal)
    (found,) = await store.entries_of(T, "user:u")
    assert (found.body, found.version) == ("[]", 2)
    assert [row.key for row in (await store.kept_page(T, "audit")).rows] == ["user:u"]


async def test_entries_come_in_pages_that_other_commits_do_not_shift(store: Store) -> None:
    for name in ("d", "b", "a", "e", "c/ü"):
        await put(store, entry(name))
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.entries(T, "limits", limit=2, cursor=cursor)
        seen += [found.key for found in page.rows]
        await put(store, entry("0", f'"{len(seen)}"'))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["a", "b", "c/ü", "d", "e"]
    for bad in ("%", "AA", "/w", "w"):
        with pytest.raises(InvalidCursor):
            await store.entries(T, "limits", cursor=bad)


async def test_kept_rows_come_in_pages_newest_first_of_one_key_or_all_and_without_answers(store: Store) -> None:
    for number in range(5):
        await store.submit(Keep(KeptRow(T, "audit", f"user:{number % 2}", str(number))))
    await store.submit(Keep(KeptRow(T, ANSWER, "user:1", "secret", expires_us=NEVER_US)))
    first = await store.kept_page(T, "audit", limit=3)
    await store.submit(Keep(KeptRow(T, "audit", "user:0", "5")))
    rest = await store.kept_page(T, "audit", limit=3, cursor=first.next_cursor)
    assert [row.body for row in (*first.rows, *rest.rows)] == ["4", "3", "2", "1", "0"]
    assert rest.next_cursor is None
    one = await store.kept_page(T, "audit", key="user:1", limit=1)
    two = await store.kept_page(T, "audit", key="user:1", limit=1, cursor=one.next_cursor)
    assert ([row.body for row in (*one.rows, *two.rows)], two.next_cursor) == (["3", "1"], None)
    assert (await store.kept_page(T, ANSWER)).rows == ()


async def test_dead_entries_go_after_a_while_and_numbers_go_on_above_them(store: Store, clock: Clock) -> None:
    for number in range(30):
        await put(store, entry(f"k{number:02}", expires_us=clock.later(1)))
        await put(store, entry(f"k{number:02}", DELETED if number % 2 else "[]", expires_us=clock.later(1)))
    clock.now += STAY_US + 2_000_000
    before = await store.directory_seq()
    await put(store, entry("live"))
    left, _ = await store.entries_changed(0, 100)
    assert len(left) == 31 - 20
    await put(store, entry("live", DELETED))
    clock.now += STAY_US + 1
    await put(store, entry("last"))
    left, last = await store.entries_changed(0, 100)
    assert [found.key for found in left] == ["last"]
    assert last == before + 3


async def test_a_change_that_was_dead_long_before_it_came_is_told_all_the_same(store: Store) -> None:
    await put(store, entry("a"))
    await put(store, entry("a", expires_us=1))
    changed, last = await store.entries_changed(1, 10)
    assert ([found.key for found in changed], last) == (["a"], 2)
    await put(store, entry("b"))
    assert await store.directory_seq() == 3


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'd.db'}"
    for turn in (1, 2):
        async with open_store(url, clock_us=lambda: 1) as store:
            assert await put(store, entry("a")) == turn
            assert await store.directory_seq() == turn


WRITER = """
import asyncio, json, sys, time
from storage.records.commands import Done, Grant, Put
from storage.records.directory import DirectoryEntry
from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_store

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    async with open_store(url, clock_us=lambda: time.time_ns() // 1000) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(count):
            entry = DirectoryEntry("default", "limits", f"{name}-{number}", "user:u", "{}")
            shared = DirectoryEntry("default", "limits", "shared", "user:u", json.dumps([name, number]))
            grant = Grant(account=AccountKey("default", "user", f"u{number % 3}", CREDITS, "TOKEN"), amount=1,
                          reason="purchase", source=name, source_ref=str(number))
            done = await store.submit_together([Put(entry, 0), grant, Put(shared)])
            assert isinstance(done, tuple), done

asyncio.run(main())
"""
PROCESSES, COUNT = 4, 40


async def test_changes_of_several_processes_are_told_in_the_order_of_their_commits(postgres: Server) -> None:
    url = await asyncio.to_thread(postgres.fresh)
    async with open_store(url, clock_us=lambda: time.time_ns() // 1000) as store:
        writers = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                WRITER,
                url,
                f"w{number}",
                str(COUNT),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            for number in range(PROCESSES)
        ]
        for writer in writers:
            assert writer.stdout is not None
            await writer.stdout.readline()
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"go\n")
        ends = asyncio.gather(*(writer.communicate() for writer in writers))
        seen: list[DirectoryEntry] = []
        last = 0
        while not ends.done():
            changed, last = await store.entries_changed(last, 1000)
            seen += changed
        await ends
        changed, last = await store.entries_changed(last, 1000)
        seen += changed
        assert [writer.returncode for writer in writers] == [0] * PROCESSES
        shared = await store.entry(T, "limits", "shared")
    keys = [found.key for found in seen if found.key != "shared"]
    assert sorted(keys) == sorted(f"w{name}-{number}" for name in range(PROCESSES) for number in range(COUNT))
    assert [found.seq for found in seen] == sorted(found.seq for found in seen)
    assert shared is not None
    assert shared.version == PROCESSES * COUNT
    assert last == 2 * PROCESSES * COUNT
    name = postgres.database(url)
    assert postgres.query("SELECT deadlocks FROM pg_stat_database WHERE datname=current_database()", name) == [["0"]]


async def test_of_many_that_expect_one_version_exactly_one_wins(store: Store) -> None:
    await put(store, entry("a"))
    outcomes = await asyncio.gather(
        *(asyncio.ensure_future(store.submit(Put(entry("a", json.dumps(n)), 1))) for n in range(20))
    )
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1


async def test_money_and_entries_share_a_commit(store: Store) -> None:
    account = AccountKey(T, "user", "u", CREDITS, "TOKEN")
    grant = Grant(account=account, amount=5, reason="purchase", source="t", source_ref="1")
    refused = await store.submit_together([grant, Put(entry("a"), expect=4)])
    assert isinstance(refused, Refusal)
    assert (await store.balance(account)).posted == 0
    assert isinstance(await store.submit_together([replace(grant), Put(entry("a"))]), tuple)
    assert (await store.balance(account)).posted == 5
