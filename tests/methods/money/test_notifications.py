"""Notices from what happens to what somebody reads: told once, listed, marked, and nobody else's."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from billing.accounts import credits_of, pool_of
from monetization.notices.desk import Notices
from monetization.notices.kinds import OPERATOR, Notice
from monetization.notices.rules import DEFAULT_LOW, SignalRules
from monetization.notices.watching import LookOut
from monetization.periods import start_of
from storage.records.commands import Charge, Done, Grant
from storage.records.ledger import AccountKey
from storage.store import Store, open_store
from tests.journeys.world import until
from tests.methods.money.conftest import TIERS, Product, Start
from tests.methods.money.test_reports import ASK, CHARGING, row, seeded

RULES = SignalRules(low=DEFAULT_LOW)
FAST = {"signals": {"every_seconds": 1}}


def now_us() -> int:
    return time.time_ns() // 1_000


def look_out(store: Store, rules: SignalRules = RULES) -> LookOut:
    return LookOut(store, Notices(store), rules, now_us)


async def topics(store: Store) -> list[str]:
    return [event.topic for event in await store.outbox(0, 100)]


async def listed(product: Product, user: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = await product.call(product.token(user, "allowance"), "listNotifications", params)
    return found


async def test_a_threshold_becomes_a_notice_and_is_marked_as_read(start: Start) -> None:
    tiers = {"tiny": {"policy": "allowance", "monthly_token_quota": 100, "thresholds_percent": [10, 100]}}
    async with start(tiers={**TIERS, **tiers}, **CHARGING, **FAST) as product:
        token = product.token("ann", "tiny")
        await product.call(token, "executeAIRequest", ASK)
        found: dict[str, Any] = {}

        async def is_told() -> bool:
            found.update(await product.call(token, "listNotifications"))
            return bool(found["notifications"])

        await until(is_told)
        (notice,) = found["notifications"]
        assert (notice["type"], notice["priority"], notice["status"]) == ("quota_warning", "normal", "sent")
        assert found["unreadCount"] == 1
        marked = await product.call(token, "markNotificationRead", {"id": notice["id"]})
        assert (marked["marked"], marked["unreadCount"]) == (1, 0)
        again = await product.call(token, "markNotificationRead", {"all": True})
        assert again["marked"] == 0
        assert (await product.call(token, "getUnreadCount")) == {"unreadCount": 0}
        assert (await listed(product, "ann", unreadOnly=True))["notifications"] == []
        assert (await listed(product, "ann"))["notifications"][0]["status"] == "read"
        other = await product.refused(product.token("eve"), "markNotificationRead", {"id": notice["id"]})
        assert other.slug == "not_found"
        for params in ({"userId": "ann"}, {"operator": True}, {"organizationId": "acme"}):
            assert (await product.refused(product.token("eve"), "listNotifications", params)).slug == "scope_required"


async def test_what_is_found_is_told_once_with_one_event_whoever_looks(tmp_path: Path) -> None:
    lately = now_us()
    rows = [row(charge_amount=100, charge_asset="TOKEN", occurred_us=lately)]
    rows += [row(f"user-{number}", outcome="failed", cost=0, occurred_us=lately) for number in range(30)]
    await seeded(tmp_path, rows, granted=600)
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        first, second = look_out(store), look_out(store)
        told = await asyncio.gather(first.look(), second.look())
        assert sum(told) == 3  # a low balance, the errors, and the provider that fails
        assert await first.look() == 0
        assert sorted(await topics(store)) == ["notice.error_rate", "notice.provider_failure", "notice.token_low"]
        (low,) = await Notices(store).of("user:ann")
        assert (low.type, low.data["balance"], low.read_us) == ("token_low", "500", None)
        assert {told.type for told in await Notices(store).of(OPERATOR)} == {"error_rate", "provider_failure"}


@pytest.mark.parametrize("own", [{"caller_kind": "byok", "cost": None}, {}], ids=["own", "platform"])
async def test_what_was_refused_raises_no_alarm_and_hides_none(tmp_path: Path, own: dict[str, Any]) -> None:
    """Whoever asks wrongly, or with a key that holds no longer, would wake the operator, or drown a real failure."""
    own = {**own, "occurred_us": now_us()}
    await seeded(tmp_path, [row(outcome="refused", tokens=0, **own) for _ in range(300)])
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        assert await look_out(store).look() == 0
    await seeded(tmp_path, [row(outcome="failed", tokens=0, **own) for _ in range(20)])
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        assert await look_out(store).look() == 2
        found = await Notices(store).of(OPERATOR)
        assert {(told.data["requests"], told.data["percent"]) for told in found} == {(20, 100)}


async def test_calls_on_own_provider_keys_that_go_well_hide_no_failure(tmp_path: Path) -> None:
    own: dict[str, Any] = {"caller_kind": "byok", "cost": None, "occurred_us": now_us()}
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        assert await look_out(store).look() == 0
    failed = [row(outcome="failed", tokens=0, cost=0, occurred_us=now_us()) for _ in range(20)]
    await seeded(tmp_path, [*failed, *[row(**own) for _ in range(300)]])
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        assert await look_out(store).look() == 2
        assert {told.data["requests"] for told in await Notices(store).of(OPERATOR)} == {20}


async def test_whose_account_paid_is_told_of_it_and_not_the_member_whom_the_pool_pays(tmp_path: Path) -> None:
    """The member's own account is empty, and has been since a week before: that is no news, and no reason to buy."""
    week_ago = now_us() - 7 * 86_400_000_000
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=lambda: week_ago) as store:
        await paid(store, credits_of("ann", "TOKEN"), 500, 500, week_ago)
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        await paid(store, pool_of("acme", "TOKEN"), 600, 100, now_us(), organization_id="acme")
        assert await look_out(store).look() == 1
        (low,) = await Notices(store).of("org:acme")
        assert (low.type, low.data["balance"]) == ("token_low", "500")
        assert await Notices(store).of("user:ann") == []


