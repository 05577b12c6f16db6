"""What a caller's plan lets a call do: who may be served at all, by which provider and model, and how long the answer may be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from monetization.callers import Caller
from monetization.errors import NotEntitled, PaymentRequired, Unauthenticated
from monetization.subscriptions import REFUSED
from monetization.terms import Most, Target, Terms
from monetization.tiers import Tier, Tiers, is_among


@dataclass(frozen=True, slots=True)
class Gate:
    """What the operator asks of everybody who calls a method."""

    feature: str | None = None
    """One that the tier or the credential must include."""
    tier: str | None = None
    """The least tier, by the configured order."""


@dataclass(frozen=True, slots=True)
class Entitlements:
    """Answers from memory; asks nobody."""

    tiers: Callable[[], Tiers]
    """The tiers in force now."""
    anonymous: Literal["off", "byok"]
    """Whether callers without a credential may bring their own provider key."""
    upgrade_url: str = ""
    billing_url: str = ""
    gates: Mapping[str, Gate] = field(default_factory=dict)
    """By the method's own name."""
    choose: Callable[[str, Most], Most] = lambda _, most: most
    """Puts the best of what may serve a tier's callers first. It narrows nothing, so that whatever it names is checked here."""

    def gate(self, caller: Caller, method: str) -> None:
        """Refuse a caller whose plan does not open the method. Raises: NotEntitled."""
        gate = self.gates.get(method)
        if gate is None or caller.kind == "operator":
            return
        tiers = self.tiers()
        tier = tiers.of(caller.tier)
        if gate.feature is not None and not _includes(caller, tier, gate.feature):
            raise self._refusal(tier, "feature_not_in_tier", f"feature {gate.feature!r}, which {method} needs")
        if gate.tier is not None and not tiers.is_at_least(caller.tier, gate.tier):
            raise self._refusal(tier, "tier_too_low", f"{method}, which needs tier {gate.tier!r} or above")

    def check(self, caller: Caller, terms: Terms, most: Most) -> Most:
        """Refuse what the plan does not include; return the most that it does.

        A default length of the answer is lowered to the tier's silently, a length that the caller asked for is refused.
        Raises: Unauthenticated, NotEntitled; PaymentRequired for a subscription that nobody has paid for.
        """
        if caller.kind == "anonymous":
            # Design R20: the operator's key is never spent without a payer.
            raise Unauthenticated(
                "send 'Authorization: Bearer <token>', or your own provider key as params.apiKey",
                reason="credential_required",
            )
        if caller.kind == "byok":
            most = _of_own_key(caller, most)
            if caller.models:
                most = replace(most, targets=tuple(self._of_key(caller, most, list(most.targets))))
            if caller.user_id is None and self.anonymous == "off":
                raise Unauthenticated(
                    "this server serves no anonymous callers; send 'Authorization: Bearer <token>'",
                    reason="anonymous_off",
                )
            return most  # the caller's own key, the caller's own bill: only speed is limited
        if caller.subscription_status in REFUSED:
            raise self._unpaid(caller.subscription_status)
        tier = self.tiers().of(caller.tier)
        self._check_feature(caller, tier, terms)
        length = self._length(tier, most)
        if length != most.tokens_output:
            most = replace(most, tokens_output=length)
        most = self.choose(tier.key, most)
        allowed = [
            target
            for target in most.targets
            if tier.includes_provider(target.provider) and tier.includes_model(target.model)
        ]
        if caller.models:
            allowed = self._of_key(caller, most, allowed)
        if not _serves(most, allowed):
            first = most.targets[0]
            raise self._refusal(tier, "model_not_in_tier", f"{first.provider}/{first.model}")
        return most if len(allowed) == len(most.targets) else replace(most, targets=tuple(allowed))

    def _unpaid(self, status: str) -> PaymentRequired:
        data = {"reason": f"subscription_{status}"}
        if self.billing_url:
            data["billingUrl"] = self.billing_url
        return PaymentRequired(
            f"the subscription is {status}; bring it up to date and try again",
            reason=f"subscription_{status}",
            data=data,
        )

    @staticmethod
    def _of_key(caller: Caller, most: Most, allowed: list[Target]) -> list[Target]:
        """What of the targets the key was narrowed to. Raises: NotEntitled where none that was asked for is among them."""
        if not _serves(most, [target for target in most.targets if is_among(caller.models, target.model)]):
            raise NotEntitled(
                f"this key does not include model {most.targets[0].model!r}; choose another, or use another key",
                reason="model_not_in_key",
            )
        return [target for target in allowed if is_among(caller.models, target.model)]

    def _check_feature(self, caller: Caller, tier: Tier, terms: Terms) -> None:
        if terms.feature is not None and not _includes(caller, tier, terms.feature):
            raise self._refusal(tier, "feature_not_in_tier", f"feature {terms.feature!r}")

    def _length(self, tier: Tier, most: Most) -> int:
        limit = tier.max_tokens_per_request
        if limit is None or most.tokens_output <= limit:
            return most.tokens_output
        if most.is_output_asked:
            raise self._refusal(tier, "max_tokens_over_tier", f"maxTokens {most.tokens_output} (at most {limit})")
        return limit

    def _refusal(self, tier: Tier, reason: str, what: str) -> NotEntitled:
        data = {"tier": tier.key}
        if self.upgrade_url:
            data["upgradeUrl"] = self.upgrade_url
        return NotEntitled(
            f"tier {tier.key!r} does not include {what}; choose another or upgrade", reason=reason, data=data
        )


def _serves(most: Most, allowed: Sequence[Target]) -> bool:
    """Whether one of those that were asked for is still there; they all come before the fallbacks."""
    if not most.targets:
        return True
    if not allowed:
        return False
    return allowed[0] == most.targets[0] or (most.route is not None and allowed[0] in most.route.equals)


def _of_own_key(caller: Caller, most: Most) -> Most:
    """A key of one provider never reaches another."""
    if not most.targets:
        return most
    provider = caller.own_key_provider or most.targets[0].provider
    own = tuple([target for target in most.targets if target.provider == provider])
    return most if len(own) == len(most.targets) else replace(most, targets=own)


def _includes(caller: Caller, tier: Tier, feature: str) -> bool:
    return feature in tier.features or feature in caller.features
