import asyncio
from typing import Any

import pytest

from methods.errors import Forbidden, InvalidParams
from tests.methods.ingestion.conftest import BOTH, Sender, event, iso

UNPRICED: dict[str, Any] = {"provider": "OPENAI", "model": "gpt-9"}


async def price_it(sender: Sender) -> None:
    await sender.admin("setPrice", {"provider": "openai", "model": "gpt-9", "prices": {"input": "1", "output": "2"}})


async def test_an_event_without_a_price_or_a_known_user_waits_and_can_be_seen(sender: Sender) -> None:
    answer = await sender.tell(event("m", **UNPRICED), event("u", "stranger"), event("ok"))
    assert (answer["accepted"], answer["rejected"], answer["dead_letters"]) == (1, 2, 2)
    assert [one.get("reason") for one in answer["results"]] == ["unknown_model", "unknown_user", None]
    letters = await sender.letters()
    assert {letter["reason"] for letter in letters} == {"unknown_model", "unknown_user"}
    assert {letter["id"] for letter in letters} == {one["dead_letter_id"] for one in answer["results"][:2]}
    shown = next(letter for letter in letters if letter["reason"] == "unknown_model")["event"]
    assert {name: shown[name] for name in ("event_id", "user_id", "model", "input_tokens")} == {
        "event_id": "m",
        "user_id": "u1",
        "model": "gpt-9",
        "input_tokens": 1000,
    }
    assert len(await sender.history()) == 1


async def test_a_resend_of_a_dead_letter_is_a_duplicate_and_another_body_a_conflict(sender: Sender) -> None:
    first = event("m", **UNPRICED)
    await sender.one(first)
    assert (await sender.one({**first, "timestamp": iso(days=1)}))["status"] == "duplicate"
    assert (await sender.one({**first, "input_tokens": 1}))["reason"] == "event_conflict"
    twice = await sender.tell(event("n", **UNPRICED), event("n", **UNPRICED))
    assert [one["status"] for one in twice["results"]] == ["rejected", "duplicate"]
    assert len(await sender.letters()) == 2


@BOTH
async def test_once_the_cause_is_mended_a_replay_books_each_event_in_its_own_time_and_once(sender: Sender) -> None:
    told = [event(f"m{n}", timestamp=iso(days=3), **UNPRICED) for n in range(3)]
    await sender.tell(*told)
    before = await sender.balance()
    still = await sender.admin("replayDeadLetters", {"all": True})
    assert (still["accepted"], still["rejected"]) == (0, 3)
    assert {one["reason"] for one in still["results"]} == {"unknown_model"}
    await price_it(sender)
    answers = await asyncio.gather(*[sender.admin("replayDeadLetters", {"all": True}) for _ in range(3)])
    assert sum(answer["accepted"] for answer in answers) == 3
    assert {one.get("reason") for answer in answers for one in answer["results"]} <= {None, "gone"}
    assert await sender.letters() == []
    assert before - await sender.balance() == pytest.approx(0.6)
    assert {one["status"] for one in (await sender.tell(*told))["results"]} == {"duplicate"}
    assert before - await sender.balance() == pytest.approx(0.6)
    assert {row["timestamp"][:10] for row in await sender.history()} == {iso(days=3)[:10]}


async def test_a_user_who_is_known_now_pays_for_what_was_kept(sender: Sender) -> None:
    letter = (await sender.one(event("u", "stranger")))["dead_letter_id"]
    await sender.subscribe("stranger", "credits")
    await sender.admin("grantCredits", {"userId": "stranger", "amount": "5"})
    assert (await sender.admin("replayDeadLetters", {"ids": [letter]}))["accepted"] == 1
    assert (await sender.one(event("v", "stranger")))["status"] == "accepted"


@BOTH
async def test_a_replay_that_was_broken_off_can_be_asked_again_with_the_same_letters(sender: Sender) -> None:
    await sender.tell(*[event(f"m{n}", **UNPRICED) for n in range(3)])
    await price_it(sender)
    first, *others = [letter["id"] for letter in await sender.letters()]
    before = await sender.balance()
    assert (await sender.admin("replayDeadLetters", {"ids": [first]}))["accepted"] == 1
    again = await sender.admin("replayDeadLetters", {"ids": [first, *others, "no-such-letter"]})
    assert [(one["id"], one["status"], one.get("reason")) for one in again["results"]] == [
        (first, "rejected", "gone"), *[(other, "accepted", None) for other in others], ("no-such-letter", "rejected", "gone"),
    ]  # fmt: skip
    assert (again["accepted"], again["rejected"]) == (2, 2)
    assert before - await sender.balance() == pytest.approx(0.6)


