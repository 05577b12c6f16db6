"""Kept provider keys by somebody else's address: whose a key is comes from the credential, and the parameter is only compared."""

import time
from typing import Any

from joserfc import jwt

from methods.errors import code_of
from server.auth.tokens import private_key
from tests.methods.people.conftest import Product

PLACE = {"provider": "simulator"}
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("getUserKey", PLACE),
    ("getUserProviders", {}),
    ("validateUserKey", PLACE),
    ("rotateUserKey", {**PLACE, "newApiKey": "b-provider-key-0123456789"}),
    ("storeUserKey", {**PLACE, "apiKey": "c-provider-key-0123456789"}),
    ("deleteUserKey", PLACE),
]


def with_address(product: Product, user: str, email: str) -> str:
    """A token whose issuer knows the user's address."""
    auth, now = product.settings.auth, int(time.time())
    assert auth.private_key is not None
    said = {"userId": user, "email": email, "subscriptionTier": "virtual_tokens"}
    standard = {"iss": auth.issuer, "aud": auth.audience, "iat": now, "exp": now + 600}
    return jwt.encode({"alg": "ES256"}, {**said, **standard}, private_key(auth.private_key.get_secret_value()))


async def test_the_address_of_another_is_refused(product: Product) -> None:
    ada, bob = (with_address(product, user, f"{user}@example.com") for user in ("ada", "bob"))
    await product.call(ada, "storeUserKey", {**PLACE, "apiKey": "a-provider-key-0123456789"})
    before = await product.call(ada, "getUserKey", PLACE)
    for method, params in METHODS:
        refused = await product.refused(bob, method, {**params, "email": "ada@example.com"})
        assert refused.slug == "not_yours", method
    assert await product.call(ada, "getUserKey", {**PLACE, "email": " ADA@example.com "}) == before


async def test_an_address_reaches_nothing_for_an_admin_whose_credential_names_none(product: Product) -> None:
    ada = with_address(product, "ada", "ada@example.com")
    await product.call(ada, "storeUserKey", {**PLACE, "apiKey": "a-provider-key-0123456789"})
    hers = {**PLACE, "email": "ada@example.com"}
    assert (await product.admin("getUserKey", hers))["hasKey"] is False
    assert await product.admin("deleteUserKey", hers) == {"deleted": False}
    assert (await product.call(ada, "getUserKey", hers))["hasKey"] is True


async def test_a_provider_is_asked_about_a_users_key_only_so_often(product: Product) -> None:
    ada, bob = product.token("ada"), product.token("bob")
    limits = product.settings.limits
    for user in (ada, bob):
        await product.call(user, "storeUserKey", {**PLACE, "apiKey": "a-provider-key-0123456789"})
    assert (await product.refused(ada, "validateUserKey", {"provider": "nobody"})).slug == "unknown_provider"
    for _ in range(limits.key_checks_rpm):
        await product.call(ada, "validateUserKey", PLACE)
    refused = await product.refused(ada, "validateUserKey", PLACE)
    assert code_of(refused) == -32002
    assert {name: refused.data[name] for name in ("limit", "resource", "subject")} == {
        "limit": limits.key_checks_rpm,
        "resource": "requests",
        "subject": "user",
    }
    assert 0 < int(str(refused.data["retryAfter"])) <= 61
    assert str(refused.data["resetTime"]).endswith("Z")
    await product.call(bob, "validateUserKey", PLACE)
    await product.call(ada, "rotateUserKey", {**PLACE, "newApiKey": "b-provider-key-0123456789"})  # counted apart


async def test_keys_are_left_here_only_so_often_and_what_is_refused_keeps_the_old_one(product: Product) -> None:
    ada = product.token("ada")
    for n in range(product.settings.limits.key_changes_rpm - 1):
        await product.call(ada, "storeUserKey", {**PLACE, "apiKey": f"a-provider-key-012345678{n}"})
    await product.call(ada, "rotateUserKey", {**PLACE, "newApiKey": "b-provider-key-0123456789"})
    before = await product.call(ada, "getUserKey", PLACE)
    for method, name in (("storeUserKey", "apiKey"), ("rotateUserKey", "newApiKey")):
        refused = await product.refused(ada, method, {**PLACE, name: "c-provider-key-0123456789"})
        assert code_of(refused) == -32002
    assert await product.call(ada, "getUserKey", PLACE) == before
    assert await product.call(ada, "deleteUserKey", PLACE) == {"deleted": True}
