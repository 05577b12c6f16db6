"""Random histories against the reference model: every command, expiry, replay, changed bodies, groups, restarts."""

import asyncio
import copy
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from storage.records import commands as c
from storage.records.ledger import CREDITS, WRITE_OFF, AccountKey, WindowKey
from storage.records.money import NEVER_US, TOKEN
from storage.sql.sqlite.store import SqliteStore, open_sqlite
from tests.storage.reference_model import Charge, Hold, Model

SECOND = 1_000_000
NAMES = ["ada", "bob"]
RESOURCES = ["requests", "tokens"]

names = st.sampled_from(NAMES)
amounts = st.integers(0, 40)
some = st.integers(1, 40)
quotas = st.dictionaries(st.sampled_from(RESOURCES), st.integers(0, 20))
indexes = st.integers(0, 30)
after = st.one_of(st.integers(0, 20).map(lambda seconds: seconds * SECOND), st.just(NEVER_US))
claims = st.dictionaries(st.sampled_from(RESOURCES), st.tuples(amounts, st.integers(20, 90)))
replays = st.one_of(st.none(), st.none(), st.none(), st.sampled_from("abcdefgh"))
references = st.one_of(st.integers(0, 40), st.integers(100, 103))
KINDS: dict[str, tuple[Any, ...]] = {
    "grant": (names, some, st.integers(1, 3), after, references),
    "hold": (
        names,
        amounts,
        after,
        claims,
        st.one_of(st.none(), st.integers(0, 15)),
        st.sampled_from(["post_used", "void"]),
    ),
    "extend": (indexes, amounts, st.one_of(st.none(), after)),
    "checkpoint": (indexes, amounts, quotas),
    "settle": (indexes, amounts, quotas),
    "release": (indexes,),
    "expire": (indexes,),
    "charge": (names, amounts, st.sampled_from(["refuse", "write_off"])),
    "adjust": (names, st.integers(-20, 20).filter(bool)),
    "move": (names, names, some),
    "refund_purchase": (references, st.one_of(st.none(), some)),
    "refund_charge": (indexes, st.one_of(st.none(), some)),
    "configure": (names, st.integers(0, 15), st.sampled_from(["open"] * 7 + ["suspended"])),
}
OFTEN = ["grant", "grant", "hold", "hold", "hold", "settle", "settle", "checkpoint", "charge", "refund_charge"]
sketches = st.sampled_from([*KINDS, *OFTEN]).flatmap(lambda kind: st.tuples(st.just(kind), *KINDS[kind]))


def key(name: str) -> AccountKey:
    return AccountKey("t", "user", name, CREDITS, TOKEN)


def window(resource: str) -> WindowKey:
    return WindowKey("t", "all", resource, "monthly", 0)


