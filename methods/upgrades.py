"""Where a user goes for another tier: `getUpgradeUrl` (S4-29). No payment is begun here."""

from methods.context import Context
from methods.method import Access, Example, Method, Result
from methods.tiers import TierParams
from storage.errors import NotFound


class UpgradeResult(Result):
    """The page."""

    success: bool = True
    checkout_url: str
    tier: str
    """The key of the tier that was asked for."""


async def get_upgrade_url(context: Context, params: TierParams) -> UpgradeResult:
    """The operator's page where a tier is bought. Nothing is changed and nothing charged."""
    key = context.services.tiers().key_of(params.tier)
    if key is None:
        raise NotFound(f"there is no tier {params.tier!r}; listTiers names them", data={"tier": params.tier})
    url = context.services.eligibility.links.upgrade
    if not url:
        told = "payments are not configured on this server; its operator sets [urls] upgrade"
        raise NotFound(told, reason="payments_not_configured")
    return UpgradeResult(checkout_url=url, tier=key)


METHODS = [
    Method(
        "getUpgradeUrl",
        get_upgrade_url,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(NotFound,),
        examples=(
            Example(
                "the professional tier",
                {"tier": "professional"},
                {"success": True, "checkoutUrl": "https://example.com/upgrade", "tier": "professional"},
            ),
        ),
    ),
]
