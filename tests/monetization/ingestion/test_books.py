"""Whatever is told, however often, in whatever order and with whatever the store loses: the books come to what was told, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.accounts import credits_of, pool_of
from monetization import organizations
from monetization.alarms import Alarms
from monetization.charging.policies import charge_for
from monetization.directory import Directory, putting
from monetization.errors import Overloaded
from monetization.ingestion.batches import Verdict
from monetization.ingestion.events import Window, event_of
from monetization.ingestion.intake import AT_ONCE, Intake
from monetization.prices.overrides import from_configuration
from monetization.register_rows import PRICE, body_of_price
from monetization.registers import Registers
from monetization.subscriptions import SUBSCRIPTION, Subscription
from monetization.terms import Target
from monetization.tiers_in_force import TiersInForce
from server.config import Settings
from server.from_settings import rules_of, tiers_of
from server.ingesting import intake_of
from server.metrics import Metrics
from storage.errors import StorageUnavailable
from storage.records.commands import Command, Done, Grant, Keep
from storage.records.kept import KeptRow
from storage.records.reports import UsageScope
from storage.store import Store, open_store
from tests.fakes.postgres import Server, postgres
from tests.methods.ai.support import NoFile

__all__ = ["postgres"]  # a fixture
DAY_US = 24 * 3600 * 1_000_000
NOW_US = 1_793_523_600_000_000  # 2026-11-01T09:00:00Z, so that two days ago was another month
GRANTED = {"CREDIT": 10**15, "TOKEN": 10**9}
TIERS = {
    "credits": {"policy": "credits"},
    "tokens": {"policy": "virtual_tokens"},
    "quota": {"policy": "allowance", "monthly_token_quota": 3_000},
    "poor": {"policy": "credits"},
}
SETTINGS: dict[str, Any] = {
    "providers": {"simulator": {"kind": "simulator"}},
    "routing": {"default_provider": "simulator", "default_model": "m"},
    "tiers": TIERS,
    "ingestion": {"unit_prices": {"image": {"usd": "0.04", "tokens": 900}}},
    "auth": {
        "secret": "a-secret-of-the-tests-0123456789-abcdefghij",
        "algorithms": ["HS256"],
        "issuer": "https://i.example",
        "audience": "a",
    },
}
PRICES = {"openai/m": {"input": "1", "output": "2"}}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


class Losing:
    """A store that may lose its answers: what was asked for is applied, and whoever asked hears that it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.loses: set[int] = set()
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    def __getattr__(self, name: str) -> Any:  # stands for any other method of a store
        return getattr(self._store, name)

    async def submit(self, command: Command) -> Any:
        return await self._answered(self._store.submit(command))

    async def submit_together(self, commands: Sequence[Command]) -> Any:
        return await self._answered(self._store.submit_together(commands))

    async def submit_each(self, commands: Sequence[Command | Sequence[Command]]) -> Any:
        return await self._answered(self._store.submit_each(commands))

    async def _answered(self, applied: Awaitable[Any]) -> Any:
        self.asked += 1
        is_lost = self.asked in self.loses
        self.was_asked.set()
        await self.may_answer.wait()
        outcome = await applied
        if is_lost:
            raise StorageUnavailable
        return outcome


