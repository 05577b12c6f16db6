"""Whom an event's user is to us: who pays, by which tier, and whether anything is known of the user at all. Reads only."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from billing.accounts import TENANT, credits_of
from monetization.callers import Caller
from monetization.directory import Directory
from monetization.people import People
from storage.records.ledger import AccountKey, LotView, WindowView
from storage.records.money import CREDIT, TOKEN, USD

UnknownUsers = Literal["dead_letter", "accept"]
USERS_MAX: Final = 20_000
"""Users kept in memory; of more, the oldest go."""
MEETING_MAX: Final = 16
"""Users who are looked for at the same time: the first batches name hundreds, and other questions want the database too."""


class Shelf(Protocol):
    """What is asked of the store about a user."""

    async def windows(self, tenant: str, subject: str) -> Sequence[WindowView]:
        """Every quota window of a subject."""
        ...

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> Sequence[LotView]:
        """The account's lots."""
        ...


@dataclass(frozen=True, slots=True)
class Payers:
    """Finds the caller that an event's user would be."""

    shelf: Shelf
    directory: Directory
    people: People
    """One of its own: it remembers callers as gateways made them, and these come from elsewhere."""
    default_tier: Callable[[], str]
    unknown_users: UnknownUsers
    _said: dict[tuple[str, str | None], Caller] = field(default_factory=dict)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MEETING_MAX))
    _met: set[str] = field(default_factory=set)
    """Users of whom something is known; nobody is forgotten by the books."""

    async def of(self, user_id: str, organization_id: str | None) -> Caller | None:
        """The user as a caller, with what is kept of subscription, limits and pool. None: nothing is known of the user.

        Raises: StorageUnavailable.
        """
        if user_id not in self._met and not await self._meet(user_id):
            return None
        who = (user_id, organization_id)
        said = self._said.get(who)
        if said is None:
            said = Caller("subscription", user_id, organization_id, tier=self.default_tier())
            while len(self._said) >= USERS_MAX:
                del self._said[next(iter(self._said))]
            self._said[who] = said
        return await self.people.complete(said)

    def at_once(self, user_id: str, organization_id: str | None) -> Caller | None:
        """The same where nothing has to be read for it. None: `of` must."""
        said = self._said.get((user_id, organization_id)) if user_id in self._met else None
        return None if said is None else self.people.completed(said)

    def forget(self) -> None:
        """Look at everybody anew from now on: what tier names mean has changed."""
        self._said.clear()
        self.people.forget()

    def has_met(self, user_id: str) -> bool:
        """Whether the user was found before, so that hardly anything is read for them now."""
        return user_id in self._met

    async def _meet(self, user_id: str) -> bool:
        """Whether the user has a document (a subscription, a membership, limits, a key), was counted, or was given something."""
        async with self._gate:
            return user_id in self._met or await self._is_known(user_id)

    async def _is_known(self, user_id: str) -> bool:
        profile = await self.directory.of(f"user:{user_id}")
        is_known = self.unknown_users == "accept" or bool(profile.documents)
        is_known = is_known or bool(await self.shelf.windows(TENANT, f"user:{user_id}"))
        for asset in (TOKEN, CREDIT, USD):
            is_known = is_known or bool(await self.shelf.lots(credits_of(user_id, asset), with_empty=True))
        if is_known:
            if len(self._met) >= USERS_MAX:
                self._met.clear()
            self._met.add(user_id)
        return is_known
