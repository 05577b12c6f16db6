"""Everything this process counts, in its own registry. Label values are closed or bounded sets; nothing personal here."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.tallies import Counts, Spread
from storage.records.money import USD, scale_of

SHARED_DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by the parent of several workers before they start; prometheus_client reads it when it is imported."""

VALUES_MAX: Final = 256
OTHER: Final = "other"
HAND_OVER_SECONDS: Final = 1.0
"""How much older than the truth a worker's counts may be, since another worker may be the one that is asked."""
_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WORD = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._:/@${}-]{0,95}")

Metric = TypeVar("Metric", Counter, Histogram)


class Bound(Generic[Metric]):
    """Keeps the children of one metric by their labels, and the one label that others may fill in bounds."""

    def __init__(self, metric: Metric, *, free: int, values_max: int = VALUES_MAX) -> None:
        self._metric: Metric = metric
        self._free = free
        self._values_max = values_max
        self._values: set[str] = set()
        self._children: dict[tuple[str, ...], Metric] = {}

    def child(self, *labels: str) -> Metric:
        """The child of these labels. A free value that is no plain word, or one too many, counts as `other`."""
        found = self._children.get(labels)
        if found is not None:
            return found
        value = labels[self._free]
        is_known = value in self._values or len(self._values) < self._values_max
        if value and not (is_known and _WORD.fullmatch(value)):
            other: Metric = self._metric.labels(*labels[: self._free], OTHER, *labels[self._free + 1 :])
            return other
        self._values.add(value)
        made: Metric = self._metric.labels(*labels)
        self._children[labels] = made
        return made


def _counts(metric: Counter, *, free: int) -> Counts:
    return Counts(Bound(metric, free=free).child)


def _spread(metric: Histogram, *, free: int) -> Spread:
    return Spread(Bound(metric, free=free).child, _CALL_SECONDS)


class _Before(Collector):
    """Registered first, so that it is asked before the others: it has the tallies handed over and shows nothing itself."""

    def __init__(self, hand_over: Callable[[], None]) -> None:
        self._hand_over = hand_over

    def describe(self) -> Iterable[MetricFamily]:
        """Nothing."""
        return ()

    def collect(self) -> Iterable[MetricFamily]:
        """Nothing; but the others are up to date now."""
        self._hand_over()
        return ()


