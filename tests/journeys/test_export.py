"""The export over real sockets: a whole file, a refusal with its status, and a file that breaks off where it cannot be whole."""

import csv
import io
import json

import aiohttp
import pytest

from tests.fakes.server import Server
from tests.journeys.world import Client


async def exported(http: aiohttp.ClientSession, server: Server, token: str, **query: str) -> tuple[int, str, str]:
    head = {"authorization": f"Bearer {token}"} if token else {}
    async with http.get(f"{server.url}/v1/usage/export", params=query, headers=head) as reply:
        return reply.status, reply.headers["content-type"], await reply.text()


async def test_the_file_holds_the_callers_rows(
    client: Client, http: aiohttp.ClientSession, server: Server, alices: str
) -> None:
    for _ in range(3):
        await client.result("executeAIRequest", {"content": "hello", "options": {"maxTokens": 10}})
    page = await client.result("listUsageEvents", {"limit": 500})
    status, kind, text = await exported(http, server, alices, format="csv")
    assert (status, kind) == (200, "text/csv; charset=utf-8")
    found = list(csv.DictReader(io.StringIO(text)))
    assert [row["eventId"] for row in found] == [event["eventId"] for event in page["events"]]
    status, kind, text = await exported(http, server, alices, format="ndjson")
    assert (status, kind) == (200, "application/x-ndjson")
    assert [json.loads(line) for line in text.splitlines()] == page["events"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"format": "xml"}, 400, "format"),
        ({"everybody": "true"}, 403, "users:read"),
        ({"everybody": "perhaps"}, 400, "everybody"),
        ({"userId": "somebody-else"}, 403, "users:read"),
        ({"startDate": "yesterday"}, 400, "startDate"),
        ({"nonsense": "1"}, 400, "nonsense"),
    ],
)
async def test_a_refusal_is_an_answer_with_a_status_and_no_file(
    http: aiohttp.ClientSession, server: Server, alices: str, query: dict[str, str], status: int, said: str
) -> None:
    found, kind, text = await exported(http, server, alices, **query)
    assert (found, kind) == (status, "application/json")
    assert said in json.loads(text)["message"]
    assert set(json.loads(text)) >= {"error", "message", "request_id"}


async def test_nobody_gets_a_file_without_a_credential(http: aiohttp.ClientSession, server: Server) -> None:
    status, _, text = await exported(http, server, "")
    assert (status, json.loads(text)["error"]) == (401, "credential_required")
    async with http.post(f"{server.url}/v1/usage/export") as reply:
        assert reply.status == 405
