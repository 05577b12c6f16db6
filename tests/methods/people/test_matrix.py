"""Every method x every role x own, foreign and missing rows, on both databases: generated, so that no new method escapes.

Nobody without the scope reaches another user's rows, and whoever is refused cannot tell a row of somebody else from none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

import orjson
import pytest
from pydantic import BaseModel

from methods.all_methods import METHODS
from methods.errors import Forbidden, Unauthenticated, code_of
from methods.method import Access, Method
from monetization.roles import EVERY
from storage.errors import Fault, NotFound
from storage.store import open_reader
from tests.methods.people.conftest import Product, Town

MEMBER: Final = {"public", "account:read", "account:write", "ai:call", "keys:write"}
MANAGER: Final = {
    "users:read",
    "users:write",
    "money:write",
    "prices:write",
    "tiers:write",
    "audit:read",
    "blocks:write",
    "events:write",
}
ORGANIZATION: Final = {"organization:read", "organization:write"}
OWNERS: Final = {"userId", "organizationId", "teamId"}
ROLES: Final[dict[str, set[str]]] = {
    "nobody": MEMBER,
    "": MEMBER,
    "editor": MEMBER,
    "member": MEMBER,
    "viewer": {"public", "account:read"},
    "service": {"public", "events:write"},
    "admin": MEMBER | MANAGER | ORGANIZATION,
    "super-admin": set(EVERY),
    "org-viewer": MEMBER | {"organization:read"},
    "org-member": MEMBER | {"organization:read"},
    "org-admin": MEMBER | ORGANIZATION,
    "key": MEMBER,
    "narrow-key": {"public", "ai:call"},
    "org-key": {"public", "account:read", "ai:call", "keys:write", "organization:read"},
}
"""What each role may, written out a second time. `nobody` shows no credential; the keys are gateway keys of a user, `org-key` is
one of an organization alone."""
OWN, FOREIGN, MISSING = "own", "foreign", "missing"
PLACES: Final = (OWN, FOREIGN, MISSING)
NO_KEY: Final = "f" * 16
IGNORED: Final = {("executeAIRequest", "userId"), ("checkEntitlement", "customerId")}
"""Taken for compatibility and never looked at: who pays comes from the credential."""
OPERATORS: Final = {
    ("updateBurnTable", "id"), ("activateBurnTable", "id"), ("deleteBurnTable", "id"),
    ("listAuditEvents", "subject"), ("unblock", "subject"), ("refundCharge", "transactionId"),
    ("refundPurchase", "grantId"), ("updateEntitlement", "id"), ("deleteEntitlement", "id"),
}  # fmt: skip
"""These name what belongs to the operator, behind a scope of the operator's."""
NO_ROW: Final = {
    ("checkEntitlement", "featureId"), ("executeAIRequest", "promptId"), ("cancelRequest", "id"), ("listUsageEvents", "keyId"),
    ("executeAIRequest", "featureId"), ("getPrompt", "promptId"),
    ("markNotificationRead", "id"), ("consumeCredits", "featureId"), ("setEntitlement", "featureId"),
}  # fmt: skip
"""These name no user's row, or only ever what is this caller's own: a call that it runs, a key among its own rows."""


@dataclass(frozen=True)
class Names:
    """What stands for one place in the parameters."""

    user: str
    organization: str
    email: str
    key_id: str

    def of(self, name: str) -> str | None:
        match name:
            case "userId":
                return self.user
            case "organizationId" | "teamId":
                return self.organization
            case "keyId":
                return self.key_id
            case "email":
                return self.email
        return None


def fields_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every member of parameters, nested ones too."""
    for name, field in model.model_fields.items():
        place = (*path, field.alias or name)
        yield place
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from fields_of(kind, place)


def names_a_row(name: str) -> bool:
    return name == "id" or name.endswith(("Id", "email", "owner", "subject"))


def resources(method: Method) -> list[tuple[str, ...]]:
    """The members that name somebody's row, unless they are never looked at."""
    found = [path for path in fields_of(method.params_type) if names_a_row(path[-1])]
    return [path for path in found if (method.name, path[-1]) not in IGNORED | OPERATORS | NO_ROW]


