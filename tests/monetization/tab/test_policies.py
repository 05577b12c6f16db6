"""Every policy from hold to settle, over the real store."""

import asyncio
from dataclasses import replace

import pytest

from monetization.errors import PaymentRequired, PriceUnknown, QuotaExceeded
from monetization.prices.book import PriceBook, Table
from monetization.prices.rates import Price, nano_per_million, rates_from
from monetization.tab import Tab
from monetization.terms import Target
from storage.records.usage import Usage
from tests.monetization.tab.world import DAY_US, DEAR, MOST, NANO, TARGET, USED, Cut, World, cut, done

POLICIES = {
    # tier: asset, held at most, charged for 40 tokens in and 10 out
    "allowance": ("TOKEN", 0, 0),
    "tokens": ("TOKEN", 188, 63),
    "credits": ("CREDIT", 20_000_000, 6_000_000),
    "own": ("TOKEN", 0, 0),
}
COUNTERS = {"own": ("own_tokens", "own_requests")}


@pytest.fixture(params=POLICIES)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_the_most_is_held_before_the_call_runs_and_what_was_used_is_charged_after(
    world: World, tier: str
) -> None:
    await world.fund(tier)
    asset, most, charged = POLICIES[tier]
    tokens, requests = COUNTERS.get(tier, ("tokens", "requests"))
    before = await world.available(asset)

    async def play(tab: Tab) -> None:
        assert await world.held(asset) == most
        assert (await world.window(tokens))[1:3] == (0, 150)
        assert (await world.window(requests))[1:3] == (0, 1)
        assert await world.rows() == []
        done()(tab)

    receipt = await world.run(tier, play)
    assert receipt is not None
    assert (receipt.amount, receipt.usage, receipt.is_estimated) == (charged, USED, False)
    assert await world.available(asset) == before - charged
    assert await world.held(asset) == 0
    assert (await world.window(tokens))[1:3] == (50, 0)
    assert (await world.window(requests))[1:3] == (1, 0)
    [row] = await world.rows()
    assert (row.outcome, row.usage, row.charge_amount) == ("done", USED, charged)
    assert (row.cost_nano, row.price_version) == (60_000, "test:1")


async def test_a_call_that_fails_before_any_output_costs_nothing(world: World, tier: str) -> None:
    await world.fund(tier)
    asset = POLICIES[tier][0]
    before = await world.available(asset)
    with pytest.raises(Cut):
        await world.run(tier, cut(0, Usage(input=40)))
    assert (await world.available(asset), await world.open_holds()) == (before, 0)
    for resource in ("tokens", "requests", "own_tokens", "own_requests"):
        assert (await world.window(resource))[1:3] == (0, 0)
    [row] = await world.rows()
    assert (row.outcome, row.usage, row.charge_amount, row.cost_nano) == ("failed", Usage(), None, None)


@pytest.mark.parametrize("error", [Cut, asyncio.CancelledError])
async def test_half_an_answer_is_charged_as_half_an_answer(world: World, tier: str, error: type[BaseException]) -> None:
    await world.fund(tier)
    with pytest.raises(error):
        await world.run(tier, cut(40, Usage(input=40, output=1), error))
    [row] = await world.rows()
    assert (row.outcome, row.is_partial, row.is_estimated) == ("partial", True, True)
    assert row.usage == Usage(input=40, output=10)
    assert row.charge_amount == POLICIES[tier][2]
    assert await world.open_holds() == 0


async def test_a_cancelled_call_without_output_is_released(world: World, tier: str) -> None:
    await world.fund(tier)
    with pytest.raises(asyncio.CancelledError):
        await world.run(tier, cut(0, error=asyncio.CancelledError))
    [row] = await world.rows()
    assert (row.outcome, row.charge_amount) == ("cancelled", None)
    assert await world.open_holds() == 0


async def test_a_caller_who_leaves_before_the_first_word_pays_for_what_the_provider_had_read(
    world: World, tier: str
) -> None:
    await world.fund(tier)
    with pytest.raises(asyncio.CancelledError):
        await world.run(tier, cut(0, Usage(input=40, output=1), asyncio.CancelledError))
    [row] = await world.rows()
    assert (row.outcome, row.usage, row.is_partial, row.is_estimated) == (
        "partial",
        Usage(input=40, output=1),
        True,
        False,
    )
    assert (row.cost_nano, (row.charge_amount or 0) > 0) == (42_000, POLICIES[tier][1] > 0)
    assert await world.open_holds() == 0