class Metrics:
    """The metrics of one process. The methods are the callbacks that the composition root hands out."""

    def __init__(self, shared: Path | None = None) -> None:
        """`shared`: the directory through which several workers add up; None: this process stands alone."""
        self._shared = shared
        self._timer: asyncio.TimerHandle | None = None
        self.registry = registry = CollectorRegistry()
        registry.register(_Before(self.hand_over))
        if shared is None:
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
        self._gauges: dict[str, Gauge] = {}
        counter, seconds = self._counter, self._seconds

        self._calls = _counts(counter("calls", "Calls by outcome.", ("method", "door", "outcome", "reason")), free=3)
        self._call_seconds = _spread(
            seconds("call_duration", "From arrival to the last byte.", ("method", "door")), free=0
        )
        self._first_byte = _spread(
            seconds("call_first_byte", "From arrival to the provider's first output.", ("method",)), free=0
        )
        self.in_flight = 0
        """Calls that run now in this process; the journal counts them."""
        self._in_flight = Gauge(
            "tollgate_calls_in_flight", "Calls that run now.", registry=registry, multiprocess_mode="livesum"
        )
        self._provider = _counts(
            counter("provider_requests", "Requests to providers.", ("provider", "outcome")), free=1
        )
        self._provider_seconds = _spread(
            seconds("provider_request_duration", "Provider requests, to their last byte.", ("provider",)), free=0
        )
        self._tokens = _counts(
            counter("tokens", "Tokens that providers counted.", ("provider", "model", "direction")), free=1
        )
        self._blocks = counter("blocks", "Callers and addresses blocked for abuse, by the rule.", ("rule",))
        self._auth = Bound(counter("auth_failures", "Credentials that did not hold.", ("reason",)), free=0)
        self._reloads = counter("tier_reloads", "Readings of the tiers while running.", ("result",))
        self._unknown_tiers = counter("unknown_tiers", "Credentials that name a tier nobody configured.")
        self._limits_skipped = counter("limits_skipped", "Limits not applied because their store was down.")
        self._directory_stale = Gauge(
            "tollgate_directory_stale",
            "1 while changes of users, organizations and keys by other processes may be missed.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._directory_polls_failed = counter("directory_polls_failed", "Looks for such changes that failed.")
        self._count_money()
        self._http = _counts(counter("http_requests", "HTTP requests.", ("method", "route", "status")), free=1)
        self._http_seconds = _spread(seconds("http_request_duration", "HTTP requests.", ("route",)), free=0)
        self._events = counter("events", "Events of usage from elsewhere, by what became of them.", ("result",))
        self._log_lines_dropped = counter("log_lines_dropped", "Log lines that found no room.")
        self._tallies = (
            self._calls, self._call_seconds, self._first_byte, self._provider, self._provider_seconds, self._tokens,
            self._http, self._http_seconds, self._charged, self._cost, self._commit_seconds,
        )  # fmt: skip

    def _counter(self, name: str, says: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"tollgate_{name}", says, labels, registry=self.registry)

    def _seconds(self, name: str, says: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(f"tollgate_{name}_seconds", says, labels, buckets=_CALL_SECONDS, registry=self.registry)

    def _count_money(self) -> None:
        self._charged = _counts(
            self._counter("charged", "Tokens, credits and dollars taken for calls, by what they are.", ("asset",)),
            free=0,
        )
        self._cost = _counts(
            self._counter("provider_cost_usd", "What providers bill for calls, in dollars.", ("provider",)), free=0
        )
        self._commit_seconds = _spread(
            self._seconds("store_duration", "Commits of the ledger, from first statement to durable.", ("operation",)),
            free=0,
        )

    def hand_over(self) -> None:
        """Let the library have what the tallies hold. Whoever reads the registry of this process sees it by then."""
        self._timer = None
        self._in_flight.set(self.in_flight)
        for tally in self._tallies:
            tally.hand_over()

    def call_began(self) -> None:
        """A call runs."""
        self.in_flight += 1
        if self._shared is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HAND_OVER_SECONDS, self.hand_over)

    def call_done(self, method: str, door: str, outcome: str, reason: str, seconds: float) -> None:
        """One call has ended. `method` comes from the catalog, or is `unknown`."""
        self.in_flight -= 1
        self._calls.add((method, door, outcome, reason))
        self._call_seconds.add((method, door), seconds)

    def first_byte(self, method: str, seconds: float) -> None:
        """The provider's first output arrived so long after the call."""
        self._first_byte.add((method,), seconds)

    def tokens(self, provider: str, model: str, tokens_input: int, tokens_output: int) -> None:
        """A provider counted tokens for a call."""
        self._tokens.add((provider, model, "input"), tokens_input)
        self._tokens.add((provider, model, "output"), tokens_output)

    def charged(self, provider: str, cost_nano: int, asset: str | None, amount: int) -> None:
        """A call came to so many nano dollars at its provider, and `amount` in the asset's scale was taken for it."""
        self._cost.add((provider,), cost_nano / 10 ** scale_of(USD))
        if asset is not None and amount:
            self._charged.add((asset,), amount / 10 ** scale_of(asset))

    def committed(self, microseconds: int) -> None:
        """The ledger's database took so long for one commit."""
        self._commit_seconds.add(("commit",), microseconds / 1_000_000)

    def business(self, name: str, says: str, value: float) -> None:
        """Show a figure of the business; of several workers the newest reading counts."""
        gauge = self._gauges.get(name)
        if gauge is None:
            title = f"tollgate_business_{name}"
            gauge = self._gauges[name] = Gauge(title, says, registry=self.registry, multiprocess_mode="mostrecent")
        gauge.set(value)

    def blocked(self, rule: str) -> None:
        """Somebody was blocked by a rule of `[abuse]`."""
        self._blocks.labels(rule).inc()

    def provider_request(self, provider: str, outcome: str, seconds: float) -> None:
        """A request to a provider ended: `ok`, a status such as `429`, `timeout`, `unreachable`, `cancelled`."""
        self._provider.add((provider, outcome))
        self._provider_seconds.add((provider,), seconds)

    def auth_failed(self, reason: str = "unauthenticated") -> None:
        """A credential did not hold."""
        self._auth.child(reason).inc()

    def tiers_reloaded(self, *, is_done: bool) -> None:
        """The tiers were read again; `is_done` False: the file was refused and nothing changed."""
        self._reloads.labels("done" if is_done else "refused").inc()

    def unknown_tier(self, name: str = "") -> None:
        """A credential named an unknown tier. The name is the caller's, so it is no label."""
        del name
        self._unknown_tiers.inc()

    def limit_skipped(self) -> None:
        """A limit was not applied because its store was down."""
        self._limits_skipped.inc()

    def directory_stale(self, *, is_stale: bool) -> None:
        """Changes of the directory cannot be read any more, or can be again."""
        self._directory_stale.set(is_stale)

    def directory_poll_failed(self) -> None:
        """A look for changes of the directory failed."""
        self._directory_polls_failed.inc()

    def events_taken(self, result: str, count: int) -> None:
        """So many events of one batch were `accepted`, `duplicate`, `rejected` or kept as a `dead_letter`."""
        self._events.labels(result).inc(count)

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered. `route` is the route's template, never the path that was asked for."""
        verb = method if method in _VERBS else OTHER
        self._http.add((verb, route, str(status)))
        self._http_seconds.add((route,), seconds)
        if self._shared is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HAND_OVER_SECONDS, self.hand_over)

    def log_lines_dropped(self, lines: int) -> None:
        """So many log lines found no room."""
        self._log_lines_dropped.inc(lines)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Everything as text, and its content type. With several workers: the sum of all of them."""
        encode, content_type = choose_encoder(accept)
        self.hand_over()
        if self._shared is None:
            return encode(self.registry), content_type
        together = CollectorRegistry()
        MultiProcessCollector(together, path=str(self._shared))  # type: ignore[no-untyped-call]  # the library's own gap
        return encode(together), content_type


def shared_directory(environ: Mapping[str, str]) -> Path | None:
    """Where the workers of one server add up their metrics; None for a process that stands alone."""
    path = environ.get(SHARED_DIRECTORY_VARIABLE)
    return Path(path) if path else None


def forget_process(pid: int, shared: Path) -> None:
    """A worker is dead: what it had in flight no longer counts."""
    mark_process_dead(pid, path=str(shared))  # type: ignore[no-untyped-call]  # the library's own gap


def metrics_route(metrics: Metrics, token: SecretStr | None = None) -> Route:
    """`GET /metrics` in the format that the scraper asks for, for whoever shows the token, if there is one (RFC 6750)."""

    async def scrape(request: Request) -> Response:
        if token is not None and not _shows(request.headers.get("authorization", ""), token):
            said = "these figures are for who has server.metrics_token; send it as 'Authorization: Bearer <token>'\n"
            return Response(said, 401, {"www-authenticate": "Bearer", "cache-control": "no-store"}, "text/plain")
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return Route("/metrics", scrape, methods=["GET"])


def _shows(authorization: str, token: SecretStr) -> bool:
    scheme, _, shown = authorization.partition(" ")
    wanted = token.get_secret_value().strip()
    return compare_digest(shown.strip().encode("latin-1"), wanted.encode()) and scheme.lower() == "bearer"
