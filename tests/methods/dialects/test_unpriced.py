"""What a vendor would charge, or read, beyond what was held for a call is refused by name, wherever a client hides it."""

from dataclasses import replace
from typing import Any

import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.gemini import Gemini
from methods.dialects.once import AnyOnce
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from methods.dialects.tables import dialect_of, once_of
from tests.methods.dialects.matrix import HI

TEXT: dict[str, Any] = {"type": "text", "text": "Hi"}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PDF: dict[str, Any] = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
}
IMAGE = {"type": "image", "source": PIXEL}
SEEN = {"type": "input_image", "image_url": "https://example.com/a.png"}
FETCHED = {"type": "web_fetch_result", "url": "https://example.com/a.pdf", "content": PDF}
SOUND = {"inlineData": {"mimeType": "audio/mp3", "data": "aGk="}}


def blocks(*content: Any) -> dict[str, Any]:
    return {"max_tokens": 5, "messages": [{"role": "user", "content": list(content)}]}


def parts(*given: Any, **members: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(given)}], **members}


def at(address: str) -> dict[str, Any]:
    return {"fileData": {"mimeType": "image/png", "fileUri": address}}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("fallbacks", [{"model": "claude-dearest"}]),
        ("fallbacks", "default"),
        ("compaction", {"type": "summarize"}),
        ("context_management", {"edits": [{"type": "clear_thinking_20251015"}, {"type": "compact_20260112"}]}),
        ("context_management", {"edits": "compact_20260112"}),
        ("context_management", {"threshold": 1}),
        ("thread", {"type": "continue", "previous_message_id": "msg_of_somebody"}),
        ("billing_policy", {"type": "billing_policy", "bill_to": "user_profile"}),
        ("compaction", {}),
        ("container", {}),
        ("thread", {}),
    ],
)
def test_members_by_which_anthropic_samples_again_elsewhere_or_from_its_memory_are_refused(
    member: str, value: Any
) -> None:
    assert Anthropic().unpriced({**blocks(TEXT), member: value}) == [member]


@pytest.mark.parametrize(
    "members",
    [
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"context_management": {"edits": []}},
        {"context_management": {}},
        {"context_management": None, "fallbacks": None, "compaction": None, "thread": None},
        {"billing_policy": {"type": "billing_policy", "bill_to": "self"}},
    ],
)
def test_members_of_anthropic_that_cost_nothing_more_are_served(members: dict[str, Any]) -> None:
    assert Anthropic().unpriced({**blocks(TEXT), **members}) == []


UNUSED: dict[str, list[str]] = {
    "openai": ["audio", "modalities", "models", "plugins", "prediction", "service_tier", "web_search_options"],
    "responses": ["background", "context_management", "conversation", "previous_response_id", "prompt", "service_tier"],
    "anthropic": [
        "compaction",
        "container",
        "fallbacks",
        "mcp_servers",
        "service_tier",
        "thread",
        "context_management",
    ],
    "gemini": ["cachedContent", "serviceTier", "tools"],
}


@pytest.mark.parametrize("nothing", [None, []])
@pytest.mark.parametrize("client", UNUSED)
def test_members_that_a_client_writes_but_does_not_use_are_served_by_every_vendor(client: str, nothing: Any) -> None:
    dialect = dialect_of(client)
    body: dict[str, Any] = {**HI[client], **dict.fromkeys(UNUSED[client], nothing)}
    assert list(dialect.unpriced(body)) == []
    assert list(dialect.untranslatable(dialect.parse_request(body, model="m"))) == []


def test_an_empty_object_switches_a_vendors_own_tool_on_and_null_does_not() -> None:
    assert OpenAI().unpriced({**HI["openai"], "web_search_options": {}}) == ["web_search_options"]
    assert OpenAI().unpriced({**HI["openai"], "provider": {}}) == []
    tools: dict[str, Any] = {"tools": [{"googleSearch": {}, "codeExecution": None, "urlContext": []}, {}]}
    assert Gemini().unpriced({**HI["gemini"], **tools}) == ["tools[0].googleSearch"]


@pytest.mark.parametrize("client", ["openai", "responses", "anthropic"])
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("enable_search", True),
        ("fallbacks", ["dearest"]),
        ("models", ["dearest"]),
        ("plugins", [{"id": "web"}]),
        ("preset", "dearest"),
        ("provider", {"only": ["dearest"]}),
        ("route", "fallback"),
        ("search_options", {"forced_search": True}),
        ("search_parameters", {"mode": "on"}),
        ("speed", "fast"),
        ("web_search_options", {}),
        ("Plugins", [{"id": "web"}]),
    ],
)
def test_members_by_which_relays_search_or_choose_other_models_are_refused_on_every_door_they_speak(
    client: str, member: str, value: Any
) -> None:
    assert list(dialect_of(client).unpriced({**HI[client], member: value})) == [member]
    unused: dict[str, Any] = {
        "enable_search": False,
        "provider": {},
        "speed": "standard",
        "models": [],
        "plugins": None,
    }
    assert list(dialect_of(client).unpriced({**HI[client], **unused})) == []


