"""What a client calls an image is one, or it is refused: vendors read films and whole books by their type and address."""

from typing import Any

import pytest

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Image, Message, Reasoning, Text, ToolCall, ToolResult
from methods.dialects.gemini import Gemini
from methods.dialects.gemini_parts import render_reply_part
from methods.dialects.tables import dialect_of

BOOK = "data:application/pdf;base64,aGk="
FILM = "data:video/mp4;base64,aGk="
UNNAMED = "data:;base64,aGk="
CLIP = "https://www.youtube.com/watch?v=1"
SHELF = "https://generativelanguage.googleapis.com/v1beta/files/1"


def openai(url: str) -> dict[str, Any]:
    seen = [{"type": "text", "text": "Read it"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": "m", "messages": [{"role": "user", "content": seen}]}


def openai_result(url: str) -> dict[str, Any]:
    called = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    return {"model": "m", "messages": [{"role": "assistant", "tool_calls": [called]}, result]}


def responses(url: str) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}


def responses_result(url: str) -> dict[str, Any]:
    called = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    seen = [{"type": "input_image", "image_url": url}]
    return {"model": "m", "input": [called, {"type": "function_call_output", "call_id": "c", "output": seen}]}


def anthropic(url: str) -> dict[str, Any]:
    source: dict[str, Any] = {"type": "url", "url": url}
    if url.startswith("data:"):
        kind, _, data = url.removeprefix("data:").partition(";base64,")
        source = {"type": "base64", "media_type": kind or "text/plain", "data": data}
    content = [{"type": "image", "source": source}]
    return {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": content}]}


CLIENTS = {
    "openai": (openai, openai_result),
    "responses": (responses, responses_result),
    "anthropic": (anthropic,),
}
BODIES = [(client, body) for client, bodies in CLIENTS.items() for body in bodies]


@pytest.mark.parametrize(("client", "body"), BODIES)
@pytest.mark.parametrize("url", [BOOK, FILM, UNNAMED, "DATA:Audio/MP3;base64,aGk="])
def test_what_is_no_image_by_its_own_type_is_refused_on_every_door_by_its_name(
    client: str, body: Any, url: str
) -> None:
    if client == "anthropic" and url.startswith("DATA:"):
        url = "data:Audio/MP3;base64,aGk="
    with pytest.raises(Untranslatable) as refused:
        dialect_of(client).parse_request(body(url))
    assert "must be an image" in refused.value.why
    assert refused.value.field.startswith(("messages[", "input["))


@pytest.mark.parametrize(("client", "body"), BODIES)
@pytest.mark.parametrize("address", [CLIP, SHELF, "gs://bucket/film", "http://youtu.be/1"])
def test_an_address_that_gemini_reads_as_what_lies_there_is_not_given_to_it_by_another_door(
    client: str, body: Any, address: str
) -> None:
    request = dialect_of(client).parse_request(body(address))
    with pytest.raises(Untranslatable):
        Gemini().render_request(request)


@pytest.mark.parametrize(("client", "body"), BODIES)
@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://example.org/a.PNG?size=1#b", "image/png"),
        ("https://example.org/a.webp", "image/webp"),
        ("https://example.org/a.jpg", "image/jpeg"),
        ("https://example.org/film.mp4", "image/jpeg"),
        ("https://example.org/book.pdf", "image/jpeg"),
        ("https://example.org", "image/jpeg"),
        ("https://[broken/a.png", "image/jpeg"),
    ],
)
def test_any_other_address_reaches_gemini_as_an_image_whatever_lies_there(
    client: str, body: Any, address: str, kind: str
) -> None:
    rendered = Gemini().render_request(dialect_of(client).parse_request(body(address)))
    assert {"fileData": {"mimeType": kind, "fileUri": address}} in parts_of(rendered["contents"])


@pytest.mark.parametrize(("client", "body"), BODIES)
def test_an_images_type_is_taken_in_any_letters(client: str, body: Any) -> None:
    request = dialect_of(client).parse_request(body("data:Image/PNG;base64,aGk="))
    assert {"inlineData": {"mimeType": "image/png", "data": "aGk="}} in parts_of(
        Gemini().render_request(request)["contents"]
    )


def parts_of(contents: Any) -> list[Any]:
    found: list[Any] = []
    for turn in contents:
        for part in turn["parts"]:
            found += [part, *part.get("functionResponse", {}).get("parts", ())]
    return found


def test_an_image_of_a_reply_is_shown_wherever_it_lies() -> None:
    assert render_reply_part(Image(url=CLIP), is_own=False) == {"fileData": {"fileUri": CLIP}}


def test_every_kind_of_part_is_still_put_to_gemini() -> None:
    parts = (Text("Hi"), Reasoning("Hm"), ToolCall("c", "f", "{}"), ToolResult("c", (Text("ok"),), name="f"))
    request = ChatRequest("m", (Message("user", parts),), max_tokens=5)
    assert len(parts_of(Gemini().render_request(request)["contents"])) == 3
