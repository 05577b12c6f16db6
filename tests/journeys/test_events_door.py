"""`POST /v1/events/ingest` over a socket: every shape it takes, every status it answers."""

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.server import Server, token
from tests.journeys.world import Client, usage_rows

PATH = "/v1/events/ingest"
STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json"


def event(id: str, **more: Any) -> dict[str, Any]:  # noqa: A002  # as on the wire
    return {
        "event_id": id,
        "user_id": "teller",
        "event_type": "TOKEN_USAGE",
        "provider": "OPENAI",
        "model": "fake",
        "input_tokens": 10,
        "output_tokens": 5,
        **more,
    }


def cloudevent(id: str, **more: Any) -> dict[str, Any]:  # noqa: A002  # as on the wire
    data = {name: said for name, said in event(id).items() if name not in {"event_id", "event_type", "user_id"}}
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/sensors/eu",
        "type": "com.example.token_usage",
        "subject": "teller",
        "time": datetime.now(UTC).isoformat(),
        "data": data,
        **more,
    }


class Teller:
    """A service that posts events."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, service: str) -> None:
        self.server = server
        self.http = http
        self.service = service

    async def post(
        self, body: object, kind: str = "application/json", *, shown: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        bearer = self.service if shown is None else shown
        said = {"content-type": kind, **({"authorization": f"Bearer {bearer}"} if bearer else {}), **headers}
        async with self.http.post(self.server.url + PATH, data=data, headers=said) as reply:
            return reply.status, await reply.json(), {name.lower(): value for name, value in reply.headers.items()}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def teller(server: Server, http: aiohttp.ClientSession) -> AsyncIterator[Teller]:
    admin = Client(server, http, token(server, "boss", "tester", role="admin"))
    await admin.result("updateUserSubscription", {"userId": "teller", "tier": "tester"})
    yield Teller(server, http, token(server, "backend", "tester", role="service"))


async def test_openmonetizes_shapes_are_taken_one_by_one_and_in_batches(teller: Teller) -> None:
    status, answer, headers = await teller.post({"events": [event("om-1"), event("om-2"), {"nonsense": 1}]})
    assert (status, answer["accepted"], answer["rejected"], answer["duplicates"]) == (202, 2, 1, 0)
    assert headers["content-type"] == "application/json"
    assert (await teller.post(event("om-3")))[:1] == (202,)
    status, answer, _ = await teller.post([event("om-3"), event("om-4")])
    assert (status, answer["accepted"], answer["duplicates"]) == (202, 1, 1)
    status, answer, _ = await teller.post({"events": [event("om-1"), event("om-4")]})
    assert (status, answer["status"], answer["duplicates"]) == (200, "all_duplicates", 2)
    for number in range(1, 5):
        assert len(usage_rows(teller.server, f"om-{number}")) == 1


async def test_a_cloudevent_is_one_event_in_whichever_of_the_three_modes_it_comes(teller: Teller) -> None:
    assert (await teller.post(cloudevent("ce-1"), STRUCTURED))[0] == 202
    assert (await teller.post([cloudevent("ce-1"), cloudevent("ce-2")], BATCH))[1]["duplicates"] == 1
    one = cloudevent("ce-2")
    attributes = {f"ce-{name}": said for name, said in one.items() if name != "data"}
    status, answer, _ = await teller.post(one["data"], **attributes)
    assert (status, answer["results"]) == (200, [{"event_id": "ce-2", "status": "duplicate"}])
    status, answer, _ = await teller.post(one["data"], **{**attributes, "ce-id": "ce%2D3"})
    assert (status, answer["results"]) == (202, [{"event_id": "ce-3", "status": "accepted"}])
    row = usage_rows(teller.server, "ce-3")[0]
    assert (row["source"], row["user_id"], row["kind"], row["door"]) == ("/sensors/eu", "teller", "TOKEN_USAGE", "rest")
    status, answer, _ = await teller.post(cloudevent("ce-3"), STRUCTURED, **{**attributes, "ce-id": "ce-3"})
    assert (status, answer["results"]) == (200, [{"event_id": "ce-3", "status": "duplicate"}])
    status, answer, _ = await teller.post([cloudevent("ce-4"), cloudevent("ce-5", specversion="0.1")], BATCH)
    assert (status, [one["status"] for one in answer["results"]]) == (202, ["accepted", "rejected"])


async def test_a_binary_cloudevent_may_come_without_a_type_of_its_data_as_official_clients_send_it(
    teller: Teller,
) -> None:
    one = cloudevent("ce-bare")
    attributes = {f"ce-{name}": said for name, said in one.items() if name != "data"}
    for more, wanted in ((attributes, 202), ({}, 415)):
        said = {"authorization": f"Bearer {teller.service}", **more}
        async with teller.http.post(
            teller.server.url + PATH,
            data=json.dumps(one["data"]).encode(),
            headers=said,
            skip_auto_headers=["content-type"],
        ) as reply:
            assert (reply.status, "content-type" in reply.request_info.headers) == (wanted, False)
    assert len(usage_rows(teller.server, "ce-bare")) == 1


UNREADABLE = [
    b"", b"nonsense", b"[]", b'{"events": []}', b'{"events": [NaN]}', b'{"events": [{"event_id": 99999999999999999999999}]}',
    b'{"events": [{"event_id": "a", "event_id": "b"}]}', b"\xff\xfe", b'{"events":' + b"[" * 200 + b"]" * 200 + b"}",
    json.dumps({"events": [{"event_id": str(n)} for n in range(1001)]}).encode(),
    json.dumps([{"event_id": str(n)} for n in range(1001)]).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:40]))
async def test_a_body_that_cannot_be_read_is_a_400_that_says_why(teller: Teller, body: bytes) -> None:
    status, answer, _ = await teller.post(body)
    assert status == 400
    assert answer["error"]
    assert answer["message"]
    assert answer["request_id"]


async def test_an_ambiguous_element_of_an_array_fails_alone(teller: Teller) -> None:
    body = b"[" + json.dumps(event("amb-1")).encode() + b', {"event_id": "amb-2", "event_id": "amb-3"}]'
    status, answer, _ = await teller.post(body)
    assert (status, [one["status"] for one in answer["results"]]) == (202, ["accepted", "rejected"])


async def test_an_element_with_half_a_character_or_a_number_that_is_none_fails_alone_in_either_shape(
    teller: Teller,
) -> None:
    half = json.dumps(event("half-2", metadata={"title": "cut \ud83d"}))
    none = json.dumps(event("half-3", input_tokens=float("nan")))
    for number, around in enumerate((b"[%b]", b'{"events": [%b]}')):
        sound = json.dumps(event(f"half-{number}"))
        status, answer, _ = await teller.post(around % f"{half},{sound},{none}".encode())
        assert (status, [one["status"] for one in answer["results"]]) == (202, ["rejected", "accepted", "rejected"])
        assert "half of a character" in answer["results"][0]["detail"]
    assert usage_rows(teller.server, "half-2") + usage_rows(teller.server, "half-3") == []


async def test_each_refusal_has_its_own_status_and_tells_nothing_of_our_insides(teller: Teller) -> None:
    body = event("refused-1")
    member = token(teller.server, "somebody", "tester")
    status, answer, headers = await teller.post(body, shown="")
    assert (status, answer["error"], "www-authenticate" in headers) == (401, "credential_required", True)
    assert (await teller.post(body, shown="x.y.z"))[0] == 401
    status, answer, _ = await teller.post(body, shown=member)
    assert (status, answer["error"], answer["details"]) == (403, "scope_required", {"scope": "events:write"})
    assert (await teller.post(body, **{"x-api-key": "tg_live_nothing"}, shown=""))[0] == 401
    assert (await teller.post(body, "text/plain"))[0] == 415
    large = io.BytesIO(b"x" * (4_194_304 + 1))
    async with teller.http.post(
        teller.server.url + PATH, data=large, headers={"content-type": "application/json"}
    ) as reply:
        assert (reply.status, (await reply.json())["error"]) == (413, "body_too_large")
    async with teller.http.get(teller.server.url + PATH) as reply:
        assert reply.status == 405
    assert usage_rows(teller.server, "refused-1") == []


async def test_events_are_seen_beside_calls_in_the_users_history(teller: Teller) -> None:
    await teller.post(event("seen-1", feature_id="search"))
    client = Client(teller.server, teller.http, token(teller.server, "teller", "tester"))
    rows = (await client.result("getUsageHistory", {"limit": 500}))["history"]
    found = next(row for row in rows if row["requestId"] == "seen-1")
    assert (found["inputTokens"], found["outputTokens"], found["costExact"]) == (10, 5, "0.00002")
