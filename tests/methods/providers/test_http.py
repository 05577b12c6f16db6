"""An HTTP provider against a fake vendor on loopback, with the real dialects."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any

import aiohttp
import pytest
from yarl import URL

from methods.dialects.canonical import ChatReply, Finished, Passed, StreamEvent, TextDelta, UsageSeen
from methods.errors import InvalidParams, ProviderFailed, ProviderTimedOut, Unauthenticated, UnknownModel
from methods.providers.base import Provider
from methods.providers.http import Timeouts
from methods.providers.session import open_session
from monetization.callers import Secret
from monetization.errors import PaymentRequired
from storage.errors import Fault
from tests.fakes import wires
from tests.fakes.pace import within
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.methods.providers.conftest import KINDS, OPERATOR_KEY, Make, ask_for


async def events_of(provider: Provider, model: str = "fake-model") -> list[StreamEvent]:
    events: list[StreamEvent] = []
    async with provider.stream(ask_for(model)) as batches:
        async for batch in batches:
            events.extend([event for event in batch if not isinstance(event, Passed)])
    return events


def text_of(events: list[StreamEvent]) -> str:
    return "".join([event.text for event in events if isinstance(event, TextDelta)])


async def fault_of_complete(provider: Provider, model: str = "fake-model", own_key: Secret | None = None) -> Fault:
    with pytest.raises(Fault) as caught:
        await provider.complete(ask_for(model, own_key=own_key))
    return caught.value


async def fault_of_stream(provider: Provider, model: str = "fake-model") -> tuple[list[StreamEvent], Fault]:
    events: list[StreamEvent] = []

    async def read() -> None:
        async with provider.stream(ask_for(model)) as batches:
            async for batch in batches:
                events.extend([event for event in batch if not isinstance(event, Passed)])

    with pytest.raises(Fault) as caught:
        await read()
    return events, caught.value


@pytest.mark.parametrize("kind", KINDS)
async def test_every_vendor_answers_whole(fake: FakeProvider, make: Make, kind: str) -> None:
    reply = await make(kind).complete(ask_for(traceparent="00-abc-def-01"))

    assert (reply.text, reply.finish_reason) == (wires.TEXT, "stop")
    assert reply.usage is not None
    assert (reply.usage.tokens_input, reply.usage.tokens_output) == (wires.TOKENS_IN, wires.TOKENS_OUT)
    seen = fake.seen[0]
    assert (seen.headers["x-request-id"], seen.headers["traceparent"]) == ("req-1", "00-abc-def-01")
    assert OPERATOR_KEY in str(seen.headers)
    assert OPERATOR_KEY not in seen.path
    assert "cookie" not in seen.headers


@pytest.mark.parametrize("model", ["fake-model", "fake-split"])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_vendor_streams_also_when_characters_are_split(make: Make, kind: str, model: str) -> None:
    events = await events_of(make(kind), model)

    assert text_of(events) == wires.TEXT
    assert [event.finish_reason for event in events if isinstance(event, Finished)] == ["stop"]
    usage = [event.usage for event in events if isinstance(event, UsageSeen)][-1]
    assert (usage.tokens_input, usage.tokens_output) == (wires.TOKENS_IN, wires.TOKENS_OUT)


async def test_a_compatible_vendor_below_a_path_works_by_configuration_alone(fake: FakeProvider, make: Make) -> None:
    provider = make(base_url=f"{fake.url}/api/inference/v1/")

    assert isinstance(await provider.complete(ask_for()), ChatReply)
    assert fake.seen[0].path == "/api/inference/v1/chat/completions"


@pytest.mark.parametrize(
    ("status", "fault", "reason"),
    [
        (400, InvalidParams, "provider_rejected"),
        (422, InvalidParams, "provider_rejected"),
        (401, ProviderFailed, "provider_auth"),
        (403, ProviderFailed, "provider_forbidden"),
        (402, ProviderFailed, "provider_billing"),
        (404, UnknownModel, "unknown_model"),
        (408, ProviderTimedOut, "provider_timeout"),
        (504, ProviderTimedOut, "provider_timeout"),
        (429, ProviderFailed, "provider_rate_limited"),
        (500, ProviderFailed, "provider_unavailable"),
        (529, ProviderFailed, "provider_unavailable"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_status_becomes_its_fault_whole_and_streamed(
    fake: FakeProvider, make: Make, kind: str, status: int, fault: type[Fault], reason: str
) -> None:
    fake.script = Script(status=status, headers={"retry-after": "7"}, message=f"no, {OPERATOR_KEY} api_key=hunter22")
    whole = await fault_of_complete(make(kind))
    events, streamed = await fault_of_stream(make(kind))

    assert events == []
    for caught in (whole, streamed):
        assert (type(caught), caught.slug) == (fault, reason)
        assert caught.data["provider"] == f"my-{kind}"
        assert "hunter22" not in f"{caught} {caught.data}"
        assert "operator-0123" not in f"{caught} {caught.data}"
    assert whole.retry_after_seconds == (7 if status in (429, 500, 529) else None)


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "Your credit balance is too low to access the API. Please go to Plans & Billing.", "provider_billing"),
        (429, "Your prepayment credits are depleted. Please manage your project and billing.", "provider_billing"),
        (400, "API key not valid. Please pass a valid API key.", "provider_auth"),
        (400, "tools.0.name: 'your credit balance is too low' is no name", "provider_rejected"),
        (400, "Invalid value at contents[0].role: 'API key not valid'", "provider_rejected"),
    ],
)
async def test_the_operators_bill_and_key_are_nobodys_business_and_no_client_can_say_so(
    fake: FakeProvider, make: Make, status: int, message: str, reason: str
) -> None:
    fake.script = Script(status=status, message=message)
    for kind in ("anthropic", "google"):
        fault = await fault_of_complete(make(kind))
        assert fault.slug == reason
        assert (message in str(fault)) == (reason == "provider_rejected")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_own_key_is_the_callers_matter_and_goes_nowhere_else(
    fake: FakeProvider, make: Make, kind: str
) -> None:
    fault = await fault_of_complete(make(kind), own_key=Secret("own-bad-key"))

    assert (type(fault), fault.slug) == (Unauthenticated, "own_key_refused")
    assert "bad-key" not in f"{fault} {fault.data}"
    assert OPERATOR_KEY not in str(fake.seen[0].headers)


async def test_an_own_account_without_money_is_its_owners_to_pay(fake: FakeProvider, make: Make) -> None:
    fake.script = Script(status=402)
    fault = await fault_of_complete(make(), own_key=Secret("sk-my-own-key"))

    assert (type(fault), fault.slug, fault.data["provider"]) == (PaymentRequired, "own_account_unpaid", "my-openai")


async def test_without_any_key_nothing_is_sent(fake: FakeProvider, make: Make) -> None:
    fault = await fault_of_complete(make(key=None))

    assert (type(fault), fault.slug, fake.seen) == (Unauthenticated, "own_key_required", [])
    assert make(key=None).has_operator_key() is False
    assert isinstance(await make(key=None, needs_key=False).complete(ask_for()), ChatReply)
    assert "authorization" not in fake.seen[0].headers


@pytest.mark.parametrize(
    "more", [{"key": None, "needs_key": False}, {"headers": {"Api-Key": "operator"}}, {"headers": {"X-API-Key": "o"}}]
)
async def test_a_vendor_that_lets_everybody_in_takes_no_own_key_because_any_word_would_be_one(
    fake: FakeProvider, make: Make, more: dict[str, Any]
) -> None:
    fault = await fault_of_complete(make(**more), own_key=Secret("anything"))

    assert (type(fault), fault.slug, fake.seen) == (InvalidParams, "own_key_unread", [])
    assert isinstance(await make(**more).complete(ask_for()), ChatReply)


async def test_a_redirect_is_never_followed(fake: FakeProvider, make: Make) -> None:
    fault = await fault_of_complete(make(), "fake-redirect")

    assert fault.slug == "provider_redirected"
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(body=b"\x00\xff{"), "provider_malformed"),
        (Script(body=b"[1]"), "provider_malformed"),
        (Script(body=b"{}", content_type="text/html"), "provider_malformed"),
        (Script(cut_after=1), "provider_cut"),
        (Script(cut_before_status=True), "provider_disconnected"),
        (Script(body=b'"' + b"x" * 5000 + b'"'), "provider_reply_too_large"),
    ],
)
async def test_a_bad_whole_reply_is_a_failure(fake: FakeProvider, make: Make, script: Script, reason: str) -> None:
    fake.script = script

    assert (await fault_of_complete(make(reply_bytes_max=4096))).slug == reason


SLOW: Mapping[str, bytes] = {
    "openai": b'{"error":{"message":"slow down","code":429}}',
    "anthropic": b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
    "google": b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}',
}


@pytest.mark.parametrize("kind", SLOW)
async def test_an_error_that_comes_with_status_200_is_the_error_that_it_says(
    fake: FakeProvider, make: Make, kind: str
) -> None:
    fake.script = Script(body=SLOW[kind], content_type="application/json")

    for fault in (await fault_of_complete(make(kind)), (await fault_of_stream(make(kind)))[1]):
        assert (fault.slug, "slow down" in str(fault)) == ("provider_rate_limited", True)


@pytest.mark.parametrize(
    ("script", "reason", "has_text"),
    [
        (Script(cut_after=4), "provider_cut", True),
        (Script(error_after=4, gap=0.01), "provider_unavailable", True),
        (Script(error_after=4), "provider_unavailable", True),
        (Script(error_after=0), "provider_unavailable", False),
        (Script(body=b"\x00\xff nothing of sense\n\n"), None, False),
        (Script(content_type="application/json"), "provider_malformed", False),
        (Script(hangs_after=4), "provider_stalled", True),
        (Script(is_endless=True), "provider_reply_too_large", True),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_bad_stream_gives_what_came_and_then_fails(
    fake: FakeProvider, make: Make, kind: str, script: Script, reason: str | None, *, has_text: bool
) -> None:
    fake.script = script
    provider = make(kind, timeouts=Timeouts(1, 0.2, 5), stream_bytes_max=50_000)
    events, fault = await fault_of_stream(provider)

    assert isinstance(fault, ProviderFailed | ProviderTimedOut)
    assert reason in (None, fault.slug)
    if not has_text:
        assert text_of(events) == ""
    assert "scripted failure" not in text_of(events)


@pytest.mark.parametrize(
    ("script", "timeouts", "reason"),
    [
        (Script(never_answers=True), Timeouts(1, 0.05, 5), "provider_first_byte_timeout"),
        (Script(hangs_after=0), Timeouts(1, 0.05, 5), "provider_stalled"),
        (Script(is_endless=True, gap=0.01), Timeouts(1, 1, 0.1), "provider_timeout"),
    ],
)
async def test_a_slow_stream_times_out(
    fake: FakeProvider, make: Make, script: Script, timeouts: Timeouts, reason: str
) -> None:
    fake.script = script

    assert (await fault_of_stream(make(timeouts=timeouts)))[1].slug == reason


async def test_a_slow_whole_answer_is_bounded_by_the_total_alone(fake: FakeProvider, make: Make) -> None:
    fake.script = Script(delay=0.05)
    assert isinstance(await make(timeouts=Timeouts(1, 0.01, 5)).complete(ask_for()), ChatReply)

    fake.script = Script(never_answers=True)
    fault = await fault_of_complete(make(timeouts=Timeouts(1, 1, 0.05)))
    assert (type(fault), fault.slug) == (ProviderTimedOut, "provider_timeout")


async def test_a_closed_port_is_unreachable(make: Make) -> None:
    async with FakeProvider() as gone:
        url = gone.url

    assert (await fault_of_complete(make(base_url=f"{url}/v1"))).slug == "provider_unreachable"


@pytest.mark.parametrize("model", ["../../admin", "a/../../b", "%2e%2e/%2e%2e", "x?y=1#z", "//evil.example/"])
async def test_a_models_name_cannot_move_the_address(fake: FakeProvider, make: Make, model: str) -> None:
    provider = make("google", base_url=f"{fake.url}/base")
    with contextlib.suppress(Fault):
        await provider.complete(ask_for(model))

    assert all(URL(seen.path).path.startswith("/base/v1") and "?y" not in seen.path for seen in fake.seen)


@pytest.mark.parametrize("path", ["/../admin", "/a/../../admin", "/%2e%2e/admin", "@evil.example/", ".evil.example/"])
def test_even_a_dialect_that_quotes_nothing_cannot_move_the_address(path: str, make: Make) -> None:
    provider = make(base_url="https://vendor.example/base" if path.startswith("/") else "https://vendor.example")
    with pytest.raises(InvalidParams):
        provider._url(path)


async def seconds_to_close(fake: FakeProvider, call: Coroutine[Any, Any, object]) -> float:
    """How long the upstream stays open after the call that has reached it is cancelled."""
    fake.arrived.clear()
    task = asyncio.create_task(call)
    async with asyncio.timeout(30):
        await fake.arrived.wait()
        began = asyncio.get_running_loop().time()
        task.cancel()
        await fake.seen[-1].closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await task
    return fake.seen[-1].closed_at - began


async def test_cancelling_a_whole_call_closes_the_upstream_within_100_ms(fake: FakeProvider, make: Make) -> None:
    fake.script = Script(never_answers=True)
    await within(0.1, lambda: seconds_to_close(fake, make().complete(ask_for())))


@pytest.mark.parametrize("kind", KINDS)
async def test_leaving_a_stream_closes_the_upstream_within_100_ms(fake: FakeProvider, make: Make, kind: str) -> None:
    fake.script = Script(is_endless=True, gap=0.002)

    async def leaving() -> float:
        async with asyncio.timeout(30):
            async with make(kind).stream(ask_for()) as batches:
                await anext(batches)
                began = asyncio.get_running_loop().time()
            await fake.seen[-1].closed.wait()
        assert not fake.seen[-1].is_answered
        return fake.seen[-1].closed_at - began

    await within(0.1, leaving)


async def test_cancelling_a_reader_closes_the_upstream_within_100_ms(fake: FakeProvider, make: Make) -> None:
    fake.script = Script(hangs_after=2)
    provider = make()
    await within(0.1, lambda: seconds_to_close(fake, events_of(provider)))


async def test_many_aborted_streams_leave_no_socket_and_no_task(
    fake: FakeProvider, make: Make, session: aiohttp.ClientSession
) -> None:
    fake.script = Script(is_endless=True, gap=0.002)
    provider = make()
    before = len(asyncio.all_tasks())

    async def abort_one() -> None:
        async with provider.stream(ask_for()) as batches:
            await anext(batches)

    async with asyncio.timeout(30):
        for _ in range(10):
            await asyncio.gather(*[abort_one() for _ in range(20)])
        await asyncio.gather(*[seen.closed.wait() for seen in fake.seen])
        await asyncio.gather(*[task for task in asyncio.all_tasks() if task.get_name().startswith("fake-")])

    assert len(fake.seen) == 200
    assert len(asyncio.all_tasks()) == before
    assert fake.connections == set()
    assert session.connector is not None
    assert not session.connector._acquired
    assert not any(session.connector._conns.values())


async def test_a_finished_stream_gives_its_connection_back(fake: FakeProvider, make: Make) -> None:
    provider = make()
    for _ in range(5):
        await events_of(provider)
        await provider.complete(ask_for())

    assert len(fake.connections) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_is_checked_by_reading_the_list_of_models(fake: FakeProvider, make: Make, kind: str) -> None:
    provider = make(kind)

    assert await provider.check_key(Secret("good-key")) is True
    assert await provider.check_key(Secret("own-bad-key")) is False
    assert {seen.method for seen in fake.seen} == {"GET"}
    assert all(OPERATOR_KEY not in str(seen.headers) for seen in fake.seen)


async def test_the_session_keeps_no_cookie_and_reads_no_environment() -> None:
    async with open_session(limit_per_host=7) as session:
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert session.trust_env is False
        assert session.connector is not None
        assert (session.connector.limit, session.connector.limit_per_host) == (0, 7)