async def test_a_provider_that_sends_no_usage_is_estimated_and_flagged(world: World, tier: str) -> None:
    await world.fund(tier)
    receipt = await world.run(tier, done(usage=None, delivered=41))
    assert receipt is not None
    assert (receipt.usage, receipt.is_estimated, receipt.is_partial) == (Usage(input=80, output=11), True, False)


async def test_a_whole_answer_without_a_word_and_without_usage_pays_for_what_was_asked(world: World) -> None:
    await world.fund("tokens")
    receipt = await world.run("tokens", done(usage=None, delivered=0))
    assert receipt is not None
    assert (receipt.usage, receipt.is_estimated, receipt.amount) == (Usage(input=80), True, 100)


async def test_a_usage_of_zero_is_zero_and_no_estimate(world: World, tier: str) -> None:
    await world.fund(tier)
    receipt = await world.run(tier, done(usage=Usage()))
    assert receipt is not None
    assert (receipt.usage, receipt.amount, receipt.is_estimated) == (Usage(), 0, False)
    [row] = await world.rows()
    assert (row.cost_nano, row.is_estimated) == (0, False)


async def test_the_platform_fee_is_a_fifth_of_the_providers_cost(world: World) -> None:
    receipt = await world.run("allowance", done())
    assert receipt is not None
    assert receipt.charge is not None
    assert (receipt.charge.cost_nano, receipt.charge.fee_nano) == (60_000, 12_000)
    [row] = await world.rows()
    assert row.fee_nano == 12_000


async def test_a_fallback_is_charged_at_its_own_price_and_the_dearest_was_held(world: World) -> None:
    await world.grant("CREDIT", NANO)
    both = replace(MOST, targets=(TARGET, DEAR))

    async def play(tab: Tab) -> None:
        assert await world.held("CREDIT") == 200_000_000
        done(target=DEAR)(tab)

    receipt = await world.run("credits", play, most=both)
    assert receipt is not None
    assert receipt.amount == 60_000_000
    await world.run("credits", done(target=TARGET), most=both)
    first, second = await world.rows()
    assert (first.provider, first.model, first.cost_nano) == ("anthropic", "dear", 600_000)
    assert (second.provider, second.charge_amount) == ("openai", 6_000_000)


async def test_a_model_without_a_price_is_refused_before_anything_is_held(world: World) -> None:
    for targets in ((Target("openai", "unknown", "openai"),), (TARGET, Target("openai", "unknown", "openai"))):
        with pytest.raises(PriceUnknown):
            await world.run("allowance", done(), most=replace(MOST, targets=targets))
    assert (await world.store.windows("default", "user:ada"), await world.rows()) == ((), [])


async def test_an_own_key_reaches_a_model_without_a_price_at_an_unknown_cost(world: World) -> None:
    odd = Target("openai", "unknown", "openai")
    receipt = await world.run("own", done(target=odd), most=replace(MOST, targets=(odd,)))
    assert receipt is not None
    assert not receipt.is_cost_known
    [row] = await world.rows()
    assert (row.cost_nano, row.usage, row.charge_amount) == (None, USED, 0)


async def test_an_own_key_eats_nothing_of_what_the_plan_pays_for(world: World) -> None:
    await world.run("own", done())
    receipt = await world.run("allowance", done())
    assert receipt is not None
    assert receipt.quota_remaining == 950


async def test_the_quota_is_taken_first_then_lots_then_overage(world: World) -> None:
    most = replace(MOST, tokens_input=500, tokens_output=400)
    full = done(usage=Usage(input=500, output=400))
    await world.run("overage", full, most=most)
    assert (await world.window("tokens")).used == 900
    await world.grant("TOKEN", 1_000)
    lots = await world.run("overage", full, most=most)
    assert lots is not None
    assert (lots.asset, lots.amount, lots.balance) == ("TOKEN", 900, 100)
    over = await world.run("overage", full, most=most)
    assert over is not None
    assert (over.asset, over.amount, over.balance) == ("USD", 9_000_000, -9_000_000)
    assert (await world.window("overage")).used == 900
    assert (await world.window("tokens")).used == 900
    assert (await world.window("requests")).used == 3


