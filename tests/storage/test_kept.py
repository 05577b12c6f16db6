"""Kept rows come and go with their group, keep their order and survive a restart."""

from dataclasses import replace
from pathlib import Path

from storage.records.commands import Done, Grant, Keep, RefundPurchase, Refusal
from storage.records.kept import ANSWER, KeptRow
from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_store

ACCOUNT = AccountKey("default", "user", "u", CREDITS, "TOKEN")
GRANT = Grant(account=ACCOUNT, amount=5, reason="purchase", source="test", source_ref="1")


def row(key: str, body: str, kind: str = "price") -> KeptRow:
    return KeptRow("default", kind, key, body, actor="root", reason="because", valid_from_us=7)


async def test_rows_of_a_key_are_given_back_oldest_first_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    async with open_store(url, clock_us=lambda: 1_000) as store:
        for key, body in (("a", "1"), ("b", "2"), ("a", "3")):
            assert isinstance(await store.submit(Keep(row(key, body))), Done)
    async with open_store(url, clock_us=lambda: 2_000) as store:
        assert [kept.body for kept in await store.kept("default", "price", "a")] == ["1", "3"]
        found = await store.kept("default", "price")
        assert [(kept.key, kept.created_us, kept.actor) for kept in found] == [
            ("a", 1_000, "root"),
            ("b", 1_000, "root"),
            ("a", 1_000, "root"),
        ]
        assert await store.kept("other", "price") == ()
        assert await store.kept("default", ANSWER) == ()


async def test_a_row_is_there_exactly_if_its_neighbours_are() -> None:
    async with open_store("sqlite://", clock_us=lambda: 1_000) as store:
        refused = await store.submit_together(
            [GRANT, Keep(row("a", "1")), RefundPurchase(tenant="default", source="test", source_ref="unknown")]
        )
        assert isinstance(refused, Refusal)
        assert await store.kept("default", "price") == ()
        assert (await store.balance(ACCOUNT)).posted == 0
        assert not isinstance(await store.submit_together([GRANT, Keep(row("a", "1"))]), Refusal)
        assert len(await store.kept("default", "price")) == 1
        assert (await store.balance(ACCOUNT)).posted == 5


async def test_answers_go_once_they_have_expired_and_documents_never() -> None:
    now = 1_000

    def clock_us() -> int:
        return now

    async with open_store("sqlite://", clock_us=clock_us) as store:
        await store.submit(Keep(replace(row("h1", "1", ANSWER), expires_us=2_000)))
        await store.submit(Keep(replace(row("p", "1"), expires_us=2_000)))
        now = 3_000
        await store.submit(Keep(replace(row("h2", "2", ANSWER), expires_us=9_000)))
        assert [kept.key for kept in await store.kept("default", ANSWER)] == ["h2"]
        assert len(await store.kept("default", "price")) == 1
