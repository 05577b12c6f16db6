"""The table of the REST facades, OpenMonetize's and the credits guide's. Rows only; the newest method is one row away."""

from typing import Final

from methods.event_schema import CLOUD_EVENT
from methods.ingestion import EVENTS_MAX
from server.rest.analytics import ANALYTICS, EXPORT
from server.rest.route import CUSTOMER, Route, Sample
from server.rest.shapes import At, Data, Each, Only, Pick, Same, Shape, Success, Value

_RULES: Final = {"gpt-4-turbo": {"input_tokens": 1.5, "output_tokens": 10.0, "per_unit": 1000}}
_USER: Final = Sample(path={"userId": "u1"})
_CUSTOMERS_USER: Final = Sample(path={"customerId": "acme", "userId": "u1"})
_WALLET: Final = Data(
    Pick(
        {
            "balance": "remainingCredits",
            "reserved": "heldCredits",
            "available": "availableCredits",
            "exact": "remainingExact",
            "expiresAt": At("expiresAt"),
        }
    )
)
_MOVED: Final[Shape] = Pick({"data": "data", "pagination": "pagination"})
_BALANCE: Final = Data(
    Pick(
        {
            "balance": "remainingExact",
            "reservedBalance": "heldExact",
            "availableBalance": "availableExact",
            "currency": Value("CREDIT"),
        }
    )
)
_RATED: Final = Pick(
    {
        "credits": "credits",
        "cost": "cost",
        "currency": Value("USD"),
        "costBreakdown": "breakdown",
        "providerCostUsd": "cost",
        "providerCostExact": "costExact",
        "revenueUsd": "revenueUsd",
        "marginUsd": "marginUsd",
        "usdCost": "usdCost",
        "usd_cost": "usdCost",
        "marginPercent": "marginPercent",
        "margin_percent": "marginPercent",
        "tokensCharged": "tokensCharged",
        "policy": "policy",
        "pricingSource": "priceVersion",
    }
)
_CONSUMED: Final = Data(
    Pick({"transactionId": "transactionId", "userId": "userId", "amount": "amount", "newBalance": "newBalance"})
)
_GRANTED: Final = Data(
    Pick(
        {
            "transactionId": "grantId",
            "walletId": "userId",
            "newBalance": "newBalance",
            "amount": "amount",
            "expiresAt": At("expiresAt"),
        }
    )
)
_ROW: Final = Data(Same())

CREDITS: Final = (
    Route(verb="GET", path="/v1/credits/balance", method="getCreditBalance", shape=_BALANCE),
    Route(verb="GET", path="/v1/users/{userId}/credits", method="getCreditBalance", shape=_WALLET, sample=_USER),
    Route(verb="GET", path="/v1/customers/{userId}/credits", method="getCreditBalance", shape=_WALLET, sample=_USER),
    Route(
        verb="GET",
        path="/v1/customers/{customerId}/users/{userId}/credits",
        method="getCreditBalance",
        shape=_WALLET,
        ignored=CUSTOMER,
        sample=_CUSTOMERS_USER,
    ),
    *(
        Route(
            verb="GET",
            path=f"{path}/transactions",
            method="getTransactions",
            shape=_MOVED,
            set={"asset": "CREDIT"},
            ignored=CUSTOMER,
            sample=Sample(path=sample.path, query={"limit": "10"}),
        )
        for path, sample in (
            ("/v1/users/{userId}", _USER),
            ("/v1/customers/{userId}", _USER),
            ("/v1/customers/{customerId}/users/{userId}", _CUSTOMERS_USER),
        )
    ),
    *(
        Route(
            verb="POST",
            path=path,
            method="grantCredits",
            shape=_GRANTED,
            set={"kind": "promotion"},
            ignored=CUSTOMER,
            sample=Sample(
                path=sample.path, body={**named, "amount": "500", "reason": "welcome", "idempotencyKey": key}
            ),
        )
        for path, sample, named, key in (
            ("/v1/credits/grant", Sample(), {"userId": "u1"}, "welcome-u1"),
            ("/v1/users/{userId}/credits", _USER, {}, "spring-u1"),
            ("/v1/customers/{userId}/credits", _USER, {}, "summer-u1"),
            ("/v1/customers/{customerId}/users/{userId}/credits", _CUSTOMERS_USER, {}, "autumn-u1"),
        )
    ),
    Route(
        verb="POST",
        path="/v1/credits/purchase",
        method="grantCredits",
        shape=Data(
            Pick({"transactionId": "grantId", "newBalance": "newBalanceNumber", "newBalanceExact": "newBalance"})
        ),
        renamed={"purchasePrice": "pricePaid"},
        set={"kind": "purchase"},
        ignored=CUSTOMER,
        sample=Sample(body={"userId": "u1", "amount": 1000, "purchasePrice": "10", "idempotencyKey": "order-1"}),
    ),
    Route(
        verb="POST",
        path="/v1/credits/consume",
        method="consumeCredits",
        shape=_CONSUMED,
        ignored=CUSTOMER,
        sample=Sample(body={"userId": "u1", "amount": 25, "featureId": "export", "idempotencyKey": "export-7"}),
    ),
)

