"""What a user has, had and did: balances with where everything went, top-ups, purchases, movements, usage. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from billing.accounts import credits_of, pool_of
from monetization.directory import AUDIT
from monetization.funding import REQUESTS, TOKENS
from monetization.periods import start_of
from monetization.purchases import PURCHASE, Purchase, PurchaseType, Record, record_of
from storage.errors import InvalidCursor
from storage.records.kept import KeptRow
from storage.records.ledger import AccountKey, Balance, LotView, TransferView
from storage.records.ledger import Page as Page  # noqa: PLC0414  # part of what statements answer with
from storage.records.money import CREDIT, NEVER_US, TOKEN, USD
from storage.records.usage import UsageRow
from storage.store import Reader

ASSETS: Final = (TOKEN, CREDIT, USD)
_USED: Final = ("usage", "expire", "late_usage", "late_refund", "refund_charge")
"""Codes of what calls took, and of what was given back of it."""
_GRANTED: Final = ("purchase", "promotion", "allowance")
_LAPSED: Final = ("breakage", "expired")
_LOOKS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """One account, and where everything on it came from and went.

    granted + adjusted + moved - used - lapsed - refunded is what is posted.
    """

    balance: Balance
    granted: int
    bought: int
    """What was paid for, the platform's share included."""
    used: int
    """Taken by calls, fees included, less what was given back."""
    lapsed: int
    refunded: int
    """Purchases taken back."""
    adjusted: int
    """Corrections by hand, signed."""
    moved: int
    """From and to other owners, signed."""
    fees: int
    """What the platform kept of purchases and did not give back."""


@dataclass(frozen=True, slots=True)
class Month:
    """What was counted in the calendar month."""

    tokens: int
    requests: int


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase with its lot."""

    lot: LotView
    purchase: Purchase
    returned: int
    """Of the lot, taken back."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement with the balance around it."""

    transfer: TransferView
    before: int | None
    """None: the account moved on while it was read."""

    @property
    def after(self) -> int | None:
        """The balance after it."""
        return None if self.before is None else self.before + self.transfer.amount


