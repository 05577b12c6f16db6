"""Which names and pages may reach the door, whatever a browser is made to send."""

from typing import Any

import pytest

from server.config import Settings
from server.mcp.guard import Guard
from server.rpc_reading import Refused

AUTH = {"issuer": "i", "audience": "a", "algorithms": ["HS256"], "secret": "0123456789abcdefghijklmnopqrstuvwxyz-ABC"}


def guard(public_url: str = "https://ai.example.com", *, cors: list[str] | None = None, **mcp: Any) -> Guard:
    server = {"public_url": public_url, "cors_origins": cors or []}
    return Guard.of(Settings.of({"server": server, "auth": AUTH, "mcp": {"enabled": True, **mcp}}))


def verdict(found: Guard, *headers: tuple[str, str]) -> int:
    """200, or the status of the refusal."""
    try:
        found.check([(name.encode(), value.encode()) for name, value in headers])
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("ai.example.com", 200),
        ("AI.example.com:443", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("127.0.0.1", 200),
        ("other.example.com", 200),
        ("strict.example.com:8443", 200),
        ("strict.example.com", 421),
        ("strict.example.com:9443", 421),
        ("ai.example.com.evil.example", 421),
        ("evil.example", 421),
        ("ai.example.com:80:80", 421),
        ("", 421),
    ],
)
def test_only_known_names_are_answered(host: str, status: int) -> None:
    found = guard(allowed_hosts=["other.example.com", "strict.example.com:8443"])
    assert verdict(found, ("host", host)) == status


def test_a_request_without_a_name_and_one_with_two_are_refused() -> None:
    assert verdict(guard()) == 421
    assert verdict(guard(), ("host", "ai.example.com"), ("host", "evil.example")) == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://ai.example.com", 200),
        ("https://page.example.com", 200),
        ("https://app.example.com", 200),
        ("http://ai.example.com", 403),
        ("https://ai.example.com.evil.example", 403),
        ("http://localhost:6274", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_known_pages_may_call(origin: str, status: int) -> None:
    found = guard(cors=["https://app.example.com"], allowed_origins=["https://page.example.com"])
    assert verdict(found, ("host", "ai.example.com"), ("origin", origin)) == status


def test_pages_of_this_machine_may_call_a_server_of_this_machine() -> None:
    here = guard("http://127.0.0.1:8000")
    for origin, status in (
        ("http://localhost:6274", 200),
        ("https://[::1]:1", 200),
        ("http://localhost.evil.example", 403),
        ("file://localhost", 403),
        ("http://user@localhost", 403),
    ):
        assert verdict(here, ("host", "localhost"), ("origin", origin)) == status, origin


def test_who_lets_every_page_read_lets_every_page_call() -> None:
    assert verdict(guard(cors=["*"]), ("host", "ai.example.com"), ("origin", "https://any.example")) == 200
