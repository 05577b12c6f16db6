"""The ledger's rules once more, as simply as they can be said: no speed, no storage, whole lists walked every time."""

from dataclasses import dataclass, field
from typing import Any

NEVER = 2**63 - 1
DAY = 86_400_000_000


@dataclass(eq=False)
class Lot:
    key: tuple[str, str]
    priority: int
    granted: int
    expires: int
    number: int
    left: int


@dataclass(eq=False)
class Charge:
    amount: int
    owed: int = 0
    uses: list[list[Any]] = field(default_factory=list)
    refunded: int = 0
    id: int = 0
    number: int = 0


@dataclass(eq=False)
class Hold:
    account: str
    amount: int
    created: int
    expires: int
    claims: dict[str, int]
    on_expire: str = "post_used"
    used: int = 0
    noted: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    state: str = "open"
    charged: int = 0
    lost: int = 0
    is_late_charged: bool = False
    id: int = 0
    number: int = 0
    expiry: Charge | None = None


@dataclass(eq=False)
class Account:
    posted: int = 0
    overdraft: int = 0
    state: str = "open"
    lots: list[Lot] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)


class Model:
    """Every method returns (amount, written off) or the reason of a refusal."""

    def __init__(self) -> None:
        self.now = DAY
        self.accounts: dict[str, Account] = {}
        self.holds: list[Hold] = []
        self.used: dict[str, int] = {}
        self.lots_made = 0
        self.movements = 0
        self.lost = 0

    def account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account())

    def open_holds(self, name: str) -> list[Hold]:
        return [hold for hold in self.holds if hold.account == name and hold.state == "open"]

    def held(self, name: str) -> int:
        return sum(hold.amount for hold in self.open_holds(name))

    def held_of(self, window: str) -> int:
        return sum(hold.claims.get(window, 0) for hold in self.holds if hold.state == "open")

    def free(self, name: str) -> int:
        return self.account(name).posted - self.held(name) + self.account(name).overdraft

    def ordered(self, name: str) -> list[Lot]:
        return sorted(self.account(name).lots, key=lambda lot: (lot.priority, lot.expires, lot.number))

    def expirable(self, name: str) -> list[tuple[Lot, int]]:
        left = {lot: lot.left for lot in self.ordered(name)}
        for hold in self.open_holds(name):
            wanted = hold.amount
            for lot, there in list(left.items()):
                take = min(wanted, there) if lot.expires > hold.created else 0
                left[lot] -= take
                wanted -= take
        bound, found = max(0, self.account(name).posted - self.held(name)), []
        for lot, there in left.items():
            take = min(there, bound) if lot.expires <= self.now else 0
            bound -= take
            found.append((lot, take))
        return found

    def expire_lots(self, name: str) -> None:
        for lot, take in self.expirable(name):
            lot.left -= take
            self.account(name).posted -= take

    def number(self) -> int:
        self.movements += 1
        return self.movements

    def take(self, name: str, amount: int, as_of: int) -> Charge:
        account, charge = self.account(name), Charge(amount, owed=amount, number=self.number())
        for lot in self.ordered(name):
            part = min(charge.owed, lot.left) if lot.expires > as_of else 0
            if part:
                lot.left -= part
                charge.owed -= part
                charge.uses.append([lot, part])
        account.posted -= amount
        account.charges.append(charge)
        return charge

    def pay_debts(self, name: str, lot: Lot) -> None:
        for charge in sorted(self.account(name).charges, key=lambda charge: charge.number):
            part = min(charge.owed, lot.left)
            if part:
                lot.left -= part
                charge.owed -= part
                charge.uses.append([lot, part])

    def put(self, name: str, key: tuple[str, str], amount: int, priority: int = 50, expires: int = NEVER) -> None:
        self.lots_made += 1
        lot = Lot(key, priority, amount, expires, self.lots_made, amount)
        self.account(name).lots.append(lot)
        self.account(name).posted += amount
        self.pay_debts(name, lot)

    def close(self, hold: Hold, state: str, amount: int, used: dict[str, int]) -> Charge | None:
        hold.state = state
        hold.charged = min(amount, self.free(hold.account))
        hold.lost = amount - hold.charged
        self.lost += hold.lost
        charge = self.take(hold.account, hold.charged, hold.created) if hold.charged else None
        hold.counted = used
        for window, count in used.items():
            self.used[window] = self.used.get(window, 0) + count
        self.expire_lots(hold.account)
        return charge

    def expire_hold(self, hold: Hold) -> None:
        posts = hold.on_expire == "post_used"
        used = {window: hold.noted.get(window, 0) if posts else 0 for window in hold.claims}
        hold.expiry = self.close(hold, "expired", hold.used if posts else 0, used)
        if hold.expiry:
            hold.expiry.number = hold.number  # as old as the hold, so its debt is paid before those of later charges

    def expire_due(self, name: str) -> None:
        for hold in self.open_holds(name):
            if hold.expires <= self.now:
                self.expire_hold(hold)

    def sweep(self) -> None:
        for hold in sorted(self.holds, key=lambda hold: (hold.expires, hold.id)):
            if hold.state == "open" and hold.expires <= self.now:
                self.expire_hold(hold)
        for name in self.accounts:
            self.expire_lots(name)

    # Commands -----------------------------------------------------------------------------------------------------

    def grant(self, name: str, amount: int, priority: int, expires: int, ref: str) -> Any:
        for owner, account in self.accounts.items():
            for lot in account.lots:
                if lot.key == ("test", ref):
                    return (amount, 0) if (owner, lot.granted) == (name, amount) else "key_reused"
        if expires <= self.now:
            return "invalid"
        self.put(name, ("test", ref), amount, priority, expires)
        self.expire_lots(name)
        return (amount, 0)

    def hold(
        self,
        name: str,
        amount: int,
        expires: int,
        claims: dict[str, tuple[int, int]],
        overdraft: int | None,
        on_expire: str,
    ) -> Any:
        account = self.account(name)
        if account.state != "open":
            return "account_suspended"
        self.expire_lots(name)
        reason = self._refuse(name, amount, claims, overdraft)
        if reason:
            self.expire_due(name)
            reason = self._refuse(name, amount, claims, overdraft)
        if reason:
            return reason
        amounts = {window: count for window, (count, _) in claims.items()}
        made = Hold(name, amount, self.now, min(expires, self.now + DAY), amounts, on_expire, number=self.number())
        self.holds.append(made)
        if overdraft is not None:
            account.overdraft = max(overdraft, self.held(name) - account.posted)
        return (amount, 0)

    def _refuse(self, name: str, amount: int, claims: dict[str, tuple[int, int]], overdraft: int | None) -> str | None:
        for window, (count, limit) in claims.items():
            if self.used.get(window, 0) + self.held_of(window) + count > limit:
                return "quota_exceeded"
        account = self.account(name)
        limit = account.overdraft if overdraft is None else overdraft
        return "insufficient" if amount and account.posted - self.held(name) + limit < amount else None

    def extend(self, hold: Hold, amount: int, expires: int | None) -> Any:
        if hold.state != "open":
            return "hold_not_open"
        if self.account(hold.account).state != "open":
            return "account_suspended"
        if amount:
            self.expire_lots(hold.account)
        if amount and self.free(hold.account) < amount:
            return "insufficient"
        hold.amount += amount
        if expires is not None:
            hold.expires = min(expires, hold.created + DAY)
        return (hold.amount, 0)

    def checkpoint(self, hold: Hold, used: int, quota: dict[str, int]) -> Any:
        if hold.state != "open":
            return "hold_not_open"
        hold.used = max(hold.used, used)
        hold.noted = {window: max(hold.noted.get(window, 0), quota.get(window, 0)) for window in hold.claims}
        return (hold.used, 0)

    def settle(self, hold: Hold, amount: int, quota: dict[str, int]) -> Any:
        if hold.state == "expired" and not hold.is_late_charged:
            return self._settle_late(hold, amount, quota)
        if hold.state != "open":
            return "hold_not_open"
        used = {window: quota.get(window, held) for window, held in hold.claims.items()}
        charge = self.close(hold, "settled", amount, used)
        return (hold.charged, amount - hold.charged, charge)

    def _settle_late(self, hold: Hold, amount: int, quota: dict[str, int]) -> Any:
        self.expire_lots(hold.account)
        missing = max(0, amount - hold.charged)
        part = min(missing, max(0, self.free(hold.account)))
        charge = self.take(hold.account, part, self.now) if part else None
        back = max(0, hold.charged - hold.expiry.refunded - amount) if hold.expiry else 0
        if back and hold.expiry:
            self.refund_charge(hold.account, hold.expiry, back)
        hold.is_late_charged = part > 0 or back > 0 or missing - part != hold.lost
        self.lost += missing - part - hold.lost
        hold.lost = missing - part
        for window, counted in hold.counted.items():
            hold.counted[window] = quota.get(window, counted)
            self.used[window] += hold.counted[window] - counted
        return (part - back, missing - part, charge)

    def release(self, hold: Hold) -> Any:
        if hold.state != "open":
            return "hold_not_open"
        self.close(hold, "released", 0, dict.fromkeys(hold.claims, 0))
        return (0, 0)

    def expire(self, hold: Hold) -> Any:
        if hold.state != "open":
            return "hold_not_open"
        if hold.expires > self.now:
            return "hold_not_due"
        self.expire_hold(hold)
        return (hold.charged, 0)

    def charge(self, name: str, amount: int, on_short: str) -> Any:
        if on_short == "refuse" and self.account(name).state != "open":
            return "account_suspended"
        self.expire_lots(name)
        if self.free(name) < amount:
            self.expire_due(name)
        if on_short == "refuse" and self.free(name) < amount:
            return "insufficient"
        part = min(amount, max(0, self.free(name)))
        self.lost += amount - part
        return (part, amount - part, self.take(name, part, self.now) if part else None)

    def adjust(self, name: str, amount: int) -> Any:
        self.expire_lots(name)
        if amount < 0 and self.free(name) < -amount:
            return "insufficient"
        if amount > 0:
            self.put(name, ("adjust", ""), amount)
        else:
            self.take(name, -amount, self.now)
        return (amount, 0)

    def move(self, source: str, target: str, amount: int) -> Any:
        if source == target:
            return "invalid"
        self.expire_lots(source)
        spendable = sum(lot.left for lot in self.account(source).lots if lot.expires > self.now)
        if min(self.account(source).posted - self.held(source), spendable) < amount:
            return "insufficient"
        for lot, part in self.take(source, amount, self.now).uses:
            self.put(target, ("move", ""), part, lot.priority, lot.expires)
        self.account(source).charges.pop()
        self.expire_lots(target)
        return (amount, 0)

    def refund_purchase(self, ref: str, amount: int | None) -> Any:
        found = [(name, lot) for name, one in self.accounts.items() for lot in one.lots if lot.key == ("test", ref)]
        if not found:
            return "not_found"
        name, lot = found[0]
        self.expire_lots(name)
        refundable = max(0, min(lot.left, self.account(name).posted - self.held(name)))
        amount = refundable if amount is None else amount
        if not 0 < amount <= refundable:
            return "not_refundable"
        lot.left -= amount
        self.account(name).posted -= amount
        return (amount, 0)

    def refund_charge(self, name: str, charge: Charge, amount: int | None) -> Any:
        rest = charge.amount - charge.refunded
        amount = rest if amount is None else amount
        if not 0 < amount <= rest:
            return "not_refundable"
        self.account(name).posted += amount
        charge.refunded += amount
        part = min(amount, charge.owed)
        charge.owed -= part
        left = amount - part
        for use in reversed(list(charge.uses)):
            part = min(left, use[1])
            if not part:
                continue  # a lot that gets nothing back pays nobody's debts either
            use[1] -= part
            left -= part
            use[0].left += part
            self.pay_debts(name, use[0])
        self.expire_lots(name)
        return (amount, 0)

    def configure(self, name: str, overdraft: int, state: str) -> Any:
        account = self.account(name)
        account.overdraft = max(overdraft, self.held(name) - account.posted)
        account.state = state
        return (0, 0)