class Ledger(RuleBasedStateMachine):
    """One store and one model, told the same."""

    rows_max = 20_000

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.keys: dict[str, tuple[str, Any]] = {}
        self.charges: list[tuple[str, Charge]] = []
        self.commands = 0

    @initialize()
    def open(self) -> None:
        self.runner.run(self._open())
        for number, name in enumerate(NAMES * 2):
            self.send([(("grant", name, 40, 1 + number % 3, NEVER_US, 100 + number), None)])

    async def _open(self) -> None:
        self.stack = AsyncExitStack()
        path = str(Path(self.folder.name) / "ledger.db")
        opened = open_sqlite(path, clock_us=lambda: self.model.now, rows_max=self.rows_max)
        self.store: SqliteStore = await self.stack.enter_async_context(opened)

    # Building the same command for both ---------------------------------------------------------------------------

    def build(self, sketch: tuple[Any, ...], replay: str | None) -> tuple[Any, Callable[[Model], Any]] | None:
        kind, *rest = sketch
        idempotency = c.Idempotency("test", replay, repr(sketch)) if replay is not None else None
        made = getattr(self, f"make_{kind}")(idempotency, *rest)
        return made and (made[0], lambda model: getattr(model, kind)(*made[1]))

    def at(self, ahead: int) -> int:
        return NEVER_US if ahead == NEVER_US else self.model.now + ahead

    def make_grant(self, key_: Any, name: str, amount: int, priority: int, ahead: int, ref: int) -> Any:
        expires = self.at(ahead)
        grant = c.Grant(
            account=key(name), amount=amount, reason="purchase", source="test", source_ref=str(ref), priority=priority,
            expires_us=expires, paid_nano=7, idempotency=key_,
        )  # fmt: skip
        return grant, (name, amount, priority, expires, str(ref))

    def make_hold(
        self, key_: Any, name: str, amount: int, ahead: int, claims: Any, overdraft: Any, on_expire: Any
    ) -> Any:
        expires = self.at(ahead)
        parts = tuple(c.Claim(window(resource), count, limit) for resource, (count, limit) in claims.items())
        hold = c.Hold(
            account=key(name), amount=amount, expires_us=expires, on_expire=on_expire, claims=parts, overdraft=overdraft,
            idempotency=key_,
        )  # fmt: skip
        return hold, (name, amount, expires, claims, overdraft, on_expire)

    def some_hold(self, index: int) -> Hold | None:
        """Counted from the newest, so that long histories do not end among holds that were closed long ago."""
        known = [hold for hold in self.model.holds if hold.id]
        return known[-1 - index % len(known)] if known else None

    def make_extend(self, key_: Any, index: int, amount: int, ahead: int | None) -> Any:
        hold = self.some_hold(index)
        expires = None if ahead is None else self.at(ahead)
        return hold and (
            c.Extend(tenant="t", hold_id=hold.id, amount=amount, expires_us=expires, idempotency=key_), (hold, amount, expires),
        )  # fmt: skip

    def make_checkpoint(self, key_: Any, index: int, used: int, quota: Any) -> Any:
        hold = self.some_hold(index)
        return hold and (
            c.Checkpoint(tenant="t", hold_id=hold.id, used=used, quota=quota, idempotency=key_),
            (hold, used, quota),
        )

    def make_settle(self, key_: Any, index: int, amount: int, quota: Any) -> Any:
        hold = self.some_hold(index)
        return hold and (
            c.Settle(tenant="t", hold_id=hold.id, amount=amount, quota=quota, idempotency=key_),
            (hold, amount, quota),
        )

    def make_release(self, key_: Any, index: int) -> Any:
        hold = self.some_hold(index)
        return hold and (c.Release(tenant="t", hold_id=hold.id, idempotency=key_), (hold,))

    def make_expire(self, key_: Any, index: int) -> Any:
        hold = self.some_hold(index)
        return hold and (c.Expire(tenant="t", hold_id=hold.id, idempotency=key_), (hold,))

    def make_charge(self, key_: Any, name: str, amount: int, on_short: Any) -> Any:
        return c.Charge(account=key(name), amount=amount, on_short=on_short, idempotency=key_), (name, amount, on_short)

    def make_adjust(self, key_: Any, name: str, amount: int) -> Any:
        return c.Adjust(account=key(name), amount=amount, reason="r", actor="a", idempotency=key_), (name, amount)

    def make_move(self, key_: Any, source: str, target: str, amount: int) -> Any:
        return c.Move(source=key(source), target=key(target), amount=amount, idempotency=key_), (source, target, amount)

    def make_refund_purchase(self, key_: Any, ref: int, amount: int | None) -> Any:
        return c.RefundPurchase(tenant="t", source="test", source_ref=str(ref), amount=amount, idempotency=key_), (
            str(ref),
            amount,
        )

    def make_refund_charge(self, key_: Any, index: int, amount: int | None) -> Any:
        expiries = [(hold.account, hold.expiry) for hold in self.model.holds if hold.id and hold.expiry]
        for hold in self.model.holds:
            if hold.id and hold.expiry:
                hold.expiry.id = hold.id + 1
        known = [*((name, charge) for name, charge in self.charges if charge.id), *expiries]
        if not known:
            return None
        name, charge = known[-1 - index % len(known)]
        return c.RefundCharge(tenant="t", transfer_id=charge.id, amount=amount, idempotency=key_), (
            name,
            charge,
            amount,
        )

    def make_configure(self, key_: Any, name: str, overdraft: int, state: Any) -> Any:
        return c.Configure(account=key(name), overdraft=overdraft, state=state, idempotency=key_), (
            name,
            overdraft,
            state,
        )

    # Rules --------------------------------------------------------------------------------------------------------

    @rule(batch=st.lists(st.tuples(sketches, replays), min_size=2, max_size=8))
    def submit(self, batch: list[tuple[Any, str | None]]) -> None:
        """Commands sent at once share a commit and are applied in their order."""
        self.send(batch)

    def send(self, batch: list[tuple[Any, str | None]]) -> None:
        made = [
            (sketch, replay, found) for sketch, replay in batch if (found := self.build(sketch, replay)) is not None
        ]
        outcomes = self.runner.run(self._gather([command for _, _, (command, _) in made]))
        for (sketch, replay, (_, apply)), outcome in zip(made, outcomes, strict=True):
            self.check(sketch, replay, apply, outcome)

    async def _gather(self, commands: list[Any]) -> list[Any]:
        self.commands += len(commands)
        return await asyncio.gather(*(self.store.submit(command) for command in commands))

    def check(self, sketch: Any, replay: str | None, apply: Any, outcome: Any) -> None:
        if replay is not None and replay in self.keys:
            digest, first = self.keys[replay]
            if digest != repr(sketch):
                assert outcome == c.Refusal("key_reused", {"scope": "test", "key": replay})
            else:
                assert outcome.is_replay
                assert (outcome.id, outcome.amount, outcome.posted) == (first.id, first.amount, first.posted)
            return
        expected = apply(self.model)
        self.compare(sketch, expected, outcome)
        if replay is not None and isinstance(outcome, c.Done):
            self.keys[replay] = (repr(sketch), outcome)

    def compare(self, sketch: Any, expected: Any, outcome: Any) -> None:
        if isinstance(expected, str):
            assert isinstance(outcome, c.Refusal), (sketch, expected, outcome)
            assert outcome.reason == expected, (sketch, expected, outcome)
            return
        assert isinstance(outcome, c.Done), (sketch, expected, outcome)
        assert outcome.amount == expected[0], (sketch, expected, outcome)
        if sketch[0] in {"settle", "charge"}:
            assert outcome.written_off == expected[1], (sketch, expected, outcome)
        if sketch[0] == "hold":
            self.model.holds[-1].id = outcome.id
        if len(expected) > 2 and expected[2] is not None:
            expected[2].id = outcome.id
            name = sketch[1] if sketch[0] == "charge" else self.owner_of(expected[2])
            self.charges.append((name, expected[2]))

    def owner_of(self, charge: Charge) -> str:
        return next(name for name, account in self.model.accounts.items() if charge in account.charges)

    async def _together(self, commands: list[c.Command]) -> tuple[c.Done, ...] | c.Refusal:
        return await self.store.submit_together(commands)

    @rule(group=st.lists(sketches, min_size=2, max_size=4))
    def submit_together(self, group: list[Any]) -> None:
        """All or nothing."""
        self.send_together(group)

    def send_together(self, group: list[Any]) -> None:
        made = [(sketch, found) for sketch in group if (found := self.build(sketch, None)) is not None]
        outcome = self.runner.run(self._together([command for _, (command, _) in made]))
        before, charges = copy.deepcopy((self.model, self.charges)), len(self.charges)
        refusal = None
        for index, (sketch, (_, apply)) in enumerate(made):
            expected = apply(self.model)
            if isinstance(expected, str):
                refusal = (expected, index)
                break
            if isinstance(outcome, tuple):
                self.compare(sketch, expected, outcome[index])
        if refusal is None:
            assert isinstance(outcome, tuple), (group, outcome)
        else:
            assert isinstance(outcome, c.Refusal), (group, refusal, outcome)
            assert (outcome.reason, outcome.index) == refusal, (group, outcome)
            self.model, self.charges = before
        assert refusal is None or len(self.charges) == charges

    @rule(seconds=st.integers(1, 12), then=st.sampled_from(["nothing", "nothing", "sweep", "restart"]))
    def wait(self, seconds: int, then: str) -> None:
        self.model.now += seconds * SECOND
        if then == "restart":
            self.runner.run(self.stack.aclose())
            self.runner.run(self._open())
        if then == "sweep":
            self.runner.run(self.store.sweep())
        if then != "nothing":
            self.model.sweep()

    @invariant()
    def balances_lots_and_windows_are_the_model_s(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self._compare_all())

    async def _compare_all(self) -> None:
        looks = [
            *(self._compare_account(name) for name in NAMES),
            *(self._compare_window(resource) for resource in RESOURCES),
            self._compare_losses(),
        ]
        await asyncio.gather(*looks)

    async def _compare_account(self, name: str) -> None:
        account, gone = self.model.account(name), sum(part for _, part in self.model.expirable(name))
        found, lots = await asyncio.gather(self.store.balance(key(name)), self.store.lots(key(name), with_empty=True))
        wanted = (account.posted, self.model.held(name), account.overdraft, gone)
        assert (found.posted, found.held, found.overdraft, found.expirable) == wanted
        assert await self.store.remembered.balance(key(name)) == found
        assert [lot.remaining for lot in lots] == [lot.left for lot in self.model.ordered(name)]

    async def _compare_window(self, resource: str) -> None:
        view = await self.store.window(window(resource))
        assert (view.used, view.held) == (self.model.used.get(resource, 0), self.model.held_of(resource))
        assert await self.store.remembered.window(window(resource)) == view

    async def _compare_losses(self) -> None:
        losses = AccountKey("t", "system", "", WRITE_OFF, TOKEN)
        assert await self.store.system_balance(losses) == -self.model.lost

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                broken = [check for check in self.runner.run(self.store.verify()) if not check.is_ok]
                assert not broken
                self.runner.run(self.stack.aclose())
        finally:
            self.runner.close()
            self.folder.cleanup()


class ForgetfulLedger(Ledger):
    """Keeps no row in memory between commits, so that every command is evaluated over loaded rows."""

    rows_max = 0


@pytest.mark.parametrize("machine", [Ledger, ForgetfulLedger])
def test_any_history_gives_what_the_reference_model_gives_and_keeps_every_invariant(machine: type[Ledger]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