@BOTH
async def test_an_event_whose_idempotency_key_was_billed_meanwhile_is_not_billed_again(sender: Sender) -> None:
    await sender.one(event("m", idempotency_key="k", **UNPRICED))
    await sender.one(event("o", idempotency_key="j", **UNPRICED))
    await sender.one(event("n", idempotency_key="k"))
    await price_it(sender)
    assert (await sender.one(event("p", idempotency_key="j", **UNPRICED)))["status"] == "accepted"
    answer = await sender.admin("replayDeadLetters", {"all": True})
    assert {one["eventId"]: (one["status"], one.get("reason")) for one in answer["results"]} == {
        "m": ("rejected", "idempotency_conflict"),
        "o": ("duplicate", None),
    }
    assert [letter["event"]["event_id"] for letter in await sender.letters()] == ["m"]
    assert len(await sender.history()) == 2


@BOTH
async def test_what_is_given_up_stands_in_the_audit_and_its_id_is_free_again(sender: Sender) -> None:
    letter = (await sender.one(event("m", **UNPRICED)))["dead_letter_id"]
    params = {"ids": [letter, "no-such-letter"], "reason": "a typing error"}
    answer = await sender.admin("deleteDeadLetters", params)
    assert answer["deleted"] == 1
    assert [one["status"] for one in answer["results"]] == ["deleted", "not_found"]
    assert await sender.letters() == []
    act = (await sender.admin("listAuditEvents", {"subject": f"event:{letter}"}))["events"][0]
    assert (act["actor"], act["action"], act["reason"]) == ("boss", "deleteDeadLetter", "a typing error")
    assert act["details"]["event"]["event_id"] == "m"
    assert (await sender.one(event("m")))["status"] == "accepted"


async def test_letters_are_listed_in_pages_oldest_first(sender: Sender) -> None:
    for n in range(5):
        await sender.one(event(f"m{n}", **UNPRICED))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await sender.admin("listDeadLetters", {"limit": 2, **cursor})
        seen += [letter["event"]["event_id"] for letter in page["deadLetters"]]
        if "nextCursor" not in page:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert seen == [f"m{n}" for n in range(5)]


async def test_what_waits_is_counted_by_its_reasons(sender: Sender) -> None:
    nothing = await sender.admin("getIngestionInfo")
    assert (nothing["deadLetters"], nothing["byReason"], "oldestReceivedAt" in nothing) == (0, {}, False)
    for n in range(3):
        await sender.one(event(f"m{n}", **UNPRICED))
    info = await sender.admin("getIngestionInfo")
    (first, *_) = await sender.letters()
    assert (info["deadLetters"], info["isMore"], info["inFlight"]) == (3, False, 0)
    assert info["byReason"] == {first["reason"]: 3}
    assert info["oldestReceivedAt"] == first["receivedAt"]
    member = sender.product.token("ann", "enterprise")
    assert isinstance(await sender.product.refused(member, "getIngestionInfo"), Forbidden)


async def test_a_service_sees_and_replays_letters_and_only_an_admin_gives_them_up(sender: Sender) -> None:
    letter = (await sender.one(event("m", **UNPRICED)))["dead_letter_id"]
    service = sender.product.token("backend", "enterprise", role="service")
    assert (await sender.product.call(service, "listDeadLetters"))["deadLetters"][0]["id"] == letter
    assert (await sender.product.call(service, "replayDeadLetters", {"ids": [letter]}))["rejected"] == 1
    assert isinstance(await sender.product.refused(service, "deleteDeadLetters", {"ids": [letter]}), Forbidden)
    for params in ({}, {"ids": [letter], "all": True}):
        assert isinstance(await sender.product.refused(service, "replayDeadLetters", params), InvalidParams)


async def test_strangers_are_taken_where_the_operator_says_so(sending: Any) -> None:
    async with sending(ingestion={"unknown_users": "accept"}) as sender:
        assert (await sender.one(event("u", "stranger")))["status"] == "accepted"
