"""Gateway keys: who shows one is known by a look-up, and one that was revoked, rotated away or guessed opens nothing."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from monetization.abuse import AbuseRules, Block, Watch
from monetization.callers import Budget, Caller
from monetization.calls import Credential
from monetization.directory import Directory, putting
from monetization.errors import KeysOff, TooManyKeys, Unauthenticated
from monetization.keys.desk import KEYS_MAX, Issued, KeyDesk
from monetization.keys.minting import PREFIX, Mint, preview
from monetization.keys.records import KEPT_US, KeyHolder, KeyTerms
from monetization.once import Once
from monetization.price_setting import Author
from monetization.subscriptions import SUBSCRIPTION
from server.auth.callers import Callers
from server.auth.gateway_keys import GatewayKeys
from server.config_sections import AuthSettings
from storage.errors import IdempotencyConflict, NotFound, StorageUnavailable, VersionChanged
from storage.store import open_store
from tests.monetization.slow_store import Seconds, Slow
from tests.storage.conftest import Clock

ROOT = Author("root", "asked")
ADA = KeyHolder("ada", "org-1", "ada@example.com", "pro", ("extra",))
TIERS = {"pro": "professional"}


class Worker:
    """One process: a directory, a desk and what identifies holders."""

    def __init__(self, store: Slow, directory: Directory, clock: Clock, seconds: Seconds, secret: bytes) -> None:
        self.store, self.directory, self.clock, self.seconds = store, directory, clock, seconds
        self.mint = Mint(secret, os.urandom)
        self.desk = KeyDesk(directory, self.mint, clock, Once(store, lambda: os.urandom(8).hex()))
        self.keys = GatewayKeys(self.mint, directory, default_tier=lambda: "free", tier_of=TIERS.get, clock_us=clock)

    async def refusal(self, shown: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            await self.keys.identify(shown)
        assert shown not in str(refused.value)
        return refused.value.slug


Start = Callable[..., Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start(clock: Clock) -> AsyncIterator[Start]:
    async with open_store("sqlite://", clock_us=clock) as store:

        async def started(secret: bytes = b"s" * 32) -> Worker:
            slow, seconds = Slow(store), Seconds()
            directory = await Directory.opened(slow, clock_us=clock, monotonic=seconds)
            return Worker(slow, directory, clock, seconds, secret)

        yield started


@pytest.fixture
async def worker(start: Start) -> Worker:
    made: Worker = await start()
    return made


async def created(worker: Worker, terms: KeyTerms = KeyTerms()) -> Issued:  # noqa: B008  # a constant
    return await worker.desk.create(ROOT, ADA, terms)


async def test_a_repeated_request_makes_one_key_and_nobody_hears_its_secret_twice(worker: Worker) -> None:
    terms = KeyTerms("job", budgets=(Budget("cost", 5, "daily"),))
    asked = [worker.desk.create_once(ROOT, ADA, terms, "k-1") for _ in range(4)]
    found = [*await asyncio.gather(*asked), await worker.desk.create_once(ROOT, ADA, terms, "k-1")]
    issued = [made for made in found if isinstance(made, Issued)]
    assert len(issued) == 1
    ids = {made.record.id if isinstance(made, Issued) else made.id for made in found}
    assert ids == {issued[0].record.id}
    assert [record.id for record in await worker.desk.of_owner("user:ada")] == [issued[0].record.id]
    assert len(await worker.store.kept("default", "audit")) == 1
    with pytest.raises(IdempotencyConflict):
        await worker.desk.create_once(ROOT, ADA, KeyTerms("other"), "k-1")
    other = await worker.desk.create_once(Author("eve", ""), ADA, terms, "k-1")
    assert isinstance(other, Issued), "a maker's idempotency keys are its own"
    await worker.desk.revoke(ROOT, issued[0].record)
    again = await worker.desk.create_once(ROOT, ADA, terms, "k-1")
    assert not isinstance(again, Issued)
    assert again.revoked_us is not None, "a repetition revives nothing"


async def test_a_holder_is_who_the_key_was_made_for_within_what_it_was_narrowed_to(worker: Worker) -> None:
    budgets = (Budget("cost", 5, "daily"),)
    terms = KeyTerms("job", ("ai",), ("gpt-4*",), {"rpm": 3}, budgets)
    issued = await created(worker, terms)
    caller = await worker.keys.identify(issued.key)
    assert caller == Caller(
        kind="subscription",
        user_id="ada",
        organization_id="org-1",
        email="ada@example.com",
        tier="professional",
        features=frozenset({"extra"}),
        key_id=issued.record.id,
        scopes=frozenset({"ai"}),
        models=frozenset({"gpt-4*"}),
        budgets=budgets,
        own_limits={"key": {"rpm": 3}},
    )
    assert caller.roles == frozenset(), "a key has no role of its own"
    assert issued.key.startswith(preview(issued.record.id).removesuffix("…"))


async def test_a_known_key_costs_no_reading_and_the_same_caller_comes_back(worker: Worker) -> None:
    issued = await created(worker)
    first = await worker.keys.identify(issued.key)
    reads = worker.store.reads
    for _ in range(5):
        assert await worker.keys.identify(issued.key) is first
    assert worker.store.reads == reads


async def test_the_secret_is_neither_stored_nor_shown_and_its_hash_opens_nothing(worker: Worker) -> None:
    issued = await created(worker)
    (entry,) = await worker.store.entries_of("default", f"key:{issued.record.id}")
    assert issued.key[len(preview(issued.record.id)) - 1 :] not in entry.body
    assert worker.mint.hash_of(issued.key) in entry.body
    assert issued.key not in repr(issued.record)
    (row,) = (await worker.store.kept_page("default", "audit")).rows
    assert issued.key not in row.body
    assert (row.key, row.actor, row.reason) == ("user:ada", "root", "asked")
    digest = worker.mint.hash_of(issued.key)
    assert Mint(b"o" * 32, os.urandom).hash_of(issued.key) != digest, (
        "no guess can be tested without the server's secret"
    )
    for shown in (digest, PREFIX + digest, f"{PREFIX}{issued.record.id}_{digest}"):
        assert await worker.refusal(shown) == "unknown_key"


async def test_a_guess_asks_nobody(worker: Worker) -> None:
    issued = await created(worker)
    reads = worker.store.reads
    last = "A" if issued.key[-1] != "A" else "B"
    guesses = [issued.key[:-1] + last, issued.key + "A", issued.key.upper(), PREFIX, PREFIX + "x" * 5_000, PREFIX + "é"]
    other = Mint(b"o" * 32, os.urandom)
    for guess in [*guesses, other.key(issued.record.id), issued.key[:-20] + "A" * 8 + issued.key[-12:]]:
        assert await worker.refusal(guess) == "unknown_key"
    assert worker.store.reads == reads
    assert await worker.refusal(worker.mint.key(issued.record.id)) == "unknown_key", "ours, but not the one that stands"


async def test_another_server_secret_ends_every_key(worker: Worker, start: Start) -> None:
    issued = await created(worker)
    other = await start(b"t" * 32)
    assert await other.refusal(issued.key) == "unknown_key"


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_at_the_next_poll(
    worker: Worker, start: Start
) -> None:
    other = await start()
    issued = await created(worker)
    for process in (worker, other):
        await process.directory.poll()
        await process.keys.identify(issued.key)
    await worker.desk.revoke(ROOT, issued.record)
    assert await worker.refusal(issued.key) == "key_revoked"
    await other.directory.poll()
    assert await other.refusal(issued.key) == "key_revoked"


@pytest.mark.parametrize("is_first_use", [True, False])
async def test_no_reading_that_a_revocation_overlaps_revives_the_key(
    worker: Worker, start: Start, *, is_first_use: bool
) -> None:
    """The other process has read the live key, slowly; meanwhile it is revoked, and the revocation is heard of."""
    other = await start()
    issued = await created(worker)
    await other.directory.poll()
    if not is_first_use:
        await other.keys.identify(issued.key)
        other.directory.evict(f"key:{issued.record.id}")
    other.store.has_read.clear()
    other.store.may_answer.clear()
    overlapped = asyncio.create_task(other.keys.identify(issued.key))
    await other.store.has_read.wait()
    await worker.desk.revoke(ROOT, issued.record)
    await other.directory.poll()
    other.store.may_answer.set()
    await overlapped
    await other.directory.of(f"key:{issued.record.id}")  # somebody else has read the new state since
    for _ in range(3):
        assert await other.refusal(issued.key) == "key_revoked"


async def test_while_changes_cannot_be_heard_of_every_use_asks_the_database(worker: Worker, start: Start) -> None:
    other = await start()
    issued = await created(worker)
    await other.keys.identify(issued.key)
    await worker.desk.revoke(ROOT, issued.record)
    other.seconds.now += 6
    assert await other.refusal(issued.key) == "key_revoked"


async def test_without_a_database_and_without_news_no_key_opens(worker: Worker) -> None:
    issued = await created(worker)
    await worker.keys.identify(issued.key)
    worker.store.is_away = True
    await worker.keys.identify(issued.key)
    worker.seconds.now += 6
    with pytest.raises(StorageUnavailable):
        await worker.keys.identify(issued.key)


async def test_a_rotated_key_opens_with_both_secrets_until_the_overlap_ends(worker: Worker, clock: Clock) -> None:
    issued = await created(worker)
    await worker.keys.identify(issued.key)
    again = await worker.desk.rotate(ROOT, await worker.desk.get(issued.record.id), overlap_us=10_000_000)
    assert again.key != issued.key
    both = [(await worker.keys.identify(key)).key_id for key in (issued.key, again.key)]
    assert both == [issued.record.id] * 2
    clock.forward(10)
    assert await worker.refusal(issued.key) == "key_rotated"
    assert (await worker.keys.identify(again.key)).user_id == "ada"
    last = await worker.desk.rotate(ROOT, await worker.desk.get(issued.record.id), overlap_us=0)
    assert await worker.refusal(again.key) == "unknown_key"
    assert (await worker.keys.identify(last.key)).user_id == "ada"


async def test_a_key_narrowed_to_no_scope_at_all_may_nothing(worker: Worker) -> None:
    issued = await created(worker, KeyTerms(scopes=()))
    assert (await worker.desk.get(issued.record.id)).terms.scopes == ()
    caller = await worker.keys.identify(issued.key)
    assert (caller.scopes, caller.may("ai:call"), caller.may("account:read")) == (frozenset(), False, False)


async def test_a_holder_of_a_replaced_secret_is_told_from_one_of_the_newest(worker: Worker) -> None:
    issued = await created(worker)
    assert not (await worker.keys.identify(issued.key)).is_replaced
    again = await worker.desk.rotate(ROOT, issued.record, overlap_us=10_000_000)
    assert [(await worker.keys.identify(key)).is_replaced for key in (issued.key, again.key)] == [True, False]


async def test_an_expired_key_opens_until_its_instant_and_says_so_for_a_while(worker: Worker, clock: Clock) -> None:
    issued = await created(worker, KeyTerms(expires_us=clock.later(60)))
    await worker.keys.identify(issued.key)
    clock.now = clock.later(60) - 1
    await worker.keys.identify(issued.key)
    clock.now += 1
    assert await worker.refusal(issued.key) == "key_expired"
    assert [record.status(clock()) for record in await worker.desk.of_owner("user:ada")] == ["expired"]
    clock.now += KEPT_US
    assert await worker.refusal(issued.key) == "unknown_key"
    assert await worker.desk.of_owner("user:ada") == []


async def test_a_key_that_has_ended_is_neither_rotated_nor_ended_twice(worker: Worker, clock: Clock) -> None:
    issued = await created(worker)
    ended = await worker.desk.revoke(ROOT, issued.record)
    now = await worker.desk.get(issued.record.id)
    assert now.revoked_us == ended.revoked_us
    clock.forward(5)
    assert (await worker.desk.revoke(ROOT, now)).revoked_us == ended.revoked_us
    with pytest.raises(NotFound):
        await worker.desk.rotate(ROOT, now, overlap_us=0)
    with pytest.raises(NotFound):
        await worker.desk.get("0" * 16)


async def test_of_two_changes_of_one_key_at_once_the_second_is_told(worker: Worker) -> None:
    issued = await created(worker)
    await worker.desk.rotate(ROOT, issued.record, overlap_us=0)
    with pytest.raises(VersionChanged):
        await worker.desk.revoke(ROOT, issued.record)


async def test_a_user_has_a_bounded_number_of_keys(worker: Worker, clock: Clock) -> None:
    for _ in range(KEYS_MAX):
        await created(worker)
    with pytest.raises(TooManyKeys):
        await created(worker)
    records = await worker.desk.of_owner("user:ada")
    assert len(records) == KEYS_MAX
    for record in records:
        await worker.desk.revoke(ROOT, record)
    clock.now += KEPT_US + 1
    await created(worker)


async def test_everybodys_keys_come_in_pages(worker: Worker) -> None:
    ids = {(await created(worker)).record.id for _ in range(3)}
    page = await worker.desk.all()
    assert ({record.id for record in page.rows}, page.next_cursor) == (ids, None)


async def test_a_server_without_the_secret_issues_and_takes_no_keys(worker: Worker, clock: Clock) -> None:
    issued = await created(worker)
    desk = KeyDesk(worker.directory, None, clock, Once(worker.store, str))
    with pytest.raises(KeysOff, match=r"keys\.secret"):
        await desk.create(ROOT, ADA, KeyTerms())
    for asked in (desk.of_owner("user:ada"), desk.all(), desk.get(issued.record.id)):
        with pytest.raises(KeysOff):
            await asked


async def test_every_credential_that_does_not_hold_is_told_with_its_address(worker: Worker) -> None:
    issued = await created(worker)
    blocked: list[Block] = []
    reasons: list[str] = []
    watch = Watch(AbuseRules(failures_max=1), clock_us=lambda: 1_000_000, on_block=blocked.append)

    def callers(keys: GatewayKeys | None) -> Callers:
        return Callers(
            AuthSettings(),
            keys=None,
            default_tier=lambda: "free",
            tier_of=TIERS.get,
            on_unknown_tier=print,
            on_failure=reasons.append,
            watch=watch,
            gateway_keys=keys,
            clock=lambda: 1.0,
        )

    def shown(value: str, address: str) -> Credential:
        return Credential("bearer", value, address)

    taking, off = callers(worker.keys), callers(None)
    assert (await taking.identify(shown(issued.key, "192.0.2.1"))).user_id == "ada"
    assert blocked == []
    for asked, value, address in (
        (taking, issued.key + "x", "192.0.2.2"),
        (off, issued.key, "192.0.2.3"),
        (taking, "no.jwt.here", "192.0.2.4"),
    ):
        with pytest.raises(Unauthenticated):
            await asked.identify(shown(value, address))
    assert [block.owner for block in blocked] == ["ip:192.0.2.2"], "where no keys and tokens are taken, none is a guess"
    assert reasons == ["unknown_key", "keys_off", "tokens_off"]


@pytest.mark.parametrize("whose", ["user:ada", "org:org-1"])
async def test_a_key_made_under_a_stored_subscription_carries_no_tier_that_outlives_it(
    worker: Worker, whose: str
) -> None:
    await worker.directory.put(None, [putting(SUBSCRIPTION, whose, whose, {"tier": "pro", "status": "active"})])
    issued = await created(worker)
    assert issued.record.holder.tier is None
    assert (await worker.keys.identify(issued.key)).tier == "free", "until the stored subscription is laid over it"


async def test_a_tier_that_is_gone_counts_as_the_default_one(worker: Worker) -> None:
    issued = await worker.desk.create(ROOT, KeyHolder("bob", tier="gone"), KeyTerms())
    assert (await worker.keys.identify(issued.key)).tier == "free"
    now = await worker.keys.identify(issued.key)
    worker.keys.forget()
    assert await worker.keys.identify(issued.key) == now