ENTITLEMENTS: Final = (
    Route(
        verb="POST",
        path="/v1/entitlements/check",
        method="checkEntitlement",
        sample=Sample(
            body={
                "customer_id": "cust_abc",
                "user_id": "u1",
                "feature_id": "ai-text-generation",
                "action": {"type": "token_usage", "model": "simulator", "estimated_input_tokens": 1000},
            }
        ),
    ),
    Route(
        verb="GET",
        path="/v1/entitlements",
        method="listEntitlements",
        ignored=CUSTOMER,
        sample=Sample(query={"userId": "u1"}),
    ),
    Route(
        verb="POST",
        path="/v1/entitlements",
        method="setEntitlement",
        shape=_ROW,
        status=201,
        ignored=CUSTOMER,
        sample=Sample(
            body={"userId": "u1", "featureId": "export", "limitType": "HARD", "limitValue": 50, "period": "MONTHLY"}
        ),
    ),
    Route(
        verb="PUT",
        path="/v1/entitlements/{id}",
        method="updateEntitlement",
        shape=_ROW,
        ignored=CUSTOMER,
        sample=Sample(path={"id": "user:u1/export/monthly"}, body={"limitType": "SOFT", "limitValue": 80}),
    ),
    Route(
        verb="DELETE",
        path="/v1/entitlements/{id}",
        method="deleteEntitlement",
        status=204,
        sample=Sample(path={"id": "user:u1/export/monthly"}),
    ),
)

RATING: Final = (
    Route(
        verb="POST",
        path="/v1/rating/calculate",
        method="calculateCost",
        shape=_RATED,
        ignored=CUSTOMER,
        sample=Sample(body={"model": "simulator", "input_tokens": 1000, "output_tokens": 500}),
    ),
    Route(
        verb="POST",
        path="/v1/rating/calculate/bulk",
        method="calculateCosts",
        shape=Pick({"results": At("results", Each(_RATED)), "total": "total"}),
        ignored=CUSTOMER,
        sample=Sample(body={"calculations": [{"model": "simulator", "inputTokens": 1000, "outputTokens": 500}]}),
    ),
    *(
        Route(verb="GET", path=path, method="getProviderPricing", sample=Sample(query={"limit": "10"}))
        for path in ("/v1/providers/pricing", "/v1/rating/pricing")
    ),
    Route(verb="GET", path="/v1/burn-tables", method="listBurnTables"),
    Route(
        verb="GET", path="/v1/burn-tables/active", method="listBurnTables", shape=Data(At("data", Only("isInForce")))
    ),
    Route(
        verb="POST",
        path="/v1/burn-tables",
        method="createBurnTable",
        shape=_ROW,
        status=201,
        ignored=CUSTOMER,
        sample=Sample(body={"name": "Premium Tier Pricing", "rules": _RULES}),
    ),
    Route(
        verb="PATCH",
        path="/v1/burn-tables/{id}",
        method="updateBurnTable",
        shape=_ROW,
        ignored=CUSTOMER,
        sample=Sample(path={"id": "bt_1"}, body={"name": "Premium"}),
    ),
    Route(
        verb="DELETE",
        path="/v1/burn-tables/{id}",
        method="deleteBurnTable",
        status=204,
        sample=Sample(path={"id": "bt_1"}),
    ),
)

