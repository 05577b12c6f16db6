"""Whatever an admin sets takes an idempotency key: the same key and body gives the first answer, another body is refused."""

import asyncio
from typing import Any

import pytest

from storage.errors import IdempotencyConflict, NotFound
from storage.store import open_reader
from tests.methods.money.conftest import Product, Start

PRICE = {"provider": "simulator", "model": "simulator", "prices": {"input": "1", "output": "2"}, "reason": "list"}
RULES = {"default": {"input_tokens": 1, "output_tokens": 2, "per_unit": 1000}}
ACTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "setPrice": (PRICE, {"prices": {"input": "1", "output": "3"}}),
    "createBurnTable": ({"name": "new", "rules": RULES}, {"name": "other"}),
    "updateBurnTable": ({"name": "newer"}, {"name": "other"}),
    "activateBurnTable": ({"isActive": False}, {"isActive": True}),
    "deleteBurnTable": ({"reason": "old"}, {"reason": "other"}),
}
"""What is asked for, and what another request under the same key would change."""


async def body_of(product: Product, method: str) -> dict[str, Any]:
    """A request; of one that changes a table, with a table to change."""
    body, _ = ACTS[method]
    if method in {"setPrice", "createBurnTable"}:
        return {**body, "idempotencyKey": "k"}
    made = await product.admin("createBurnTable", {"name": "t", "rules": RULES})
    return {**body, "id": made["id"], "idempotencyKey": "k"}


async def written(product: Product) -> int:
    """How many documents there are."""
    async with open_reader(product.settings.storage.url.get_secret_value(), clock_us=lambda: 0) as reader:
        return await reader.kept_count("default", ("price", "burn_table"))


@pytest.mark.parametrize("method", list(ACTS))
async def test_a_repeated_key_gives_the_first_answer_whatever_came_after_it(product: Product, method: str) -> None:
    body = await body_of(product, method)
    first = await product.admin(method, body)
    assert first["isReplay"] is False
    await product.admin("setPrice", {**PRICE, "prices": {"input": "7", "output": "7"}})
    await product.admin("createBurnTable", {"name": "later", "rules": RULES})
    if method in {"createBurnTable", "updateBurnTable", "activateBurnTable"}:
        await product.admin("updateBurnTable", {"id": first["id"], "name": "renamed since"})
    count = await written(product)
    assert await product.admin(method, body) == {**first, "isReplay": True}
    assert await written(product) == count


@pytest.mark.parametrize("method", list(ACTS))
async def test_a_key_with_another_body_is_refused_and_changes_nothing(product: Product, method: str) -> None:
    body = await body_of(product, method)
    await product.admin(method, body)
    count = await written(product)
    refused = await product.refused_admin(method, {**body, **ACTS[method][1]})
    assert isinstance(refused, IdempotencyConflict)
    assert await written(product) == count


@pytest.mark.parametrize("method", list(ACTS))
async def test_the_same_key_at_the_same_time_acts_once(product: Product, method: str) -> None:
    body = await body_of(product, method)
    count = await written(product)
    answers = await asyncio.gather(*(product.admin(method, body) for _ in range(6)))
    assert await written(product) == count + 1
    assert sorted(answer["isReplay"] for answer in answers) == [False, *[True] * 5]
    assert len({repr({**answer, "isReplay": None}) for answer in answers}) == 1


async def test_keys_of_settings_outlive_a_restart(start: Start) -> None:
    async with start() as product:
        first = await product.admin("setPrice", {**PRICE, "idempotencyKey": "k"})
    async with start() as product:
        assert await product.admin("setPrice", {**PRICE, "idempotencyKey": "k"}) == {**first, "isReplay": True}


async def test_what_was_refused_leaves_its_key_unused(product: Product) -> None:
    missing = {"id": "bt_none", "name": "n", "idempotencyKey": "k"}
    assert isinstance(await product.refused_admin("updateBurnTable", missing), NotFound)
    made = await product.admin("createBurnTable", {"name": "t", "rules": RULES})
    assert (await product.admin("updateBurnTable", {**missing, "id": made["id"]}))["isReplay"] is False


async def test_without_a_key_every_request_acts(product: Product) -> None:
    first, second = [await product.admin("setPrice", PRICE) for _ in range(2)]
    assert first["version"] != second["version"]
