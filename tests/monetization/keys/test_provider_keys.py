"""Kept provider keys: sealed to their row, opened only for their owner, and never served in an older version."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from monetization.callers import Caller, Secret
from monetization.directory import Directory, putting
from monetization.errors import KeysOff
from monetization.keys.provider_keys import PROVIDER_KEY, ProviderKeys
from monetization.keys.sealing import Seal, SealBroken
from monetization.price_setting import Author
from monetization.terms import Most, Route, Target
from storage.errors import NotFound, VersionChanged
from storage.store import Store, open_store
from tests.storage.conftest import Clock

ADA = Author("ada")
KEY, OTHER = Secret("sk-0123456789-0123456789"), Secret("sk-9876543210-9876543210")
NEW, OLD = b"n" * 32, b"o" * 32
ROW = ("default", "provider_key", "ada/openai")
MOST = Most(targets=(Target("openai", "m"), Target("anthropic", "m")))
CALLER = Caller(kind="subscription", user_id="ada", tier="free")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(clock: Clock) -> AsyncIterator[Store]:
    async with open_store("sqlite://", clock_us=clock) as opened:
        yield opened


class World:
    def __init__(self, directory: Directory, clock: Clock) -> None:
        self.directory, self.clock, self.broken = directory, clock, list[str]()

    def keys(self, *sealing: bytes) -> ProviderKeys:
        return ProviderKeys(
            self.directory,
            Seal.of(sealing, os.urandom) if sealing else None,
            clock_us=self.clock,
            new_id=lambda: "id",
            is_byok=lambda tier: tier == "own",
            on_broken=self.broken.append,
        )


@pytest.fixture
async def world(store: Store, clock: Clock) -> World:
    return World(await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0), clock)


async def brought(keys: ProviderKeys, caller: Caller = CALLER, most: Most = MOST) -> str | None:
    found = await keys.bring(caller, most)
    assert (found.kind == "byok") is (found.own_key is not None)
    return None if found.own_key is None else found.own_key.reveal()


def test_a_sealed_text_opens_in_its_own_row_only_and_unchanged_only() -> None:
    seal = Seal.of([NEW, OLD], os.urandom)
    sealed = seal.seal("secret", ROW)
    assert "secret" not in sealed
    assert "secret" not in repr(seal.open(sealed, ROW))
    assert (seal.open(sealed, ROW).text, seal.open(sealed, ROW).is_old) == ("secret", False)
    assert seal.seal("secret", ROW) != sealed, "every seal has a number of its own"
    for row in (("other", *ROW[1:]), (*ROW[:2], "bob/openai"), ("default", "provider_keyada", "/openai"), ROW[:2]):
        with pytest.raises(SealBroken):
            seal.open(sealed, row)
    head, data = sealed.rsplit(".", 1)
    changed = f"{head}.{('A' if data[-5] != 'A' else 'B').join((data[:-5], data[-4:]))}"
    for broken in (changed, "", "1", "2" + sealed[1:], f"1.00000000.{data}", f"{head}.!", f"{head}.AAAA"):
        with pytest.raises(SealBroken):
            seal.open(broken, ROW)


def test_an_older_key_opens_and_says_that_it_is_old() -> None:
    sealed = Seal.of([OLD], os.urandom).seal("secret", ROW)
    opened = Seal.of([NEW, OLD], os.urandom).open(sealed, ROW)
    assert (opened.text, opened.is_old) == ("secret", True)
    with pytest.raises(SealBroken, match="no key"):
        Seal.of([NEW], os.urandom).open(sealed, ROW)


async def test_what_is_stored_shows_neither_the_key_nor_its_end(world: World, store: Store) -> None:
    keys = world.keys(NEW)
    kept = await keys.store(ADA, "ada", "openai", KEY, is_default=True)
    assert (kept.preview, kept.version) == ("sk-01234", 1)
    short = await keys.store(ADA, "ada", "short", Secret("0123456789"), is_default=True)
    assert short.preview == "***"
    entries = await store.entries_of("default", "user:ada")
    rows = (await store.kept_page("default", "audit")).rows
    for text in [entry.body for entry in entries] + [row.body for row in rows] + [repr(KEY), repr(kept)]:
        assert "0123456789" not in text


async def test_a_key_sealed_for_another_user_or_provider_does_not_open(world: World) -> None:
    """Somebody with the database copies a sealed key into a row of their own."""
    keys = world.keys(NEW)
    await keys.store(ADA, "ada", "openai", KEY, is_default=True)
    stolen = await world.directory.entry(PROVIDER_KEY, "ada/openai")
    assert stolen is not None
    for row in ("bob/openai", "bob/anthropic"):
        body = {**stolen.body, "provider": row.partition("/")[2]}
        await world.directory.put(None, [putting(PROVIDER_KEY, row, "user:bob", body)])
    bob = Caller(kind="subscription", user_id="bob", tier="free")
    with pytest.raises(NotFound, match="store it again"):
        await keys.bring(bob, MOST)
    with pytest.raises(NotFound, match="store it again"):
        await keys.reveal("bob", "anthropic")
    assert len(world.broken) == 2


async def test_no_slash_in_a_name_reaches_the_key_of_another_user(world: World) -> None:
    keys = world.keys(NEW)
    await keys.store(ADA, "ada/x", "openai", KEY, is_default=True)
    assert (await keys.get("ada", "x/openai"), await keys.delete(ADA, "ada", "x/openai")) == (None, False)
    for reached in (keys.reveal("ada", "x/openai"), keys.rotate(ADA, "ada", "x/openai", OTHER)):
        with pytest.raises(NotFound):
            await reached
    assert (await keys.reveal("ada/x", "openai")).reveal() == KEY.reveal()


async def test_a_kept_key_is_brought_where_its_owner_chose_so_or_the_tier_asks_for_own_keys(world: World) -> None:
    keys = world.keys(NEW)
    assert await brought(keys) is None
    await keys.store(ADA, "ada", "openai", KEY, is_default=False)
    own_tier = Caller(kind="subscription", user_id="ada", tier="own")
    assert (await brought(keys), await brought(keys, own_tier)) == (None, KEY.reveal())
    await keys.store(ADA, "ada", "openai", KEY, is_default=True)
    assert await brought(keys) == KEY.reveal()
    assert await brought(keys, CALLER.bringing(OTHER)) == OTHER.reveal()
    assert await brought(keys, Caller(kind="anonymous")) is None
    assert await brought(keys, most=Most(targets=MOST.targets[::-1])) is None, "for the provider that serves the call"
    assert await brought(keys, most=Most()) is None
    assert await brought(keys, Caller(kind="subscription", user_id="bob", tier="own")) is None


async def test_of_equal_providers_the_first_whose_key_is_kept_serves_with_it(world: World) -> None:
    keys, (one, two) = world.keys(NEW), MOST.targets
    most = Most(MOST.targets, route=Route(MOST.targets))
    await keys.store(ADA, "ada", two.provider, KEY, is_default=True)
    found = await keys.bring(CALLER, most)
    assert (found.kind, found.own_key_provider) == ("byok", two.provider)
    assert await brought(keys, most=Most(MOST.targets, route=Route((one,), (two,)))) is None, "not with a fallback's"
    stands_in = Route(MOST.targets, asked=one, choice="cheapest")
    assert await brought(keys, most=Most(MOST.targets, route=stands_in)) is None, "that one was not asked for"
    await keys.store(ADA, "ada", one.provider, OTHER, is_default=True)
    assert await brought(keys, most=most) == OTHER.reveal()


async def test_no_older_version_of_a_key_is_ever_brought(world: World, store: Store, clock: Clock) -> None:
    keys = world.keys(NEW)
    for _ in range(2):
        await keys.store(ADA, "ada", "openai", KEY, is_default=True)
        assert await brought(keys) == KEY.reveal()
        rotated = await keys.rotate(ADA, "ada", "openai", OTHER)
        assert (rotated.rotated_us, await brought(keys)) == (clock(), OTHER.reveal())
        assert await keys.delete(ADA, "ada", "openai") is True
        assert (await brought(keys), await keys.delete(ADA, "ada", "openai")) == (None, False)
        clock.now += 8 * 24 * 3600 * 1_000_000
        await world.directory.put(
            None, [putting("limits", "x", "x", {})]
        )  # the tombstone goes, and versions begin again
        assert (await store.entries_changed(0, 10))[0][0].key == "x"


async def test_of_two_changes_of_one_kept_key_at_once_the_second_is_told(world: World) -> None:
    keys = world.keys(NEW)
    await keys.store(ADA, "ada", "openai", KEY, is_default=True)
    changes = (keys.rotate(ADA, "ada", "openai", OTHER), keys.delete(ADA, "ada", "openai"))
    rotated, deleted = await asyncio.gather(*changes, return_exceptions=True)
    assert not isinstance(rotated, BaseException)
    assert isinstance(deleted, VersionChanged), "what was rotated meanwhile is not what was to be deleted"
    assert (await keys.reveal("ada", "openai")).reveal() == OTHER.reveal()


async def test_a_key_changed_by_another_process_is_used_from_the_next_poll_on(
    world: World, store: Store, clock: Clock
) -> None:
    here, there = world.keys(NEW), World(await Directory.opened(store, clock_us=clock, monotonic=lambda: 1.0), clock)
    elsewhere = there.keys(NEW)
    await elsewhere.store(ADA, "ada", "openai", KEY, is_default=True)
    assert await brought(here) == KEY.reveal()
    await elsewhere.rotate(ADA, "ada", "openai", OTHER)
    await world.directory.poll()
    assert await brought(here) == OTHER.reveal()
    await elsewhere.delete(ADA, "ada", "openai")
    await world.directory.poll()
    assert await brought(here) is None


async def test_keys_of_an_older_seal_serve_until_they_are_sealed_anew(world: World) -> None:
    await world.keys(OLD).store(ADA, "ada", "openai", KEY, is_default=True)
    both = world.keys(NEW, OLD)
    assert await brought(both) == KEY.reveal()
    assert (await both.reseal(), await both.reseal()) == (1, 0)
    assert await brought(world.keys(NEW)) == KEY.reveal()
    with pytest.raises(NotFound):
        await world.keys(OLD).reveal("ada", "openai")
    assert await world.keys(OLD).reseal() == 0
    assert len(world.broken) == 2


async def test_without_sealing_keys_nothing_is_kept_or_brought(world: World) -> None:
    await world.keys(NEW).store(ADA, "ada", "openai", KEY, is_default=True)
    off = world.keys()
    assert await brought(off) is None
    for asked in (
        off.store(ADA, "ada", "openai", KEY, is_default=True),
        off.rotate(ADA, "ada", "openai", KEY),
        off.delete(ADA, "ada", "openai"),
        off.get("ada", "openai"),
        off.all("ada"),
        off.reveal("ada", "openai"),
        off.reseal(),
    ):
        with pytest.raises(KeysOff, match=r"keys\.encryption_keys"):
            await asked
