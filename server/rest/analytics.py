"""The rows of the table under `/v1/analytics`: OpenMonetize's reports. Rows only."""

from typing import Final

from server.rest.route import CUSTOMER, Route, Sample
from server.rest.shapes import At, Data, Pick

_REPORT: Final = {"featureId": "feature"}
_SPENT: Final = Pick({"creditsBurned": "totalExact", "averagePerDay": "averageExact"})
_BURN_RATE: Final = Data(
    Pick(
        {
            "currentBalance": "currentBalanceExact",
            "last7Days": At("last7Days", _SPENT),
            "last30Days": At("last30Days", _SPENT),
            "projectedRunout": At(
                "projectedRunout",
                Pick({"daysRemaining": At("daysRemaining"), "estimatedRunoutDate": At("estimatedRunoutDate")}),
            ),
            "recommendations": "recommendations",
        }
    )
)
_PARTS: Final = ("summary", "byFeature", "byProvider", "byEventType", "timeline")
_REPORTS: Final = (
    *(
        Route(verb="GET", path=path, method=method, shape=Data(), renamed=_REPORT, ignored=CUSTOMER, sample=sample)
        for path, method, sample in (
            ("/v1/analytics/cost-breakdown", "getCostBreakdown", Sample(query={"by": "model"})),
            ("/v1/analytics/usage-trends", "getUsageTrends", Sample(query={"days": "7"})),
            ("/v1/analytics/burn-forecast", "getBurnForecast", Sample()),
            ("/v1/analytics/summary", "getUsageStats", Sample(query={"period": "last_7_days"})),
        )
    ),
)

ANALYTICS: Final = (
    *_REPORTS,
    Route(
        verb="GET",
        path="/v1/analytics/usage",
        method="getUsageBreakdown",
        shape=Data(Pick({name: name for name in _PARTS})),
        renamed=_REPORT,
        ignored=CUSTOMER,
        sample=Sample(query={"period": "last_7_days", "groupBy": "day"}),
    ),
    Route(
        verb="GET",
        path="/v1/analytics/costs",
        method="getMarginBreakdown",
        shape=Data(Pick({"summary": "summary", "byProvider": "byProvider"})),
        renamed=_REPORT,
        ignored=CUSTOMER,
    ),
    Route(
        verb="GET",
        path="/v1/analytics/burn-rate",
        method="getBurnForecast",
        shape=_BURN_RATE,
        set={"asset": "CREDIT"},
        ignored=CUSTOMER,
    ),
)

EXPORT: Final = Route(
    verb="GET",
    path="/v1/usage/export",
    method="exportUsage",
    files=("text/csv", "application/x-ndjson"),
    renamed=_REPORT,
    ignored=CUSTOMER | {"stream"},
    has_own_door=True,
    sample=Sample(query={"format": "csv", "period": "last_7_days"}),
)
