"""What a vendor's request can cause at most, however it is written."""

from pathlib import Path

import orjson
import pytest

from methods.vendors.chat import VendorParams, most_of
from tests.methods.ai.support import Bench, Scripted

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