@pytest.mark.parametrize(
    "member",
    ["n_predict", "max_new_tokens", "Max_Tokens", "MAX_COMPLETION_TOKENS", "N", "Model", "max_token\u017f"],
)
def test_bounds_that_only_a_compatible_server_would_read_are_refused(member: str) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    assert OpenAI().unpriced({**body, member: 100_000}) == [member]
    assert OpenAI().unpriced({**body, "X-Trace": 1, "n": 1}) == []


@pytest.mark.parametrize(
    ("client", "member"),
    [
        ("responses", "MAX_OUTPUT_TOKENS"),
        ("responses", "max_output_to\u212aens"),
        ("anthropic", "Max_Tokens"),
        ("anthropic", "max_token\u017f"),
    ],
)
def test_a_bound_in_other_letters_is_refused_on_every_door(client: str, member: str) -> None:
    assert list(dialect_of(client).unpriced({**HI[client], member: 100_000})) == [member]
    assert list(dialect_of(client).unpriced({**HI[client], "X-Trace": 1})) == []


TURN: dict[str, Any] = {"role": "user", "content": "Hi"}
LONG = "https://example.com/a.png"


@pytest.mark.parametrize(
    ("client", "members", "field"),
    [
        ("openai", {"messages": [{**TURN, "Content": "hidden"}]}, "messages[0].Content"),
        (
            "openai",
            {"messages": [{"role": "user", "content": [{**TEXT, "Type": "image_url"}]}]},
            "messages[0].content[0].Type",
        ),
        ("anthropic", {"messages": [{**TURN, "CONTENT": "hidden"}]}, "messages[0].CONTENT"),
        ("anthropic", blocks({**TEXT, "Source": {"type": "url", "url": LONG}}), "messages[0].content[0].Source"),
        ("responses", {"input": [{**TURN, "Content": "hidden"}]}, "input[0].Content"),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi", "Image_URL": LONG}]}]},
            "input[0].content[0].Image_URL",
        ),
        ("gemini", {"generationconfig": {"maxOutputTokens": 9_000}}, "generationconfig"),
        ("gemini", {"GenerationConfig": {"maxOutputTokens": 9_000}}, "GenerationConfig"),
        (
            "gemini",
            {"generationConfig": {"maxOutputTokens": 5, "MaxOutputTokens": 9_000}},
            "generationConfig.MaxOutputTokens",
        ),
        ("gemini", {"generation_config": {"Max_Output_Tokens": 9_000}}, "generationConfig.MaxOutputTokens"),
        ("gemini", {"Tools": [{"googleSearch": {}}]}, "Tools"),
        ("gemini", parts({"text": "Hi", "InlineData": SOUND["inlineData"]}), "contents[0].parts[0].InlineData"),
        ("gemini", {"contents": [{"parts": [{"text": "Hi"}], "Parts": [SOUND]}]}, "contents[0].Parts"),
    ],
)
def test_what_stands_in_other_letters_inside_of_a_request_is_refused_too(
    client: str, members: dict[str, Any], field: str
) -> None:
    assert list(dialect_of(client).unpriced({**HI[client], **members})) == [field]


def test_names_of_a_clients_own_things_may_have_any_letters() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"Content": {"type": "string"}, "Type": {"type": "string"}},
    }
    called = {"type": "tool_use", "id": "t", "name": "f", "input": {"Type": "x", "Content": "y", "Source": {}}}
    tool: dict[str, Any] = {"name": "f", "input_schema": schema}
    assert Anthropic().unpriced({**blocks(TEXT, called), "tools": [tool]}) == []
    answered = {"functionResponse": {"name": "f", "response": {"Text": "x", "Parts": []}}}
    assert (
        Gemini().unpriced(parts(answered, tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]))
        == []
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "tool_result", "tool_use_id": "t", "content": [PDF]},
        {"type": "document", "source": {"type": "content", "content": [TEXT, IMAGE]}},
        {"type": "search_result", "source": "s", "title": "t", "content": [IMAGE]},
        {"type": "web_fetch_tool_result", "tool_use_id": "t", "content": FETCHED},
        {"type": ["document"], "content": [PDF]},
    ],
)
def test_media_that_nobody_counts_are_found_inside_of_anthropics_blocks(block: dict[str, Any]) -> None:
    [found] = Anthropic().unpriced(blocks(TEXT, block))
    assert found.startswith("messages[0].content[1]")


def test_a_document_among_anthropics_instructions_is_refused_too() -> None:
    assert Anthropic().unpriced({**blocks(TEXT), "system": [TEXT, PDF]}) == ["system[1]"]


