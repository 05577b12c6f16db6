"""What every HTTP exchange gets: an id, safe headers, a bounded body, a count; and health and metrics as routes."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.config_errors import ConfigError
from server.drain import Drain
from server.health import Check, Health, health_routes
from server.leaving import Leaving
from server.metrics import Metrics, metrics_route
from server.middleware import transport
from server.redaction import Redactor

Headers = dict[str, str]


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{request.state.request_id} {len(await request.body())}")


async def direct(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["state"]["request_id"])(scope, receive, send)


def an_app(
    *, checks: dict[str, Check] | None = None, origins: Sequence[str] = ()
) -> tuple[ASGIApp, Drain, Health, Metrics]:
    metrics, drain = Metrics(), Drain()
    health = Health(drain, checks or {}, timeout_seconds=0.05)
    inner = Starlette(
        routes=[Route("/echo/{word}", echo, methods=["POST"]), *health_routes(health), metrics_route(metrics)]
    )
    app = transport(
        inner,
        metrics=metrics,
        monotonic=time.monotonic,
        body_bytes_max=100,
        cors_origins=origins,
        direct={"/direct": direct},
    )
    return app, drain, health, metrics


async def ask(
    app: ASGIApp, method: str, path: str, headers: Headers | None = None, chunks: Sequence[bytes] = (b"",)
) -> tuple[int, Headers, str]:
    path, _, query = path.partition("?")
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": n + 1 < len(chunks)} for n, chunk in enumerate(chunks)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], said, b"".join(m.get("body", b"") for m in sent[1:]).decode()


async def test_a_plain_request_id_is_taken_and_given_back() -> None:
    app, *_ = an_app()
    status, headers, body = await ask(app, "POST", "/echo/a", {"x-request-id": "mine-1.2_3"}, [b"12", b"345"])
    assert (status, headers["x-request-id"], body) == (200, "mine-1.2_3", "mine-1.2_3 5")


@pytest.mark.parametrize("foreign", ["", "two words", "a" * 129, "line\nfeed", "über"])
def test_any_other_request_id_is_replaced(foreign: str) -> None:
    app, *_ = an_app()
    _, headers, _ = asyncio.run(ask(app, "POST", "/echo/a", {"x-request-id": foreign}))
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])


async def test_answers_carry_safe_headers_unless_they_say_otherwise() -> None:
    app, *_ = an_app()
    _, headers, _ = await ask(app, "POST", "/echo/a")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "chunks"),
    [({"content-length": "101"}, [b""]), ({}, [b"x" * 60, b"x" * 60]), ({"content-length": "-1"}, [b""])],
)
async def test_a_body_above_the_limit_is_a_413_problem(headers: Headers, chunks: list[bytes]) -> None:
    app, *_ = an_app()
    status, said, body = await ask(app, "POST", "/echo/a", headers, chunks)
    assert (status, said["content-type"], said["connection"]) == (413, "application/problem+json", "close")
    assert '"status":413' in body
    assert said["x-request-id"] in body


async def test_only_the_named_origins_may_read_answers() -> None:
    app, *_ = an_app(origins=["https://app.example.com"])
    asked = {
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, idempotency-key, traceparent",
    }
    status, allowed, _ = await ask(app, "OPTIONS", "/echo/a", asked)
    assert (status, allowed["access-control-allow-origin"]) == (200, "https://app.example.com")
    _, answer, _ = await ask(app, "POST", "/echo/a", {"origin": "https://app.example.com"})
    assert "Retry-After" in answer["access-control-expose-headers"]
    _, other, _ = await ask(app, "POST", "/echo/a", {"origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other


BROWSERS = (  # what the vendors' SDKs of both generations send and read
    "authorization, content-type, user-agent, x-api-key, x-goog-api-key, x-goog-api-client, anthropic-version, anthropic-beta, "
    "anthropic-dangerous-direct-browser-access, openai-organization, openai-project, openai-beta, x-stainless-arch, "
    "x-stainless-helper, x-stainless-helper-method, x-stainless-lang, x-stainless-os, x-stainless-package-version, "
    "x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout, x-server-timeout"
)
READ = "request-id, retry-after, x-should-retry, x-ratelimit-remaining-tokens, anthropic-ratelimit-requests-reset"
TOLD = ("Provider", "Model", "Asked-Model", "Saving", "Cost", "Charge", "Asset", "Balance", "Quota-Remaining")


async def test_a_page_may_send_what_the_sdks_send_and_read_what_the_doors_tell() -> None:
    app, *_ = an_app(origins=["https://app.example.com"])
    asked = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    status, allowed, _ = await ask(app, "OPTIONS", "/echo/a", {**asked, "access-control-request-headers": BROWSERS})
    assert status == 200, allowed
    _, answer, _ = await ask(app, "POST", "/echo/a", {"origin": "https://app.example.com"})
    shown = {name.strip().lower() for name in answer["access-control-expose-headers"].split(",")}
    assert {*READ.split(", "), *(f"x-tollgate-{name.lower()}" for name in TOLD)} <= shown


async def test_requests_are_counted_by_route_and_never_by_path() -> None:
    app, _, _, metrics = an_app()
    await ask(app, "POST", "/echo/secret-name")
    await ask(app, "BREW", "/nowhere/secret-name")
    text = metrics.render()[0].decode()
    assert 'tollgate_http_requests_total{method="POST",route="/echo/{word}",status="200"} 1.0' in text
    assert 'tollgate_http_requests_total{method="other",route="none",status="404"} 1.0' in text
    assert "secret-name" not in text


@pytest.mark.parametrize("origins", [[], ["https://app.example.com"]])
async def test_a_direct_door_gets_all_of_the_transport_but_the_bound_of_the_body(origins: list[str]) -> None:
    app, _, _, metrics = an_app(origins=origins)
    asked = {"x-request-id": "mine", "origin": "https://app.example.com", "content-length": "101"}
    status, headers, body = await ask(app, "POST", "/direct", asked)
    assert (status, headers["x-request-id"], body) == (200, "mine", "mine")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get("access-control-allow-origin") == (origins[0] if origins else None)
    assert (await ask(app, "POST", "/direct/more"))[0] == 404
    assert (
        'tollgate_http_requests_total{method="POST",route="/direct",status="200"} 1.0' in metrics.render()[0].decode()
    )


async def test_readiness_follows_start_checks_and_drain_while_life_goes_on() -> None:
    working = True

    async def store() -> None:
        if not working:
            raise ConnectionError("postgresql://user:password@host")

    async def hangs() -> None:
        if not working:
            await asyncio.Event().wait()

    app, drain, health, _ = an_app(checks={"storage": store, "limits": hangs})
    assert (await ask(app, "GET", "/readyz"))[0] == 503
    health.started()
    assert (await ask(app, "GET", "/readyz"))[0] == (await ask(app, "GET", "/ready"))[0] == 200
    working = False
    status, headers, body = await ask(app, "GET", "/readyz?verbose")
    assert (status, headers["cache-control"], headers["retry-after"]) == (503, "no-store", "1")
    assert '"storage":"fail"' in body
    assert '"limits":"fail"' in body
    assert "password" not in body
    working = True
    drain.begin()
    assert (await ask(app, "GET", "/readyz"))[0] == 503
    assert (await ask(app, "GET", "/livez"))[0] == (await ask(app, "GET", "/health"))[0] == 200


async def test_metrics_are_served_with_what_was_counted() -> None:
    app, _, _, metrics = an_app()
    metrics.auth_failed("expired")
    metrics.unknown_tier("gold")
    metrics.limit_skipped()
    metrics.provider_request("openai", "429", 0.5)
    metrics.tokens("openai", "gpt-4o", 5, 7)
    status, headers, body = await ask(app, "GET", "/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    for line in (
        'tollgate_auth_failures_total{reason="expired"} 1.0',
        "tollgate_unknown_tiers_total 1.0",
        "tollgate_limits_skipped_total 1.0",
        'tollgate_provider_requests_total{outcome="429",provider="openai"} 1.0',
        'tollgate_tokens_total{direction="output",model="gpt-4o",provider="openai"} 7.0',
        "process_resident_memory_bytes",
    ):
        assert line in body
    assert "gold" not in body


async def test_metrics_behind_a_token_are_for_who_shows_it() -> None:
    metrics = Metrics()
    app = Starlette(routes=[metrics_route(metrics, SecretStr("scrape-\u00fc-0123456789"))])
    cases: tuple[tuple[Headers, int], ...] = (
        ({}, 401),
        ({"authorization": "Bearer scrape"}, 401),
        ({"authorization": "Basic scrape-\u00fc-0123456789"}, 401),
        ({"authorization": "scrape-\u00fc-0123456789"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "bearer scrape-\u00fc-0123456789"}, 200),
    )
    for shown, status in cases:
        found, headers, body = await ask(app, "GET", "/metrics", shown)
        assert (found, "process_resident_memory_bytes" in body) == (status, status == 200), shown
        assert headers["cache-control"] == "no-store"
        assert headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_labels_that_others_fill_stay_in_bounds() -> None:
    metrics = Metrics()
    for n in range(1000):
        metrics.tokens("openai", f"model-{n}", 1, 0)
    metrics.tokens("openai", "not a word {", 1, 0)
    assert metrics.render()[0].count(b'direction="input"') < 600
    assert b"not a word" not in metrics.render()[0]


async def test_waiting_for_idle_ends_with_the_last_call_or_the_deadline() -> None:
    drain = Drain()
    assert await drain.wait(0)
    drain.enter()
    assert not await drain.wait(0.01)
    waiting = asyncio.create_task(drain.wait(30))
    await asyncio.sleep(0)
    drain.leave()
    assert await waiting


async def failed_start(problem: Exception) -> list[Message]:
    """What the server hears of a start that raises."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise problem
        yield

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    clean = Redactor(["canary-of-the-start"]).text
    app = Leaving(Starlette(lifespan=lifespan), Drain(), notice_seconds=0, drain_seconds=0, clean=clean)
    with pytest.raises(type(problem)):
        await app({"type": "lifespan", "app": app}, receive, send)
    return sent


async def test_a_start_that_the_operator_can_correct_fails_with_one_line() -> None:
    line = "config.toml: storage.url: cannot be opened; check it"
    sent = await failed_start(ConfigError("config.toml", "storage.url", "cannot be opened; check it"))
    assert sent == [{"type": "lifespan.startup.failed", "message": line}]


async def test_a_start_that_fails_by_a_mistake_of_ours_tells_where_but_no_secret() -> None:
    [sent] = await failed_start(RuntimeError("no way to canary-of-the-start"))
    assert "RuntimeError" in sent["message"]
    assert "canary-of-the-start" not in sent["message"]
