"""The operator's desk: grants, adjustments and refunds by hand, each in one commit with its audit row.

No parameters are parsed here, and no balance is read to decide what the ledger itself decides.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final, Literal

from billing.accounts import credits_of, platform_of
from billing.grants import ALLOWANCE_PRIORITY, PROMOTION_PRIORITY, PURCHASE_PRIORITY
from monetization.charging.policies import Rules, usable_of_purchase
from monetization.directory import AUDIT
from monetization.price_setting import Author
from monetization.purchases import PURCHASE, Purchase, PurchaseType, Record, Returned, body_of, record_of
from monetization.refusals import Links, movement_fault
from storage.errors import NotFound
from storage.records.commands import (
    Adjust,
    Charge,
    Command,
    Done,
    Grant,
    Idempotency,
    Keep,
    Move,
    RefundCharge,
    RefundPurchase,
    Refusal,
)
from storage.records.kept import KeptRow
from storage.records.ledger import AccountKey, LotView
from storage.records.money import NEVER_US, TOKEN
from storage.store import Store

GrantKind = Literal["purchase", "promotion", "allowance"]
_PRIORITIES: Final[dict[GrantKind, int]] = {
    "purchase": PURCHASE_PRIORITY,
    "promotion": PROMOTION_PRIORITY,
    "allowance": ALLOWANCE_PRIORITY,
}
_ATTEMPTS_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantOrder:
    """Units for a user."""

    user_id: str
    asset: str
    amount: int
    """In the asset's scale; of a purchase of tokens, before the platform's share."""
    kind: GrantKind
    reason: str = ""
    expires_us: int = NEVER_US
    priority: int | None = None
    """None: the kind's own."""
    paid_nano: int = 0
    paid_currency: str = "USD"
    type: PurchaseType = "one_time"
    key: str | None = None
    """Idempotency key. None: every order grants anew."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Labels for the audit."""

    @property
    def body(self) -> dict[str, object]:
        """What the audit keeps of it, and a repeated key must say again."""
        body = asdict(self)
        return body if self.metadata else {name: said for name, said in body.items() if name != "metadata"}


@dataclass(frozen=True, slots=True)
class Granted:
    """What a grant came to."""

    source_ref: str
    amount: int
    """What the user got."""
    fee: int
    """What the platform kept."""
    done: Done


@dataclass(frozen=True, slots=True)
class Refunded:
    """What a refund came to."""

    amount: int
    fee: int
    """Of the platform's share, given back too."""
    value_nano: int
    """The money that went back units stand for."""
    done: Done


