"""Evaluation alone: no store, no file, no clock."""

from storage.ledger.evaluate import Group, evaluate
from storage.ledger.needs import missing
from storage.ledger.state import State
from storage.records.commands import Charge, Command, Configure, Done, Hold, Idempotency, Refusal
from storage.records.ledger import SYSTEM_KINDS
from tests.storage.ledger_cases import ADA, BOB, MONTH, grant

NOW = 1_000_000


def test_the_same_commands_over_the_same_rows_give_the_same_answers_and_changes() -> None:
    commands: list[Command | Group] = [
        grant(ADA, 10),
        Hold(account=ADA, amount=4, expires_us=NOW + 1),
        Hold(account=BOB, amount=1, expires_us=NOW + 1),
    ]
    runs = []
    for _ in range(2):
        state = State()
        runs.append((evaluate(commands, state, NOW), state.changes.transfers))
    assert runs[0] == runs[1]


def test_a_grant_pays_the_oldest_debt_first() -> None:
    state = State()
    evaluate([Configure(account=ADA, overdraft=30)], state, NOW)
    first, second, _ = evaluate(
        [Charge(account=ADA, amount=10), Charge(account=ADA, amount=10), grant(ADA, 15)], state, NOW
    )
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert [(transfer, amount) for transfer, _, amount, _ in state.changes.lot_uses] == [(first.id, 10), (second.id, 5)]
    assert state.accounts[ADA].debts == {second.id: 5}


def test_a_refused_group_leaves_no_trace_in_the_rows_or_the_changes() -> None:
    state = State()
    evaluate([grant(ADA, 10), grant(BOB, 10, "2")], state, NOW)
    state.end()
    before = [(account.save(), [lot.save() for lot in account.lots]) for account in state.accounts.values()]
    group = Group(
        (
            Charge(account=ADA, amount=4, idempotency=Idempotency("s", "k", "h")),
            Hold(account=BOB, amount=4, expires_us=NOW + 1),
            Charge(account=BOB, amount=7),
        )
    )
    (outcome,) = evaluate([group], state, NOW)
    assert isinstance(outcome, Refusal)
    after = [
        (account.save(), [lot.save() for lot in account.lots])
        for account in state.accounts.values()
        if account.key.kind not in SYSTEM_KINDS or account.status == 0
    ]
    assert after[: len(before)] == before
    assert all(not rows for rows in state.changes.lists())
    assert (state.holds, state.idempotency) == ({}, {})


def test_needs_name_each_missing_row_once_and_nothing_that_is_there() -> None:
    state = State()
    hold = Hold(account=ADA, amount=1, expires_us=NOW, idempotency=Idempotency("s", "k", "h"))
    needs = missing([hold, Group((hold, Charge(account=BOB, amount=1)))], state)
    assert (list(needs.accounts), list(needs.idempotency)) == ([ADA, BOB], [("t", "s", "k")])
    state.account(ADA)
    state.window(MONTH)
    assert list(missing([hold], state).accounts) == []