EVENTS: Final = (
    Route(
        verb="POST",
        path="/v1/events/ingest",
        method="ingestEvents",
        status=202,
        also=frozenset({200}),  # where all were duplicates
        has_own_door=True,
        bodies={
            "application/cloudevents+json": CLOUD_EVENT,
            "application/cloudevents-batch+json": {"type": "array", "items": CLOUD_EVENT, "maxItems": EVENTS_MAX},
        },
        sample=Sample(
            body={
                "events": [
                    {
                        "event_id": "evt_123",
                        "user_id": "u1",
                        "event_type": "TOKEN_USAGE",
                        "feature_id": "legal-research",
                        "model": "simulator",
                        "input_tokens": 500,
                        "output_tokens": 100,
                    }
                ]
            }
        ),
    ),
    Route(
        verb="GET",
        path="/v1/events",
        method="listUsageEvents",
        shape=Pick({"data": "events", "pagination": "pagination"}),
        renamed={"featureId": "feature"},
        ignored=CUSTOMER,
        sample=Sample(query={"limit": "10"}),
    ),
    Route(
        verb="GET",
        path="/v1/events/dlq",
        method="listDeadLetters",
        shape=Pick({"data": At("deadLetters"), "pagination": Pick({"nextCursor": "nextCursor"})}),
        sample=Sample(query={"limit": "10"}),
    ),
    Route(verb="GET", path="/v1/events/info", method="getIngestionInfo", shape=Data(), sample=Sample()),
    Route(
        verb="POST",
        path="/v1/events/dlq/replay",
        method="replayDeadLetters",
        renamed={"jobIds": "ids"},
        default={"all": True},
        sample=Sample(body={"all": True}),
    ),
)

GUIDE: Final = (
    Route(
        verb="GET",
        path="/api/credits/balance",
        method="getCreditBalance",
        shape=Success(
            Pick(
                {
                    name: name
                    for name in (
                        "totalCredits",
                        "usedCredits",
                        "remainingCredits",
                        "tier",
                        "monthlyTokensUsed",
                        "monthlyRequestsUsed",
                        "percentUsed",
                    )
                }
            )
        ),
    ),
    Route(verb="GET", path="/api/credits/usage", method="getCreditUsage"),
    Route(
        verb="GET",
        path="/api/credits/tiers",
        method="listTiers",
        shape=Pick({"success": "success", "profitMargin": "profitMargin", "data": "data"}),
    ),
    Route(
        verb="GET",
        path="/api/credits/tier-details/{tier}",
        method="getTierDetails",
        shape=Success(),
        sample=Sample(path={"tier": "starter"}),
    ),
    Route(verb="GET", path="/api/credits/current-tier", method="getCurrentTier"),
    Route(
        verb="POST",
        path="/api/credits/upgrade",
        method="getUpgradeUrl",
        sample=Sample(body={"tier": "professional"}),
    ),
    Route(verb="GET", path="/api/credits/overage", method="getOverageCharges"),
    Route(verb="GET", path="/api/credits/recommendations", method="getRecommendations", shape=Success()),
)

ROUTES: Final[tuple[Route, ...]] = (
    *EVENTS,
    *CREDITS,
    *ENTITLEMENTS,
    *RATING,
    *ANALYTICS,
    EXPORT,
    *GUIDE,
)
