"""The tier sets of the documents (S0-21 to S0-27): each file starts a server, says what they say, and serves its callers."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.fakes.server import ROOT, Server, started

SECRET = "a-secret-of-at-least-thirty-two-characters"
SETS: dict[str, dict[str, tuple[str, int, int, int, int, set[str]]]] = {
    "saas": {
        "free": ("Free Trial", 1_000, 5, 100, 1, {"basic_ai"}),
        "basic": ("Basic", 25_000, 30, 3_000, 3, {"basic_ai", "email_support"}),
        "premium": (
            "Premium",
            500_000,
            500,
            50_000,
            25,
            {"basic_ai", "advanced_ai", "priority_support", "analytics"},
        ),
    },
    "education": {
        "student": ("Student (Free)", 5_000, 10, 500, 2, {"basic_ai", "educational_content"}),
        "educator": (
            "Educator",
            50_000,
            100,
            5_000,
            10,
            {"basic_ai", "advanced_ai", "educational_content", "classroom_management"},
        ),
    },
    "api_service": {
        "developer": ("Developer", 10_000, 60, 1_000, 5, {"basic_ai", "api_access"}),
        "scale": (
            "Scale",
            1_000_000,
            1_800,
            100_000,
            50,
            {"basic_ai", "advanced_ai", "api_access", "webhook_support", "analytics"},
        ),
    },
}


def called(server: Server, method: str, params: dict[str, object], tier: str | None = None) -> Any:
    claims: dict[str, Any] = {
        "userId": f"user-of-{tier}",
        "iss": "https://auth.example.com",
        "aud": "tollgate",
        "exp": 4_102_444_800,
        "iat": 1_700_000_000,
        "subscriptionTier": tier,
    }
    head = {"content-type": "application/json", "connection": "close"}
    if tier is not None:
        head["authorization"] = f"Bearer {jwt.encode({'alg': 'HS256'}, claims, OctKey.import_key(SECRET))}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(
        "POST", "/rpc", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), head
    )
    return json.load(connection.getresponse())


@pytest.mark.parametrize("name", SETS)
def test_a_tier_set_of_the_documents_says_what_they_say_and_serves_its_callers(name: str, tmp_path: Path) -> None:
    environment = {"TOLLGATE_SECRET": SECRET, "TOLLGATE__STORAGE__URL": f"sqlite:///{tmp_path / 'tollgate.db'}"}
    with started(
        ["--config", str(ROOT / "examples" / "tiers" / f"{name}.toml")], tmp_path, environment=environment
    ) as on:
        tiers = called(on, "listTiers", {})["result"]["data"]
        for key, (label, tokens, rpm, tpm, concurrent, features) in SETS[name].items():
            shown = tiers[key]
            assert shown["name"] == label
            assert set(shown["features"]) == features
            limits = {"monthlyTokens": tokens, "rpm": rpm, "tpm": tpm, "concurrent": concurrent}
            assert {limit: shown["limits"][limit] for limit in limits} == limits
            answer = called(on, "executeAIRequest", {"content": "Hello", "options": {"maxTokens": 20}}, key)
            assert answer["result"]["content"]
            assert answer["result"]["quotaRemaining"] == tokens - answer["result"]["usage"]["totalTokens"]
