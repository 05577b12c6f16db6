"""A vendor's stream on its way to its own client: after an error nothing passes, whatever else the vendor says."""

import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect
from methods.dialects.canonical import ChatRequest, VendorError
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from tests.fakes.wires import stream_error_of, wire_of

REQUEST = ChatRequest("m", (), is_stream=True)
RESPONSES_TEXT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
RESPONSES_END = b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n'
CASES: list[tuple[Dialect, bytes, bytes, bytes]] = [
    (OpenAI(), wire_of("openai", "m").events[1], stream_error_of("openai", "secret"), b"data: [DONE]\n\n"),
    (Responses(), RESPONSES_TEXT, b'event: error\ndata: {"type":"error","message":"secret"}\n\n', RESPONSES_END),
    (Anthropic(), *(wire_of("anthropic", "m").events[2], stream_error_of("anthropic", "secret")), b"event: ping\n\n"),
    (
        Gemini(),
        wire_of("google", "m").events[0],
        stream_error_of("google", "secret"),
        wire_of("google", "m").events[-1],
    ),
]


@pytest.mark.parametrize(("dialect", "text", "error", "more"), CASES)
def test_nothing_that_follows_an_error_reaches_the_client(
    dialect: Dialect, text: bytes, error: bytes, more: bytes
) -> None:
    for pieces in ((text + error + more,), (text, error + more), (text, error, more), (text, error, more, more)):
        passer = dialect.passer(REQUEST)
        assert b"".join([passer.feed(piece) for piece in pieces]) + passer.close() == text


ERRORS = (
    b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"secret"}}\n\n',
    b'event: error\ndata: {"error":{"message":"secret"}}\n\n',
    b'event: error\ndata: {"error":"secret"}\n\n',
    b'event: error\ndata: {"message":"secret"}\n\n',
    b'data: {"error":{"message":"secret"}}\n\n',
    b'data: {"error":"secret"}\n\n',
    b'event: message\ndata: {"error":{"message":"secret"}}\n\n',
    b'data: {"choices":[],"delta":"Hi"}\n\n',
    b'event: message\ndata: {"error":null,"choices":[]}\n\n',
)


@pytest.mark.parametrize("dialect", [OpenAI(), Responses(), Anthropic(), Gemini()], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("wire", ERRORS)
def test_what_is_held_back_as_an_error_is_read_as_one_and_the_other_way_round(dialect: Dialect, wire: bytes) -> None:
    """Otherwise the stream would go silent for the client, or show a vendor's own words."""
    try:
        read = dialect.event_parser().feed(wire)
    except ValueError:  # no event of this vendor: the call fails at once, before anything of it passes
        return
    assert any(isinstance(event, VendorError) for event in read) == (dialect.passer(REQUEST).feed(wire) == b"")