@dataclass(frozen=True, slots=True)
class Statements:
    """Answers for every user, also for one whom nothing has touched yet."""

    store: Reader
    tenant: str = "default"

    async def standing(self, user_id: str, asset: str) -> Standing:
        """Balance and totals of an account. Raises: StorageUnavailable."""
        return await self._standing(self._account(user_id, asset), await self._record(user_id))

    async def pool(self, organization_id: str, asset: str) -> Standing:
        """Balance and totals of an organization's pool; what came into it was moved there. Raises: StorageUnavailable."""
        return await self._standing(pool_of(organization_id, asset, tenant=self.tenant), record_of(()))

    async def _standing(self, account: AccountKey, record: Record) -> Standing:
        totals, balance = await self._agreeing(account)
        fees, given_back = record.fees(account.asset)

        def total(*codes: str) -> int:
            return sum(totals.get(code, 0) for code in codes)

        return Standing(
            balance=balance,
            granted=total(*_GRANTED),
            bought=total("purchase") + fees,
            used=-total(*_USED),
            lapsed=-total(*_LAPSED),
            refunded=-total("refund_purchase"),
            adjusted=total("adjust"),
            moved=total("move"),
            fees=fees - given_back,
        )

    async def ends_us(self, account: AccountKey, now_us: int) -> int:
        """When the first of what is left on an account expires; NEVER_US: nothing does. Raises: StorageUnavailable."""
        ends = (lot.expires_us for lot in await self.store.lots(account))
        return min((at_us for at_us in ends if at_us > now_us), default=NEVER_US)

    async def month(self, owner: str, now_us: int) -> Month:
        """What the calls of a user (`user:ID`) or on a pool (`org:ID`) counted this month."""
        start = start_of("monthly", now_us)
        windows = await self.store.windows(self.tenant, owner)
        counted = {
            view.key.resource: view.used
            for view in windows
            if (view.key.period, view.key.start_us) == ("monthly", start)
        }
        return Month(counted.get(TOKENS, 0), counted.get(REQUESTS, 0))

    async def topups(self, user_id: str, *, limit: int, cursor: str | None) -> Page[LotView]:
        """Everything that was put into the user's accounts, newest first."""
        return _page(await self._lots(user_id), limit, cursor)

    async def purchases(
        self, user_id: str, kind: PurchaseType | None, *, limit: int, cursor: str | None
    ) -> tuple[Page[Bought], list[Bought]]:
        """The user's purchases of a type, newest first: a page of them, and all of them for a summary."""
        record = await self._record(user_id)
        found = [_bought(lot, record) for lot in await self._lots(user_id) if lot.category == "paid"]
        bought = {one.lot.id: one for one in found if one.lot.source != "move" and kind in (None, one.purchase.type)}
        page = _page([one.lot for one in bought.values()], limit, cursor)
        return Page(tuple(bought[lot.id] for lot in page.rows), page.next_cursor), list(bought.values())

    async def movements(self, user_id: str, asset: str, *, limit: int, cursor: str | None) -> Page[Movement]:
        """What moved, newest first; holds, releases and calls that took nothing are no movements. Raises: InvalidCursor."""
        account = self._account(user_id, asset)
        place, balance = _place(cursor)
        if cursor is None:
            page, balance = await self._newest(account, limit)
        else:
            page = await self.store.transfers(account, limit=limit, cursor=place)
        movements = []
        for row in page.rows:
            balance = None if balance is None else balance - row.amount
            movements.append(Movement(row, balance))
        shown = "" if balance is None else str(balance)
        return Page(tuple(movements), None if page.next_cursor is None else f"{page.next_cursor}:{shown}")

    async def usage(self, user_id: str, *, limit: int, cursor: str | None) -> Page[UsageRow]:
        """The user's calls, newest first. Raises: InvalidCursor."""
        return await self.store.usage(self.tenant, user_id, limit=limit, cursor=cursor)

    async def usage_alone(self, organization_id: str, *, limit: int, cursor: str | None) -> Page[UsageRow]:
        """The calls of an organization's own keys, behind which there is no user, newest first. Raises: InvalidCursor."""
        return await self.store.usage(
            self.tenant, None, organization_id=organization_id, where={"user_id": None}, limit=limit, cursor=cursor
        )

    async def audit(self, subject: str | None, *, limit: int, cursor: str | None) -> Page[KeptRow]:
        """Administrative acts, the newest first; those that concern one owner, or all. Raises: InvalidCursor."""
        return await self.store.kept_page(self.tenant, AUDIT, key=subject, limit=limit, cursor=cursor)

    async def _newest(self, account: AccountKey, limit: int) -> tuple[Page[TransferView], int | None]:
        """The first page with the balance that belongs to it: the balance did not change while the page was read."""
        page = await self.store.transfers(account, limit=limit)
        for _ in range(_LOOKS_MAX):
            balance = await self.store.balance(account)
            again = await self.store.transfers(account, limit=limit)
            if again.rows == page.rows:
                return page, balance.posted
            page = again
        return page, None

    async def _agreeing(self, account: AccountKey) -> tuple[Mapping[str, int], Balance]:
        """Totals and the balance that they add up to; after a few looks at a busy account, the last ones."""
        totals, balance = await self.store.totals(account), await self.store.balance(account)
        for _ in range(_LOOKS_MAX):
            if sum(totals.values()) == balance.posted:
                break
            totals, balance = await self.store.totals(account), await self.store.balance(account)
        return totals, balance

    async def _lots(self, user_id: str) -> list[LotView]:
        return [
            lot for asset in ASSETS for lot in await self.store.lots(self._account(user_id, asset), with_empty=True)
        ]

    async def _record(self, user_id: str) -> Record:
        return record_of(await self.store.kept(self.tenant, PURCHASE, user_id))

    def _account(self, user_id: str, asset: str) -> AccountKey:
        return credits_of(user_id, asset, tenant=self.tenant)


def _bought(lot: LotView, record: Record) -> Bought:
    known = record.purchases.get((lot.source, lot.source_ref))
    purchase = known or Purchase(lot.source, lot.source_ref, lot.account.asset, "one_time", lot.granted, 0)
    return Bought(lot, purchase, record.returned(lot.source, lot.source_ref)[0])


def _page(lots: list[LotView], limit: int, cursor: str | None) -> Page[LotView]:
    """Lots from the newest, those before the cursor's. Ids alone do not tell the age: processes take them in blocks."""
    before = None
    if cursor is not None:
        parts = cursor.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):  # noqa: PLR2004  # two numbers of 64 bits
            raise InvalidCursor
        before = (int(parts[0]), int(parts[1]))
    aged = sorted((((lot.effective_us, lot.id), lot) for lot in lots), key=lambda found: found[0], reverse=True)
    older = [lot for age, lot in aged if before is None or age < before]
    page = older[:limit]
    return Page(tuple(page), f"{page[-1].effective_us}.{page[-1].id}" if len(older) > limit else None)


def _place(cursor: str | None) -> tuple[str | None, int | None]:
    """The store's cursor, and the balance below the rows that were shown."""
    if cursor is None:
        return None, None
    place, colon, balance = cursor.partition(":")
    digits = balance.removeprefix("-")
    if not colon or (balance and not (digits.isascii() and digits.isdigit() and len(digits) < 20)):  # noqa: PLR2004  # what fits 64 bits
        raise InvalidCursor
    return place, int(balance) if balance else None