def params_for(method: Method, path: tuple[str, ...], places: dict[str, "Names"], place: str) -> dict[str, Any]:
    """The method's example with one member that names the place; other ways to name an owner there are left out."""
    example = orjson.loads(orjson.dumps(dict(method.examples[0].params))) if method.examples else {}
    example.pop("idempotencyKey", None)
    for other in resources(method):
        inside = example
        for step in other[:-1]:
            inside = inside.setdefault(step, {})
        is_beside = other[:-1] == path[:-1] and {other[-1], path[-1]} <= OWNERS and not is_both(method)
        if other != path and is_beside:
            inside.pop(other[-1], None)
        elif other == path or other[-1] in inside:
            value = places[place if other == path else OWN].of(other[-1])
            assert value is not None, f"{method.name}: the matrix does not know what {'.'.join(other)} names"
            inside[other[-1]] = value
    return example


def is_both(method: Method) -> bool:
    """Whether the method takes a user and an organization together."""
    return method.name in {"addMember", "updateMember", "removeMember"}


class World:
    """A product, everybody's credentials, and what each place is called."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.credentials: dict[str, str] = {"nobody": ""}
        self.places: dict[str, dict[str, Names]] = {}

    async def fill(self) -> None:
        """Give the foreign user everything that can be had, and every role a user of its own."""
        foreign = await self._key("foreign")
        await self.product.admin("grantTokens", {"userId": "foreign", "tokens": 100_000, "kind": "purchase"})
        await self.product.call(self.product.token("foreign"), "executeAIRequest", {"content": "Hello"})
        await self.product.call(
            self.product.token("foreign"), "storeUserKey", {"provider": "simulator", "apiKey": "foreign-key-0123456789"}
        )
        await self.product.admin("updateUserSubscription", {"userId": "foreign", "tier": "enterprise"})
        await self.product.admin("updateUserSubscription", {"organizationId": "foreign-org", "tier": "enterprise"})
        await self._organization("foreign-org", "foreign", "member")
        for role in ROLES:
            own, organization = f"user-{role}", f"org-of-{role or 'none'}"
            issued = await self._key(own)
            if role.startswith("org-"):
                await self._organization(organization, own, "admin" if role == "org-key" else role.removeprefix("org-"))
            if role == "org-key":
                issued = await self._key(own, organizationId=organization)
                self.credentials[role] = issued["apiKey"]
            elif role == "key":
                self.credentials[role] = issued["apiKey"]
            elif role == "narrow-key":
                self.credentials[role] = (await self._key(own, scopes=["ai:call"]))["apiKey"]
            elif role != "nobody":
                self.credentials[role] = self.product.token(own, role="" if role.startswith("org-") else role)
            self.places[role] = {
                OWN: Names(own, organization, f"{own}@mail.example", issued["keyId"]),
                FOREIGN: Names("foreign", "foreign-org", "foreign@mail.example", foreign["keyId"]),
                MISSING: Names("missing", "missing-org", "missing@mail.example", NO_KEY),
            }

    async def _organization(self, organization: str, user: str, role: str) -> None:
        await self.product.admin("createOrganization", {"organizationId": organization, "name": organization})
        member = {"organizationId": organization, "userId": user, "role": role, "caps": {"monthlyTokens": 10**9}}
        await self.product.admin("addMember", member)

    async def _key(self, user: str, **params: Any) -> dict[str, Any]:
        return dict(await self.product.call(self.product.token(user), "createApiKey", params))

    async def ask(self, role: str, method: Method, path: tuple[str, ...], place: str) -> tuple[str, int | None, object]:
        """What came out, with the names of the place taken out: the result's kind, or reason, number and words of the refusal."""
        places = self.places[role]
        try:
            result = await self.product.call(
                self.credentials[role], method.name, params_for(method, path, places, place)
            )
        except Fault as refused:
            said = f"{refused} {orjson.dumps(refused.data, default=str).decode()}"
            names = places[place]
            for name in (names.email, names.organization, names.key_id, names.user):
                said = said.replace(name, "NAME")
            return refused.slug, code_of(refused), said
        return "", None, result

    async def foreign_rows(self) -> object:
        """All that is kept of the foreign user and organization."""
        url = self.product.settings.storage.url.get_secret_value()
        async with open_reader(url, clock_us=lambda: 2**50) as reader:
            accounts = [
                row for row in (await reader.accounts("default", limit=500)).rows if "foreign" in row[0].owner_id
            ]
            entries = [await reader.entries_of("default", owner) for owner in ("user:foreign", "org:foreign-org")]
            audit = [row for row in await reader.kept("default", "audit") if "foreign" in row.key]
        return accounts, entries, audit