async def test_a_row_that_was_written_after_the_look_over_its_time_is_seen_by_the_next(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        looking = look_out(store)
        happened_us = now_us()
        assert await looking.look() == 0
        await paid(store, credits_of("ann", "TOKEN"), 600, 100, happened_us)
        assert await looking.look() == 1


async def test_what_is_told_of_late_is_seen_within_the_hour(tmp_path: Path) -> None:
    hour_us, minute_us = 3_600_000_000, 60_000_000
    clock = [start_of("hourly", now_us()) + 10 * minute_us]
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        looking = LookOut(store, Notices(store), RULES, lambda: clock[0])
        assert await looking.look() == 0
        await paid(store, credits_of("ann", "TOKEN"), 600, 100, clock[0] - 3 * hour_us)
        clock[0] += minute_us
        assert await looking.look() == 0
        clock[0] += hour_us
        assert await looking.look() == 1


async def paid(store: Store, account: AccountKey, granted: int, taken: int, at_us: int, **more: Any) -> None:
    """Give an account something, and take a part of it for a call of ann's."""
    grant = Grant(account=account, amount=granted, source="test", source_ref=account.owner_id, reason="promotion")
    used = row(charge_amount=taken, charge_asset="TOKEN", occurred_us=at_us, **more)
    charge = Charge(account=account, amount=taken, usage=used, ref=used.request_id, occurred_us=at_us)
    for command in (grant, charge):
        assert isinstance(await store.submit(command), Done)


async def test_pages_of_notices_follow_each_other(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [])
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        notices = Notices(store)
        for number in range(5):
            notice = Notice("user:ann", "payment_success", f"order-{number}", number, "paid")
            assert await notices.tell(notice, now_us())
            assert not await notices.tell(notice, now_us())
    async with start() as product:
        seen: list[str] = []
        page = await listed(product, "ann", limit=2)
        while True:
            seen += [notice["id"] for notice in page["notifications"]]
            if "nextCursor" not in page:
                break
            page = await listed(product, "ann", limit=2, cursor=page["nextCursor"])
        assert len(seen) == len(set(seen)) == 5
        refused = await product.refused(product.token("ann"), "listNotifications", {"cursor": "nonsense"})
        assert refused.slug == "invalid_cursor"