def test_images_and_texts_that_are_counted_are_served_by_anthropic() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [TEXT, IMAGE]}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}}
    quoted = {"type": "document", "source": {"type": "content", "content": [TEXT]}}
    called = {"type": "tool_use", "id": "t", "name": "draw", "input": {"type": "image"}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    assert Anthropic().unpriced(blocks(TEXT, IMAGE, linked, result, text, quoted, called)) == []


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (at("https://www.youtube.com/watch?v=1"), "fileData"),
        (at("http://YouTu.be/1"), "fileData"),
        (at("https://a@youtube.com./watch"), "fileData"),
        (at("https://generativelanguage.googleapis.com/v1beta/files/1"), "fileData"),
        (at("gs://bucket/film"), "fileData"),
        ({"text": "Hi", "file_data": {"mime_type": "video/mp4", "file_uri": "https://example.com/a"}}, "fileData"),
        ({"functionResponse": {"name": "f", "response": {}, "parts": [SOUND]}}, "functionResponse.parts[0].inlineData"),
        (
            {"function_response": {"name": "f", "response": {}, "parts": [SOUND]}},
            "functionResponse.parts[0].inlineData",
        ),
    ],
)
def test_media_that_nobody_counts_are_found_inside_of_geminis_parts(part: dict[str, Any], field: str) -> None:
    assert Gemini().unpriced(parts(part)) == [f"contents[0].parts[0].{field}"]
    assert Gemini().unpriced(parts({"text": "Hi"}, systemInstruction={"parts": [part]})) == [
        f"systemInstruction.parts[0].{field}"
    ]


def test_images_are_served_by_gemini_from_anywhere_else_and_a_null_is_nothing() -> None:
    answer = {"functionResponse": {"name": "f", "response": {}, "parts": [at("https://example.com/a.png")]}}
    kept = at("https://storage.googleapis.com/bucket/a.png")
    assert Gemini().unpriced(parts({"text": "Hi", "inlineData": None}, answer, kept)) == []


@pytest.mark.parametrize("config", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("member", ["routingConfig", "routing_config", "modelSelectionConfig", "model_config"])
def test_members_by_which_google_chooses_the_model_are_refused(config: str, member: str) -> None:
    body = parts({"text": "Hi"}, **{config: {member: {"manualMode": {"modelName": "dearest"}}}})
    [found] = Gemini().unpriced(body)
    assert found.replace("Config", "_config").lower().endswith(member.replace("Config", "_config").lower())


@pytest.mark.parametrize("named", ["models/dearest", "dearest"])
def test_a_model_in_the_body_of_geminis_request_is_the_one_of_its_url(named: str) -> None:
    gemini, body = Gemini(), parts({"text": "Hi"}, model=named)
    request = replace(gemini.parse_request(body, model="cheap"), max_tokens=5)
    assert gemini.amended(body, request)["model"] == "models/cheap"
    same = parts({"text": "Hi"}, model="models/cheap", generationConfig={"maxOutputTokens": 5})
    assert gemini.amended(same, request) is same


@pytest.mark.parametrize(
    ("item", "fields"),
    [
        ({"role": "user", "content": [SEEN]}, []),
        ({"type": None, "role": "user", "content": [SEEN]}, []),
        ({"type": "function_call_output", "call_id": "c", "output": [SEEN]}, []),
        ({"type": "custom_tool_call_output", "call_id": "c", "output": [SEEN]}, ["input[0].output[0]"]),
        ({"type": "function_call", "call_id": "c", "name": "f", "content": [SEEN]}, ["input[0].content[0]"]),
        ({"type": "reasoning", "summary": [], "content": [SEEN]}, ["input[0].content[0]"]),
    ],
)
def test_images_of_responses_are_served_only_where_they_are_counted(item: dict[str, Any], fields: list[str]) -> None:
    assert Responses().unpriced({"input": [item]}) == fields


def test_a_text_of_geminis_embeddings_that_is_also_an_image_is_refused() -> None:
    once: AnyOnce = once_of("gemini", "embed")
    body: dict[str, Any] = {"requests": [{"content": {"parts": [{"text": "Hi", **SOUND}]}}]}
    assert once.unpriced(body) == ["requests[0].content.parts[0]"]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"contents": {"parts": SOUND}}, "contents[0].parts[0].inlineData"),
        ({"contents": [{"parts": SOUND}]}, "contents[0].parts[0].inlineData"),
        (
            parts({"functionResponse": {"name": "f", "response": {}, "parts": SOUND}}),
            "contents[0].parts[0].functionResponse.parts[0].inlineData",
        ),
        (parts(TEXT, systemInstruction={"parts": SOUND}), "systemInstruction.parts[0].inlineData"),
        (parts(TEXT, tools={"googleSearch": {}}), "tools[0].googleSearch"),
    ],
)
def test_gemini_takes_one_item_without_a_list_and_so_it_is_looked_at_too(members: dict[str, Any], field: str) -> None:
    assert Gemini().unpriced(members) == [field]
    spoken: dict[str, Any] = {"content": {"parts": SOUND}}
    assert once_of("gemini", "embed").unpriced({"requests": [spoken]}) == ["requests[0].content.parts[0]"]


def test_a_priced_member_at_what_it_is_anyway_is_taken() -> None:
    usual: dict[str, Any] = {"inference_geo": "global", "service_tier": "auto", "speed": "standard"}
    assert Anthropic().unpriced({**blocks(TEXT), **usual}) == []
    for tier in ("unspecified", "standard"):
        assert Gemini().unpriced(parts({"text": "Hi"}, serviceTier=tier)) == []
