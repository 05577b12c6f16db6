"""What a vendor's request can cause at most, however it is written."""

from pathlib import Path

import orjson
import pytest

from methods.errors import InvalidParams
from methods.providers.names import RoutingConfig
from methods.vendors.chat import VendorParams, most_of
from monetization.images import image_tokens_beyond
from monetization.terms import Target
from tests.methods.ai.support import Bench, Scripted, services_of

MARKED = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
BODY = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [MARKED]}]}
PLAIN = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("text", "is_marked"),
    [
        (orjson.dumps(BODY), True),
        (orjson.dumps(BODY).replace(b'"cache_control"', b'"cache\\u005fcontrol"'), True),
        (orjson.dumps(PLAIN), False),
        (orjson.dumps(PLAIN).replace(b"Hi", b"\\u0048i"), False),
    ],
)
def test_a_mark_for_the_vendors_cache_is_seen_also_where_it_is_written_with_escapes(
    tmp_path: Path, text: bytes, *, is_marked: bool
) -> None:
    services = Bench(Scripted("a"), Scripted("b"), tmp_path).services
    params = VendorParams(dialect="anthropic", body=orjson.loads(text), text=text.decode())
    assert most_of(services, params).marks_cache is is_marked


def test_an_image_is_held_in_full_detail_unless_low_detail_is_asked_for(tmp_path: Path) -> None:
    def held(dialect: str, part: object) -> int:
        content = {"messages": [{"role": "user", "content": [part]}], "input": [{"role": "user", "content": [part]}]}
        return most_of(services, VendorParams(dialect=dialect, body={"model": "m", **content})).tokens_input

    services = Bench(Scripted("a"), Scripted("b"), tmp_path).services
    url = "https://example.org/a.png"
    beyond = image_tokens_beyond([Target("a", "m", "openai")])
    assert beyond > 0
    for detail in ("high", "auto", "original"):
        chat = [{"type": "image_url", "image_url": {"url": url, "detail": each}} for each in ("low", detail)]
        assert held("openai", chat[1]) - held("openai", chat[0]) > beyond - 20  # the words differ by a few bytes
        item = [{"type": "input_image", "image_url": url, "detail": each} for each in ("low", detail)]
        assert held("responses", item[1]) - held("responses", item[0]) > beyond - 20


@pytest.mark.parametrize("name", ["x" * 201, "a/" + "x" * 3_000_000])
def test_a_models_name_is_no_longer_here_than_over_json_rpc(tmp_path: Path, name: str) -> None:
    services = Bench(Scripted("a"), Scripted("b"), tmp_path).services
    with pytest.raises(InvalidParams, match=r"^model: must hold at most 200 characters$"):
        most_of(services, VendorParams(dialect="openai", body={**PLAIN, "model": name}))


def test_low_detail_lowers_no_hold_where_the_model_knows_no_detail(tmp_path: Path) -> None:
    def held(detail: str) -> int:
        part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": detail}}
        body = {"model": "seer", "messages": [{"role": "user", "content": [part]}]}
        return most_of(services, VendorParams(dialect="openai", body=body)).tokens_input

    routing = RoutingConfig(default_provider="a", default_model="m", aliases={"seer": {"a/Qwen3-VL-Plus": 1}})
    services = services_of({"a": Scripted("a")}, routing, tmp_path)
    assert held("low") >= held("high") - 5 > 16_000  # the words differ by a few bytes