@dataclass
class World:
    store: Store
    losing: Losing
    registers: Registers
    intake: Intake
    clock: Clock
    metrics: Metrics
    first: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Identity → the body under which it was told first."""
    is_priced: bool = False

    async def tell(self, events: list[dict[str, Any]], lost: set[int]) -> list[Verdict]:
        """Tell a batch until it is answered, as a client does."""
        for one in events:
            self.first.setdefault((one["source"], one["event_id"]), one)
        self.losing.loses = {self.losing.asked + place for place in lost}
        while True:
            try:
                return await self.intake.take(events, "rest")
            except StorageUnavailable:
                continue

    async def set_price(self) -> None:
        row = KeptRow(
            "default", PRICE, "openai/late", body_of_price({"input": "3", "output": "4"}), valid_from_us=NOW_US
        )
        assert isinstance(await self.store.submit(Keep(row)), Done)
        await self.registers.refresh()
        self.is_priced = True
        await self.replay()

    async def replay(self) -> None:
        for letter in (await self.intake.letters.page(limit=500)).rows:
            while True:
                try:
                    await self.intake.replay(letter, "boss", "")
                except StorageUnavailable:
                    continue
                break

    async def check(self) -> None:
        """Rows, sums, balances and proofs against a recount of what was told."""
        wanted = [body for body in self.first.values() if self.is_priced or body["model"] != "late"]
        rows = (await self.store.usage("default", None, limit=500)).rows
        told = {(body["source"], body["event_id"]): body for body in wanted}
        assert sorted((row.source, row.request_id) for row in rows) == sorted(told)
        paid: dict[tuple[str, str], int] = {}
        for row in rows:
            cost = self._cost(told[row.source, row.request_id], row.occurred_us)
            assert row.cost_nano == cost
            assert row.occurred_us == _us(told[row.source, row.request_id])
            if row.charge_asset is not None:
                assert row.user_id is not None
                who = (row.user_id, row.charge_asset)
                paid[who] = paid.get(who, 0) + (row.charge_amount or 0)
        for user, asset in (("credits", "CREDIT"), ("tokens", "TOKEN")):
            balance = await self.store.balance(credits_of(user, asset))
            assert GRANTED[asset] - balance.posted == paid.get((user, asset), 0)
        sums = await self.store.usage_sums(UsageScope("default"), (0, NOW_US * 2), by=("user_id", "kind"))
        assert sum(one.requests for one in sums) == len(rows)
        assert sum(one.cost_nano for one in sums) == sum(row.cost_nano or 0 for row in rows)
        assert sum(one.usage.tokens_total for one in sums) == sum(row.usage.tokens_total for row in rows)
        windows = await self.store.windows("default", "user:quota")
        used = sum(view.used for view in windows if view.key.resource == "tokens")
        assert used == sum(row.usage.tokens_total for row in rows if row.user_id == "quota")
        assert [check for check in await self.store.verify() if not check.is_ok] == []

    def _cost(self, body: dict[str, Any], occurred_us: int) -> int:
        if body["event_type"] != "TOKEN_USAGE":
            return 40_000_000 * int(body["image_count"])
        book = self.registers.book()
        price = book.find(Target("openai", body["model"], "openai"), max(occurred_us, NOW_US))
        event = event_of(body, Window(NOW_US, 0, self.intake.late_us))
        return charge_for("credits", self.intake.rating.rules, event.usage, price.cost(event.usage)).cost_nano


def _us(told: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(told["timestamp"]).timestamp()) * 1_000_000


@asynccontextmanager
async def world(url: str, **ingestion: Any) -> AsyncIterator[World]:
    made = Settings.of({**SETTINGS, "ingestion": {**SETTINGS["ingestion"], **ingestion}})
    clock, metrics = Clock(), Metrics()
    async with open_store(url, clock_us=clock) as store:
        losing = Losing(store)
        directory = await Directory.opened(store, clock_us=clock, monotonic=lambda: 0.0)
        registers = Registers(store, [from_configuration(PRICES)], on_problem=print)
        in_force = TiersInForce(tiers_of(made), NoFile())
        intake = intake_of(made, losing, directory, in_force, registers, rules_of(made), clock, metrics.events_taken)
        puts = [
            putting(SUBSCRIPTION, f"user:{user}", f"user:{user}", Subscription(tier=user).members()) for user in TIERS
        ]
        await directory.put(None, puts)
        for user, asset in (("credits", "CREDIT"), ("tokens", "TOKEN")):
            grant = Grant(
                account=credits_of(user, asset), amount=GRANTED[asset], reason="promotion", source="t", source_ref=user
            )
            assert isinstance(await store.submit(grant), Done)
        yield World(store, losing, registers, intake, clock, metrics)


def body(number: int, source: str, user: str, model: str, hours: int, tokens: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW_US // 1_000_000, UTC) - timedelta(hours=hours)
    said = {"event_id": f"e{number}", "source": source, "user_id": user, "timestamp": at.isoformat(), "model": model}
    if model == "image":
        return {**said, "event_type": "IMAGE_GENERATION", "image_count": tokens}
    return {**said, "event_type": "TOKEN_USAGE", "provider": "OPENAI", "input_tokens": tokens, "output_tokens": 7}


EVENTS = st.lists(
    st.builds(
        body,
        number=st.integers(0, 12),
        source=st.sampled_from(["api", "eu"]),
        user=st.sampled_from(sorted(TIERS)),
        model=st.sampled_from(["m", "m", "late", "image"]),
        hours=st.sampled_from([0, 1, 30, 60, 800]),
        tokens=st.sampled_from([1, 1000]),
    ),
    min_size=1,
    max_size=12,
)
Step = tuple[str, list[dict[str, Any]], set[int]]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.just("tell"), EVENTS, st.sets(st.integers(1, 20), max_size=3)) | st.just(("price", [], set())),
    min_size=1,
    max_size=6,
)


async def run(url: str, steps: list[Step]) -> None:
    async with world(url) as made:
        for step, events, lost in steps:
            if step == "price" and not made.is_priced:
                await made.set_price()
            elif step == "tell":
                verdicts = await made.tell(events, lost)
                assert len(verdicts) == len(events)
        if made.is_priced:
            await made.replay()
        await made.check()


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_the_books_come_to_what_was_told_once(steps: list[Step]) -> None:
    asyncio.run(run("sqlite://", steps))


def some(count: int, source: str = "api") -> list[dict[str, Any]]:
    return [body(n, source, "credits", "m", 0, 1000) for n in range(count)]


async def test_a_batch_whose_sender_leaves_is_booked_to_the_end() -> None:
    async with asyncio.timeout(30), world("sqlite://") as made:
        made.losing.may_answer.clear()
        telling = asyncio.create_task(made.intake.take([*some(20), body(99, "api", "credits", "late", 0, 1)], "rest"))
        await made.losing.was_asked.wait()
        telling.cancel()
        await asyncio.sleep(0)
        made.losing.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await telling
        assert len((await made.store.usage("default", None, limit=500)).rows) == 20
        assert len((await made.intake.letters.page(limit=10)).rows) == 1


async def test_a_store_that_is_slow_refuses_batches_instead_of_queueing_them() -> None:
    async with asyncio.timeout(30), world("sqlite://", in_flight_max=100) as made:
        made.losing.may_answer.clear()
        first = asyncio.create_task(made.intake.take(some(90), "rest"))
        await made.losing.was_asked.wait()
        asked = made.losing.asked
        for source in "abcdefghij":
            with pytest.raises(Overloaded) as refused:
                await made.intake.take(some(90, source), "rest")
            assert refused.value.retry_after_seconds == 1
        assert made.losing.asked == asked, "what is refused never reaches the store"
        made.losing.may_answer.set()
        assert {one.status for one in await first} == {"accepted"}
        assert {one.status for one in await made.intake.take(some(90, "a"), "rest")} == {"accepted"}


async def test_a_store_that_goes_away_between_two_parts_does_not_say_that_nothing_was_recorded() -> None:
    async with world("sqlite://") as made:
        made.losing.loses = {2}
        with pytest.raises(StorageUnavailable, match="send all of these again") as away:
            await made.intake.take(some(AT_ONCE + 1), "rest")
        assert (away.value.retry_after_seconds, "nothing was recorded" in str(away.value)) == (1, False)
        assert len((await made.store.usage("default", None, limit=500)).rows) >= AT_ONCE
        again = await made.intake.take(some(AT_ONCE + 1), "rest")
        assert {one.status for one in again[:AT_ONCE]} == {"duplicate"}


async def test_a_batch_that_takes_too_long_is_refused_booked_by_itself_and_counts_once_when_it_is_sent_again() -> None:
    async with asyncio.timeout(30), world("sqlite://") as made:
        intake = replace(made.intake, waits=Alarms(0.05))
        made.losing.may_answer.clear()
        with pytest.raises(StorageUnavailable) as refused:
            await intake.take(some(20), "rest")
        assert refused.value.retry_after_seconds
        assert intake.in_flight == 20, "what is still under way takes room"
        made.losing.may_answer.set()
        while intake.in_flight:  # noqa: ASYNC110  # nobody waits for it, so nothing tells of it
            await asyncio.sleep(0)
        assert {one.status for one in await intake.take(some(20), "rest")} == {"duplicate"}
        assert len((await made.store.usage("default", None, limit=500)).rows) == 20


async def statuses(made: World, *events: dict[str, Any]) -> list[str]:
    return [verdict.status for verdict in await made.intake.take(events, "rest")]


async def test_what_became_of_events_is_counted() -> None:
    async with world("sqlite://") as made:
        told = [*some(3), *some(2), body(9, "api", "credits", "late", 0, 1), 5]
        await made.intake.take(told, "rest")
        counted = {
            result: made.metrics.registry.get_sample_value("tollgate_events_total", {"result": result})
            for result in ("accepted", "duplicate", "dead_letter", "rejected")
        }
        assert counted == {"accepted": 3, "duplicate": 2, "dead_letter": 1, "rejected": 1}


async def test_an_identity_is_kept_for_the_days_that_are_configured_and_then_its_row_stands_beside_a_new_one() -> None:
    async with world("sqlite://", dedupe_days=36) as made:
        told, letter = some(1)[0], body(1, "api", "credits", "late", 0, 1)
        assert await statuses(made, told, letter) == ["accepted", "rejected"]
        for days, wanted in ((34, ["duplicate", "duplicate"]), (37, ["accepted", "rejected"])):
            made.clock.now_us = NOW_US + days * DAY_US
            await made.store.prune(usage_before_us=NOW_US - DAY_US)
            now = {"timestamp": datetime.fromtimestamp(made.clock.now_us // 1_000_000, UTC).isoformat()}
            assert await statuses(made, {**told, **now}, {**letter, **now}) == wanted
            assert await statuses(made, told, letter) == (
                ["duplicate", "duplicate"] if days == 34 else ["rejected", "rejected"]
            ), "with its old timestamp it is too old by the time that its identity is forgotten"
        rows = (await made.store.usage("default", "credits", limit=10)).rows
        assert [row.request_id for row in rows] == ["e0", "e0"]
        assert [check for check in await made.store.verify() if not check.is_ok] == []


async def test_a_pool_pays_for_a_members_events(postgres_url: str) -> None:
    for url in ("sqlite://", postgres_url):
        async with world(url) as made:
            owner, member = organizations.owner_of("acme"), organizations.key_of("acme", "credits")
            acme = organizations.Organization("acme", "Acme", "pool")
            joined = organizations.Membership("acme", "credits")
            await made.intake.directory.put(
                None,
                [
                    putting(organizations.ORGANIZATION, "acme", owner, acme.members()),
                    putting(organizations.MEMBER, member, "user:credits", joined.members()),
                ],
            )
            pool = pool_of("acme", "CREDIT")
            grant = Grant(account=pool, amount=10**12, reason="promotion", source="t", source_ref="pool")
            assert isinstance(await made.store.submit(grant), Done)
            assert await statuses(made, *some(3)) == ["accepted"] * 3
            rows = (await made.store.usage("default", "credits", limit=10)).rows
            assert {row.organization_id for row in rows} == {"acme"}
            paid = sum(row.charge_amount or 0 for row in rows)
            assert paid > 0
            assert (await made.store.balance(pool)).posted == 10**12 - paid
            assert (await made.store.balance(credits_of("credits", "CREDIT"))).posted == GRANTED["CREDIT"]
            assert [check for check in await made.store.verify() if not check.is_ok] == []


async def test_two_processes_that_are_told_the_same_at_once_bill_it_once(postgres_url: str) -> None:
    async with world(postgres_url) as one, world(postgres_url) as other:
        told = [*some(60), *[body(n, "eu", "tokens", "late", 0, 5) for n in range(20)]]
        answers = await asyncio.gather(*[made.intake.take(told, "rest") for made in (one, other, one, other)])
        accepted = [verdict.event_id for answer in answers for verdict in answer if verdict.status == "accepted"]
        assert len(accepted) == len(set(accepted)) == 60
        letters = (await one.intake.letters.page(limit=500)).rows
        assert len(letters) == 20
        assert len((await one.store.usage("default", None, limit=500)).rows) == 60
        await one.set_price()
        await other.registers.refresh()
        replaying = [made.intake.replay(letter, "boss", "") for letter in letters for made in (one, other)]
        await asyncio.gather(*replaying)
        assert (await one.intake.letters.page(limit=500)).rows == ()
        assert len((await one.store.usage("default", None, limit=500)).rows) == 80
        assert [check for check in await one.store.verify() if not check.is_ok] == []


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    return postgres.fresh()


async def test_the_same_on_postgresql(postgres_url: str) -> None:
    users, models = sorted(TIERS), ["m", "late", "image"]
    told = [
        body(n % 17, ("api", "eu")[n % 2], users[n % 4], models[n % 3], (0, 30, 800)[n % 3], 1 + n % 5)
        for n in range(60)
    ]
    batches = [("tell", told[at : at + 15], {at % 4 + 1, 9}) for at in range(0, 60, 15)]
    await run(postgres_url, [*batches[:2], ("price", [], set()), *batches[2:]])
