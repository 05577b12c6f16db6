"""Prompts that the server keeps: used, changed without a restart, never shown."""

import os

import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.journeys.world import Client, until

HEAD = '+++\nmodel = "fake"\nprovider = "anthropic"\n[variables]\nlanguage = "Python"\n+++\n'
SECRET = "You review code in the secret way of the house"


def write(client: Client, name: str, text: str) -> None:
    """As an operator should: beside, then renamed over."""
    folder = client.server.folder / "prompts"
    draft = folder / f"{name}.draft"
    draft.write_text(text)
    os.replace(draft, folder / f"{name}.md")  # noqa: PTH105  # the one call that replaces at once


async def test_a_prompt_is_filled_and_never_returned(client: Client, fake: FakeProvider) -> None:
    write(
        client,
        "review",
        f"{HEAD}{SECRET}: {{{{ language }}}} for {{{{ team }}}}.",
    )
    params = {"content": "x = 1", "promptId": "review", "promptContext": {"team": "{{ language }} crew"}}

    async def is_known() -> bool:
        return "result" in await client.call("executeAIRequest", params)

    await until(is_known)
    reply = await client.call("executeAIRequest", params)
    assert reply["result"]["provider"] == "anthropic"
    assert f"{SECRET}: Python for {{{{ language }}}} crew." in fake.seen[-1].body.decode()
    assert SECRET not in str(reply)
    messages = await client.stream(params)
    assert "result" in messages[-1]
    assert SECRET not in str(messages)
    error = await client.error("executeAIRequest", {"content": "x", "promptId": "review"})
    assert error["code"] == -32602
    assert "team" in str(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    "script",
    [
        *(Script(status=status, message=f"cannot do: {SECRET}") for status in (400, 404, 429, 500, 504)),
        Script(error_after=2, message=f"stopped at: {SECRET}"),
    ],
    ids=lambda script: str(script.error_after or script.status),
)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_provider_that_repeats_the_prompt_is_not_repeated(
    client: Client, fake: FakeProvider, provider: str, script: Script
) -> None:
    write(client, "repeated", SECRET)
    params = {"content": "x", "promptId": "repeated", "options": {"provider": provider, "model": "fake"}}

    async def is_known() -> bool:
        return "result" in await client.call("executeAIRequest", params)

    await until(is_known)
    fake.script = script
    said = [await client.stream(params)]
    if script.error_after is None:
        said.append([await client.call("executeAIRequest", params)])
    assert all("error" in messages[-1] for messages in said)
    assert SECRET not in str(said)


async def test_a_changed_prompt_is_used_without_a_restart(client: Client, fake: FakeProvider) -> None:
    write(client, "changing", "first words")
    params = {"content": "x", "promptId": "changing"}

    async def is_used() -> bool:
        fake.seen.clear()
        await client.call("executeAIRequest", params)
        return bool(fake.seen) and text in fake.seen[-1].body.decode()

    for text in ("first words", "second words"):
        write(client, "changing", text)
        await until(is_used)


async def test_no_id_reaches_another_file(client: Client, fake: FakeProvider) -> None:
    (client.server.folder / "outside.md").write_text(SECRET)
    for name in (
        "../outside",
        "..",
        ".",
        "a/b",
        "review.md\x00",
        "/etc/passwd",
        "outside",
        "%2e%2e/outside",
        "",
        "x" * 65,
    ):
        error = await client.error("executeAIRequest", {"content": "x", "promptId": name})
        assert error["code"] in (-32602, -32011)
        assert str(client.server.folder) not in str(error)
    assert fake.seen == []