@dataclass(frozen=True, slots=True)
class Desk:
    """Moves money by hand."""

    store: Store
    rules: Rules
    links: Links
    new_id: Callable[[], str]
    tenant: str = "default"

    async def grant(self, actor: str, order: GrantOrder) -> Granted:
        """Grant, once for its key. A purchase of tokens is split: the user gets the usable part, the platform its share.

        Raises: IdempotencyConflict when the key was used for another order; InvalidAmount.
        """
        is_split = order.kind == "purchase" and order.asset == TOKEN
        usable, fee = usable_of_purchase(self.rules, order.amount) if is_split else (order.amount, 0)
        source, source_ref = f"admin:{order.asset}", order.key or self.new_id()
        grant = Grant(
            account=credits_of(order.user_id, order.asset, tenant=self.tenant),
            amount=usable,
            reason=order.kind,
            source=source,
            source_ref=source_ref,
            priority=_PRIORITIES[order.kind] if order.priority is None else order.priority,
            expires_us=order.expires_us,
            paid_nano=order.paid_nano,
            paid_currency=order.paid_currency,
            note=order.reason or None,
        )
        paid_nano, currency = order.paid_nano, order.paid_currency
        purchase = Purchase(source, source_ref, order.asset, order.type, order.amount, fee, paid_nano, currency)
        commands: list[Command] = [grant]
        if fee:
            commands += self._share(purchase)
        if order.kind == "purchase":
            commands.append(Keep(KeptRow(self.tenant, PURCHASE, order.user_id, body_of(purchase), actor, order.reason)))
        commands.append(self._audit("grant", Author(actor, order.reason), f"user:{order.user_id}", order.body))
        done = await self._together(commands, order.asset, self._once("grant", order.asset, order.key, order.body))
        return Granted(source_ref, usable, fee, done[0])

    def _share(self, purchase: Purchase) -> list[Command]:
        """The platform's share of a purchase: it comes in with it, and is earned at once."""
        platform = platform_of(purchase.asset, tenant=self.tenant)
        ref = purchase.source_ref
        come = Grant(
            account=platform, amount=purchase.fee, reason="purchase", source=f"{purchase.source}:fee", source_ref=ref
        )
        return [come, self._fee_charge(purchase)]

    def _fee_charge(self, purchase: Purchase) -> Charge:
        ref = f"purchase_fee:{purchase.source}:{purchase.source_ref}"
        return Charge(
            account=platform_of(purchase.asset, tenant=self.tenant),
            amount=purchase.fee,
            ref=ref,
            # Its key makes it findable: asked again, the ledger says which charge it was.
            idempotency=Idempotency("purchase_fee", ref, str(purchase.fee)),
        )

    async def adjust(self, author: Author, account: AccountKey, amount: int, key: str | None) -> Done:
        """Correct a balance by a signed amount. Raises: PaymentRequired below what is free; InvalidAmount."""
        body = {"account": list(account), "amount": amount, "reason": author.reason}
        commands: list[Command] = [
            Adjust(account=account, amount=amount, reason=author.reason, actor=author.actor),
            self._audit("adjust", author, _owner(account), body),
        ]
        done = await self._together(commands, account.asset, self._once("adjust", account.asset, key, body))
        return done[0]

    async def consume(self, author: Author, charge: Charge, body: object, key: str | None) -> Done:
        """Take what a service has sold by itself, all of it or nothing; `body` is what a repeated key must say again.

        Raises: PaymentRequired beyond what is free; InvalidAmount; IdempotencyConflict.
        """
        account = charge.account
        commands: list[Command] = [charge, self._audit("consume", author, _owner(account), body)]
        return (await self._together(commands, account.asset, self._once("consume", account.asset, key, body)))[0]

    async def transfer(
        self, author: Author, *, source: AccountKey, target: AccountKey, amount: int, key: str | None
    ) -> Done:
        """Move units between two owners. Raises: PaymentRequired beyond what is free; InvalidAmount; IdempotencyConflict."""
        body = {"from": list(source), "to": list(target), "amount": amount, "reason": author.reason}
        note = json.dumps({"reason": author.reason, "actor": author.actor})
        commands: list[Command] = [
            Move(source=source, target=target, amount=amount, note=note),
            self._audit("transfer", author, _owner(source), body),
        ]
        return (await self._together(commands, source.asset, self._once("transfer", source.asset, key, body)))[0]

    async def refund_charge(
        self, author: Author, transfer_id: int, amount: int | None, asset: str, key: str | None = None
    ) -> Done:
        """Give a charge back to the lots that it came from. Raises: NotFound, NotRefundable, IdempotencyConflict."""
        body = {"transferId": transfer_id, "amount": amount}
        commands: list[Command] = [
            RefundCharge(tenant=self.tenant, transfer_id=transfer_id, amount=amount, note=author.reason or None),
            self._audit("refund_charge", author, f"transfer:{transfer_id}", body),
        ]
        return (await self._together(commands, asset, self._once("refund_charge", asset, key, body)))[0]

    async def refund_purchase(
        self, author: Author, user_id: str, asset: str, source_ref: str, amount: int | None, key: str | None = None
    ) -> Refunded:
        """Take back what is left of a purchase, and its part of the platform's share. None: all that is left.

        Raises: NotFound, NotRefundable with what is left, IdempotencyConflict.
        """
        once = self._once("refund_purchase", asset, key, {"user": user_id, "purchase": source_ref, "amount": amount})
        account = credits_of(user_id, asset, tenant=self.tenant)
        for attempt in range(_ATTEMPTS_MAX):
            lot = await self._lot(account, source_ref)
            record = record_of(await self.store.kept(self.tenant, PURCHASE, user_id))
            first = record.repeated(key)
            if first is not None:
                return await self._again(account, lot, first, once)
            balance = await self.store.balance(account)
            refundable = max(0, min(lot.remaining, balance.posted - balance.held))
            wanted = refundable if amount is None else amount
            if not 0 < wanted <= refundable:
                raise movement_fault(Refusal("not_refundable", {"refundable": refundable}), asset, self.links)
            back = replace(_returned(lot, record, wanted), key=key)
            outcome = await self.store.submit_together(await self._refunds(author, account, lot, record, back, once))
            if isinstance(outcome, Refusal):
                # The balance moved between the look and the refund: look again.
                if outcome.reason in ("key_reused", "not_refundable") and attempt < _ATTEMPTS_MAX - 1:
                    continue
                raise movement_fault(outcome, asset, self.links)
            return Refunded(back.amount, back.fee, outcome[0].value_nano, outcome[0])
        raise AssertionError("the last attempt returns or raises")

    async def _again(self, account: AccountKey, lot: LotView, first: Returned, once: Idempotency | None) -> Refunded:
        """The first answer of a repeated refund. Raises: IdempotencyConflict when the key was used for another one."""
        outcome = await self.store.submit(
            RefundPurchase(tenant=self.tenant, source=lot.source, source_ref=lot.source_ref, idempotency=once)
        )
        if isinstance(outcome, Refusal):
            raise movement_fault(outcome, account.asset, self.links)
        return Refunded(first.amount, first.fee, outcome.value_nano, outcome)

    async def _refunds(
        self,
        author: Author,
        account: AccountKey,
        lot: LotView,
        record: Record,
        back: Returned,
        asked: Idempotency | None,
    ) -> list[Command]:
        user_id, note = account.owner_id, author.reason or None
        row = KeptRow(self.tenant, PURCHASE, user_id, body_of(back), author.actor, author.reason)
        before, _ = record.returned(lot.source, lot.source_ref)
        once = Idempotency("purchase_refund", f"{lot.source}:{lot.source_ref}#{before}", self.new_id())
        commands: list[Command] = [
            RefundPurchase(
                tenant=self.tenant,
                source=lot.source,
                source_ref=lot.source_ref,
                amount=back.amount,
                note=note,
                idempotency=asked,
            ),
            Keep(row, once),
            self._audit("refund_purchase", author, f"user:{user_id}", asdict(back)),
        ]
        if back.fee:
            purchase = record.purchases[lot.source, lot.source_ref]
            fee = await self.store.submit(self._fee_charge(purchase))
            if isinstance(fee, Refusal):
                raise movement_fault(fee, account.asset, self.links)
            source = f"{lot.source}:fee"
            commands += [
                RefundCharge(tenant=self.tenant, transfer_id=fee.id, amount=back.fee, note=note),
                RefundPurchase(
                    tenant=self.tenant, source=source, source_ref=lot.source_ref, amount=back.fee, note=note
                ),
            ]
        return commands

    async def _lot(self, account: AccountKey, source_ref: str) -> LotView:
        for lot in await self.store.lots(account, with_empty=True):
            if lot.source_ref == source_ref and lot.category == "paid":
                return lot
        raise NotFound(
            f"this user has no purchase {source_ref[:100]!r} of {account.asset}; getPurchaseHistory shows their ids and assets",
            data={"id": source_ref[:100]},
        )

    async def _together(self, commands: Sequence[Command], asset: str, once: Idempotency | None) -> tuple[Done, ...]:
        """Apply all or none; with a key, each command repeats its first answer. Raises: the Fault of a refusal."""
        if once is not None:
            commands = [
                command
                if command.idempotency
                else replace(command, idempotency=replace(once, key=f"{once.key}#{place}"))
                for place, command in enumerate(commands)
            ]
        outcome = await self.store.submit_together(commands)
        if isinstance(outcome, Refusal):
            raise movement_fault(outcome, asset, self.links)
        return outcome

    def _audit(self, action: str, author: Author, key: str, body: object) -> Keep:
        text = json.dumps({"action": action, "order": body})
        return Keep(KeptRow(self.tenant, AUDIT, key, text, author.actor, author.reason))

    @staticmethod
    def _once(action: str, asset: str, key: str | None, body: object) -> Idempotency | None:
        if key is None:
            return None
        fingerprint = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).hexdigest()
        return Idempotency(f"desk:{action}:{asset}", key, fingerprint)


def _owner(account: AccountKey) -> str:
    return f"{account.owner_type}:{account.owner_id}"


def _returned(lot: LotView, record: Record, amount: int) -> Returned:
    """What goes back with `amount` of a lot: of the platform's share in proportion, so that the last unit takes the rest."""
    purchase = record.purchases.get((lot.source, lot.source_ref))
    if purchase is None or not purchase.fee:
        return Returned(lot.source, lot.source_ref, amount, 0)
    before, fee_before = record.returned(lot.source, lot.source_ref)
    fee = purchase.fee * (before + amount) // purchase.granted - fee_before
    return Returned(lot.source, lot.source_ref, amount, fee)
