"""Providers that fail in every way, seen through the whole product."""

from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import TEXT
from tests.journeys.world import Client, sequence_of, text_of, usage_rows

VENDORS = ("openai", "anthropic", "google")


def asking(provider: str = "openai", model: str = "fake", **more: object) -> dict[str, Any]:
    return {"content": "Hi", "options": {"provider": provider, "model": model}, **more}


@pytest.mark.parametrize("provider", VENDORS)
async def test_too_many_requests_are_repeated_once_and_then_told(
    client: Client, fake: FakeProvider, provider: str
) -> None:
    limited = Script(status=429, headers={"retry-after": "0"})
    fake.scripts.append(limited)
    assert (await client.result("executeAIRequest", asking(provider)))["content"] == TEXT
    assert len(fake.seen) == 2
    fake.scripts.extend([limited, Script(status=429, headers={"retry-after": "33"})])
    error = await client.error("executeAIRequest", asking(provider))
    assert (error["code"], error["data"]["retryAfter"]) == (-32006, 33)
    assert error["data"]["provider"] == provider


async def test_a_fallback_serves_and_says_so(client: Client, fake: FakeProvider) -> None:
    fake.scripts.extend([Script(status=500), Script(status=500)])
    result = await client.result("executeAIRequest", asking(model="fake-other"))
    assert (result["provider"], result["model"], result["content"]) == ("anthropic", "fake", TEXT)
    [row] = usage_rows(client.server, result["requestId"])
    assert (row["provider"], row["model"]) == ("anthropic", "fake")
    fake.scripts.extend([Script(status=500), Script(status=500)])
    messages = await client.stream(asking(model="fake-other"))
    assert messages[0]["params"]["value"]["provider"] == "anthropic"
    assert messages[-1]["result"]["provider"] == "anthropic"


async def test_an_address_where_nobody_listens_is_a_provider_failure(client: Client) -> None:
    error = await client.error("executeAIRequest", asking("dead"))
    assert error["code"] == -32006
    assert "127.0.0.1" not in str(error)


FAULTY = {
    "garbage": (Script(body=b"\x00\xff this is no reply {"), -32006),
    "html": (Script(body=b"<html>Bad gateway</html>", content_type="text/html"), -32006),
    "empty": (Script(body=b""), -32006),
    "null": (Script(body=b"null"), -32006),
    "list": (Script(body=b"[]"), -32006),
    "redirect": (Script(status=302, headers={"location": "/elsewhere"}), -32006),
    "cut": (Script(cut_after=0), -32006),
    "no-status": (Script(cut_before_status=True), -32006),
    "created": (Script(status=201, body=b"{}"), -32006),
    "401": (Script(status=401, message="no such key operator-openai"), -32006),
    "400": (Script(status=400, message="max_tokens is wrong"), -32602),
    "500": (Script(status=500, message="boom"), -32006),
}


@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.parametrize("provider", VENDORS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_every_kind_of_nonsense_has_its_code(
    client: Client, fake: FakeProvider, name: str, provider: str, *, is_stream: bool
) -> None:
    script, code = FAULTY[name]
    fake.script = script
    if is_stream:
        [reply] = await client.stream(asking(provider))
        error = reply["error"]
    else:
        error = await client.error("executeAIRequest", asking(provider))
    assert error["code"] == code, error
    assert "operator-" not in str(error)
    assert {seen.path for seen in fake.seen}.isdisjoint({"/elsewhere"})


OWN = "own-key-of-mine"
WHOSE = [
    (500, None, "failed"), (500, OWN, "failed"), (503, OWN, "failed"), (504, OWN, "failed"),
    (400, None, "refused"), (400, OWN, "refused"), (401, None, "failed"), (401, OWN, "refused"), (402, OWN, "refused"),
    (429, None, "failed"), (429, OWN, "refused"), (404, None, "failed"), (404, OWN, "refused"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "own", "outcome"), WHOSE)
async def test_a_row_says_whether_a_provider_failed_or_refused_who_asked(
    client: Client, fake: FakeProvider, status: int, own: str | None, outcome: str
) -> None:
    """Alarms count what failed, whoever's key it was, and never what a caller alone can mend."""
    fake.script = Script(status=status, message="no", headers={"retry-after": "0"})
    error = await client.error("executeAIRequest", asking(**({} if own is None else {"apiKey": own})))
    [row] = usage_rows(client.server, error["data"]["requestId"])
    assert (row["outcome"], row["caller_kind"]) == (outcome, "subscription" if own is None else "byok")


@pytest.mark.parametrize("provider", VENDORS)
@pytest.mark.parametrize(
    "script",
    [Script(cut_after=5), Script(error_after=5, message="overloaded"), Script(hangs_after=5)],
    ids=["cut", "error", "hang"],
)
async def test_a_failure_after_the_start_is_told_as_partial_and_written_down(
    client: Client, fake: FakeProvider, provider: str, script: Script
) -> None:
    fake.script = script
    *progress, final = await client.stream(asking(provider))
    assert sequence_of(progress) == list(range(len(progress)))
    assert TEXT.startswith(text_of(progress))
    assert text_of(progress)
    assert final["id"] == "s"
    assert final["error"]["code"] in (-32006, -32007)
    assert final["error"]["data"]["partial"] is True
    [row] = usage_rows(client.server, final["error"]["data"]["requestId"])
    assert (row["outcome"], row["is_partial"]) == ("partial", 1)


async def test_a_slow_first_byte_is_waited_for_and_a_missing_one_is_not(client: Client, fake: FakeProvider) -> None:
    assert (await client.stream(asking(model="fake-slow")))[-1]["result"]["content"] == TEXT
    [reply] = await client.stream(asking(model="fake-silent"))
    assert reply["error"]["code"] == -32007


@pytest.mark.parametrize("provider", VENDORS)
async def test_words_of_a_provider_are_cleaned_of_keys(client: Client, fake: FakeProvider, provider: str) -> None:
    own = "sk-own-0123456789abcdef"
    fake.script = Script(status=400, message=f"the key {own} or operator-{provider} is odd\nsecond line \x1b[31m")
    error = await client.error("executeAIRequest", asking(provider, apiKey=own))
    assert own not in str(error)
    assert "operator-" not in str(error)
    error = await client.error("executeAIRequest", asking(provider))
    assert "operator-" not in str(error)
