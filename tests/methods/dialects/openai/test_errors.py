"""Errors: every shape that vendors send is read, and our faults raise the right class in the official client."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import VendorError
from methods.dialects.openai import OpenAI
from methods.errors import InvalidParams, ProviderFailed, Unauthenticated
from monetization.errors import PaymentRequired, QuotaExceeded, RateLimited
from storage.errors import Fault

LONG = "x" * 5000


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server on the loopback that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join(5)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (
            429,
            b'{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
            "requests",
            "Slow down",
        ),
        (400, b'{"error":"model missing"}', "invalid_request_error", "model missing"),
        (400, b'{"error":{"error":{"message":"deep","code":"odd"}}}', "odd", "deep"),
        (400, b'[{"error":{"code":400,"message":"listed","status":"INVALID_ARGUMENT"}}]', "INVALID_ARGUMENT", "listed"),
        (
            422,
            b'{"object":"error","message":{"detail":[{"loc":["body"],"msg":"bad"}]},"type":"invalid"}',
            "invalid",
            "bad",
        ),
        (422, b'{"detail":[{"msg":"a"},{"msg":"b"}]}', "invalid_request_error", "a; b"),
        (401, b'{"detail":"Unauthorized"}', "authentication_error", "Unauthorized"),
        (502, b"<html><head><title>Bad\n Gateway</title></head>", "server_error", "Bad Gateway"),
        (502, b"<html><body>nothing", "server_error", "HTTP status 502 without a message"),
        (503, b"upstream\nconnect  error", "overloaded_error", "upstream connect error"),
        (500, b"", "server_error", "HTTP status 500 without a message"),
        (500, b"\xff\xfe", "server_error", "��"),
        (500, b"null", "server_error", "HTTP status 500 without a message"),
        (418, b'{"error":{"code":7}}', "invalid_request_error", "HTTP status 418 without a message"),
    ],
)
def test_every_shape_of_error_is_read(status: int, body: bytes, kind: str, message: str) -> None:
    found = OpenAI().parse_error(status, body, {})
    assert found == VendorError(status, kind, message, code=found.code, param=found.param)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
        ({}, None),
    ],
)
def test_the_wait_that_a_vendor_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert OpenAI().parse_error(429, b"", headers).retry_after_seconds == seconds


def test_a_long_message_is_cut() -> None:
    for body in (LONG.encode(), b'{"error":{"message":"%b"}}' % LONG.encode(), b"<title>%b</title>" % LONG.encode()):
        assert len(OpenAI().parse_error(500, body, {}).message) == 500


@settings(deadline=None)
@given(st.integers(400, 599), st.binary(max_size=60), st.dictionaries(st.just("retry-after"), st.text(max_size=40)))
def test_no_error_reply_raises(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = OpenAI().parse_error(status, body, headers)
    assert error.message
    assert error.kind


@pytest.mark.parametrize(
    ("fault", "status", "name", "kind", "code"),
    [
        (
            InvalidParams("bad", data={"field": "temperature"}),
            400,
            "BadRequestError",
            "invalid_request_error",
            "invalid_params",
        ),
        (Unauthenticated(), 401, "AuthenticationError", "authentication_error", "unauthenticated"),
        (QuotaExceeded(), 429, "RateLimitError", "insufficient_quota", "quota_exceeded"),
        (RateLimited(), 429, "RateLimitError", "rate_limit_error", "rate_limited"),
        (PaymentRequired(), 402, "APIStatusError", "insufficient_quota", "insufficient_funds"),
        (ProviderFailed(), 502, "InternalServerError", "server_error", "provider_error"),
    ],
)
def test_a_fault_becomes_the_official_clients_exception(
    fault: Fault, status: int, name: str, kind: str, code: str
) -> None:
    import openai  # noqa: PLC0415 - heavy, and only this test wants it

    body: Any = OpenAI().render_fault(fault, status, "req-1")
    assert body["error"]["message"] == str(fault)
    assert body["request_id"] == "req-1"
    with (
        answering(status, orjson.dumps(body)) as url,
        openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as raised,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert type(raised.value).__name__ == name
    assert (raised.value.type, raised.value.code) == (kind, code)


def test_a_fault_names_the_member_that_is_wrong() -> None:
    named: Any = OpenAI().render_fault(
        InvalidParams("bad", data={"errors": [{"path": "stop", "problem": "x"}]}), 400, "r"
    )
    assert named["error"]["param"] == "stop"
    unnamed: Any = OpenAI().render_fault(InvalidParams("bad"), 400, "r")
    assert unnamed["error"]["param"] is None