async def test_an_exhausted_quota_is_refused_with_the_documents_data(world: World) -> None:
    await world.run("allowance", done(usage=Usage(input=900)))
    with pytest.raises(QuotaExceeded) as refused:
        await world.run("allowance", done())
    assert refused.value.data == {
        "resource": "tokens",
        "period": "monthly",
        "quotaUsed": 900,
        "quotaHeld": 0,
        "quotaLimit": 1_000,
        "requested": 150,
        "upgradeUrl": "https://app.example/upgrade",
        "resetDate": "2026-12-01T00:00:00Z",
    }
    assert len(await world.rows()) == 1


async def test_the_request_quota_is_a_quota_too(world: World) -> None:
    for _ in range(10):
        await world.run("allowance", done(usage=Usage(input=1)))
    with pytest.raises(QuotaExceeded) as refused:
        await world.run("allowance", done())
    assert (refused.value.data["resource"], refused.value.data["quotaLimit"]) == ("requests", 10)


@pytest.mark.parametrize(
    ("tier", "reason", "needed", "free"),
    [("tokens", "insufficient_tokens", "188", "187"), ("credits", "insufficient_credits", "0.02", "0.019999999")],
)
async def test_too_little_money_is_refused_with_what_is_needed(
    world: World, tier: str, reason: str, needed: str, free: str
) -> None:
    await world.grant(POLICIES[tier][0], POLICIES[tier][1] - 1)
    with pytest.raises(PaymentRequired) as refused:
        await world.run(tier, done())
    assert refused.value.slug == reason
    assert refused.value.data == {
        "required": needed,
        "available": free,
        "asset": POLICIES[tier][0],
        "billingUrl": "https://app.example/billing",
    }
    await world.grant(POLICIES[tier][0], 1)
    assert await world.run(tier, done()) is not None


async def test_a_credential_lowers_a_quota_and_raises_it_only_with_authority(world: World) -> None:
    def quota(limit: int, *, is_authoritative: bool) -> int:
        caller = world.caller("allowance", limits={"monthly_token_quota": limit}, is_authoritative=is_authoritative)
        quote = world.quotes.quote(caller, MOST)
        from monetization.funding import sources  # noqa: PLC0415  # only here

        limit_of = next(sources(caller, quote.tier, quote.charge, now_us=world.clock())).claims[0].limit
        assert limit_of is not None
        return limit_of

    assert quota(100, is_authoritative=False) == 100
    assert quota(5_000, is_authoritative=False) == 1_000
    assert quota(5_000, is_authoritative=True) == 5_000
    caller = world.caller("allowance", limits={"monthly_token_quota": 149})
    with pytest.raises(QuotaExceeded) as refused:
        async with world.tabs.open(world.call(), world.quotes.quote(caller, MOST)):
            raise AssertionError
    assert refused.value.data["quotaLimit"] == 149


async def test_a_month_that_ends_during_a_call_is_charged_where_it_began(world: World) -> None:
    async def play(tab: Tab) -> None:
        world.clock.now_us += 20 * DAY_US
        done()(tab)

    await world.run("allowance", play)
    await world.run("allowance", done())
    used = [view.used for view in await world.store.windows("default", "user:ada") if view.key.resource == "tokens"]
    assert used == [50, 50]


async def test_a_call_is_charged_by_the_price_that_held_when_it_began(world: World) -> None:
    """Also where the new price was written long before, to begin in the middle of the call."""
    old, new = (
        Price("plain", version, start, rates_from(input=nano_per_million(dollars), output=nano_per_million(dollars)))
        for version, start, dollars in (("old", 0, "1"), ("new", world.clock() + 60_000_000, "7"))
    )
    book = PriceBook([Table({"openai/plain": (old, new)})])
    dated = replace(world, quotes=replace(world.quotes, book=lambda: book))

    def play(tab: Tab) -> None:
        world.clock.advance(120)
        done()(tab)

    for _ in range(2):
        await dated.run("allowance", play)
    rows = await world.rows()
    assert [(row.price_version, row.cost_nano) for row in rows] == [("old", 50_000), ("new", 350_000)]
