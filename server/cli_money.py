"""`tollgate grant`, `tollgate accounts`, `tollgate verify`: the books on the command line.

Looking works while a server runs. Granting needs the embedded file for itself, because SQLite serves one writer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, get_args

from billing.accounts import credits_of, system_balances
from monetization.desk import Desk, Granted, GrantKind, GrantOrder
from monetization.refusals import Links
from monetization.statements import ASSETS
from server.config_errors import OperatorError
from server.from_settings import rules_of
from storage.errors import Fault, StoreInUse, StoreRefused
from storage.records.ledger import KIND_NAMES, AccountKey, Balance, Check
from storage.records.money import NEVER_US, from_text, to_text
from storage.store import Reader, open_reader, open_store

if TYPE_CHECKING:
    from server.config import Settings

ACTOR = "command line"
"""Who the audit says it was: whoever may run this may do anything anyway."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500
_ROWS_SHOWN = 5
Found = TypeVar("Found")


class BooksRefused(OperatorError):
    """The books cannot be opened, or refuse what was asked."""


@dataclass(frozen=True, slots=True)
class Gift:
    """A grant as it was typed."""

    user: str
    asset: str
    amount: str
    kind: str
    reason: str
    expires: str | None
    key: str | None

    def order(self) -> GrantOrder:
        """The grant in the units of the books. Raises: BooksRefused naming the option."""
        if self.asset not in ASSETS:
            raise BooksRefused(f"--asset {self.asset}: give one of {', '.join(ASSETS)}")
        kind: GrantKind | None = next((known for known in get_args(GrantKind) if known == self.kind), None)
        if kind is None:
            raise BooksRefused(f"--kind {self.kind}: give one of {', '.join(get_args(GrantKind))}")
        try:
            amount = from_text(self.amount, self.asset)
        except ValueError as wrong:
            raise BooksRefused(f"--amount: {wrong}") from None
        return GrantOrder(
            user_id=self.user, asset=self.asset, amount=amount, kind=kind, reason=self.reason,
            expires_us=instant(self.expires), key=self.key,
        )  # fmt: skip


def granted(settings: "Settings", gift: Gift) -> str:
    """Grant, and say so in one line. Raises: BooksRefused, also while a server has the embedded file."""
    order = gift.order()
    try:
        done = asyncio.run(_grant(settings, order))
    except StoreInUse:
        raise BooksRefused(
            "a server runs on this database, and SQLite serves one writer; stop it, or call grantTokens or grantCredits on it "
            "with the token of an admin"
        ) from None
    except (StoreRefused, Fault) as refused:
        raise BooksRefused(str(refused)) from None
    amount, fee, left = (to_text(value, order.asset) for value in (done.amount, done.fee, done.done.posted))
    split = f" and {fee} to the platform" if done.fee else ""
    again = " before, under the same key" if done.done.is_replay else ""
    return f"granted {amount} {order.asset} to {order.user_id}{split}{again}; balance {left}; id {done.source_ref}"


async def _grant(settings: "Settings", order: GrantOrder) -> Granted:
    async with open_store(_url(settings), clock_us=_now_us) as store:
        desk = Desk(store, rules_of(settings), Links(), lambda: f"cli-{time.time_ns()}")
        return await desk.grant(ACTOR, order)


def accounts(settings: "Settings", user: str | None) -> list[str]:
    """Every account, or those of one user, and what the system's accounts hold. Raises: BooksRefused."""
    return _read(settings, lambda reader: _accounts(reader, user))


def verified(settings: "Settings", begun: Callable[[str], object], said: Callable[[str], object]) -> bool:
    """Say which invariants hold, each as soon as it is proved, and return whether all do. Raises: BooksRefused."""
    number = 0

    def told(name: str, verdict: Check | None) -> None:
        nonlocal number
        if verdict is None:
            number += 1
            begun(f"....  {number}. {name}")
        else:
            for line in _verdict(number, verdict):
                said(line)

    return all(check.is_ok for check in _read(settings, lambda reader: reader.verify(told)))


def _read(settings: "Settings", look: Callable[[Reader], Awaitable[Found]]) -> Found:
    async def looked() -> Found:
        async with open_reader(_url(settings), clock_us=_now_us) as reader:
            return await look(reader)

    try:
        return asyncio.run(looked())
    except (StoreRefused, Fault) as refused:
        raise BooksRefused(str(refused)) from None


async def _accounts(reader: Reader, user: str | None) -> list[str]:
    if user is not None:
        keys = [credits_of(user, asset) for asset in ASSETS]
        return [_head(), *[_line(key, await reader.balance(key)) for key in keys]]
    lines = [_head()]
    async for key, balance in _all(reader):
        lines.append(_line(key, balance))
    for asset in ASSETS:
        for kind, amount in (await system_balances(reader, asset)).items():
            if amount:
                lines.append(_columns("system", KIND_NAMES[kind], asset, to_text(amount, asset), "", "", ""))
    return lines


async def _all(reader: Reader) -> AsyncIterator[tuple[AccountKey, Balance]]:
    cursor: str | None = None
    while True:
        page = await reader.accounts("default", limit=_PAGE, cursor=cursor)
        for row in page.rows:
            yield row
        cursor = page.next_cursor
        if cursor is None:
            return


def _columns(owner: str, name: str, asset: str, posted: str, held: str, available: str, state: str) -> str:
    return f"{owner:<8} {name:<32} {asset:<7} {posted:>22} {held:>18} {available:>22}  {state}".rstrip()


def _head() -> str:
    return _columns("owner", "id", "asset", "balance", "held", "available", "state")


def _line(key: AccountKey, balance: Balance) -> str:
    posted, held, available = (
        to_text(amount, key.asset) for amount in (balance.posted, balance.held, balance.available)
    )
    return _columns(key.owner_type, key.owner_id, key.asset, posted, held, available, balance.state)


def _verdict(number: int, check: Check) -> list[str]:
    broken = "" if check.is_ok else f" ({len(check.rows)} rows)"
    head = f"{'ok  ' if check.is_ok else 'FAIL'}  {number}. {check.name}{broken}"
    return [head, *[f"         {row}" for row in check.rows[:_ROWS_SHOWN]]]


def instant(text: str | None) -> int:
    """The instant of a date as it was typed; for ever without one. Raises: BooksRefused."""
    if text is None:
        return NEVER_US
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BooksRefused(f"--expires {text}: write it as 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _url(settings: "Settings") -> str:
    return settings.storage.url.get_secret_value()


def _now_us() -> int:
    return time.time_ns() // 1_000