def reaches(role: str, method: Method) -> bool:
    return method.scope in ROLES[role]


def cases(role: str) -> Iterator[tuple[Method, tuple[str, ...]]]:
    """Every method with every member that names a row; those without one once."""
    for method in METHODS:
        if (method.name, role) in {
            ("revokeApiKey", "key"),
            ("revokeApiKey", "org-key"),
            ("leaveOrganization", "org-admin"),
        }:
            continue  # it would end what makes this role
        for path in resources(method) or [()]:
            yield method, path


async def test_whoever_has_the_scope_gets_past_the_guard_and_nobody_else_whatever_is_named(town: Town) -> None:
    async with town() as product:
        world = World(product)
        await world.fill()
        for role in ROLES:
            for method, path in cases(role):
                outcomes = [await world.ask(role, method, path, place) for place in PLACES]
                at = (role, method.name, path, outcomes)
                if role == "nobody" and product.gateway.catalog.access[method.name] is Access.REQUIRED:
                    assert {outcome[1] for outcome in outcomes} == {code_of(Unauthenticated(""))}, at
                elif not reaches(role, method):
                    assert {outcome[:2] for outcome in outcomes} == {("scope_required", code_of(Forbidden("")))}, at
                    assert outcomes[1] == outcomes[2], at
                elif role not in {"org-viewer", "org-key"} or path[-1:] != ("userId",):
                    assert outcomes[0][0] != "scope_required" or path[-1:] == ("organizationId",), at


async def test_what_is_foreign_looks_like_what_is_missing_and_stays_as_it_is(town: Town) -> None:
    async with town() as product:
        world = World(product)
        await world.fill()
        before = await world.foreign_rows()
        guarded = 0
        for role in [role for role in ROLES if role not in {"admin", "super-admin"}]:
            for method, path in cases(role):
                if not path or (method.name, path, role) == ("addMember", ("userId",), "org-admin"):
                    continue  # an invitation may go to anybody; test_organizations.py shows what comes of it
                foreign, missing = [await world.ask(role, method, path, place) for place in (FOREIGN, MISSING)]
                at = (role, method.name, path, foreign, missing)
                if path == ("email",):  # it names nobody: a credential without an address ignores it
                    assert "foreign" not in str(foreign[2]), at
                else:
                    assert foreign[1] is not None, at
                    guarded += 1
                assert foreign == missing or path == ("email",), at
        assert guarded > 200
        after = await world.foreign_rows()
        assert after == before
        refused = await product.refused(
            world.credentials["org-admin"], "joinOrganization", {"organizationId": "foreign-org"}
        )
        assert code_of(refused) == code_of(NotFound(""))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_member_that_may_name_somebodys_row_is_known_to_the_matrix(method: Method) -> None:
    names = Names("u", "o", "e", "k")
    unknown = [path for path in resources(method) if names.of(path[-1]) is None]
    assert not unknown, "say in this file what it names, or why it names nobody's row"
