"""An issuer, its clock, and callers that believe it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from monetization.calls import Credential
from server.auth.callers import Callers
from server.auth.tokens import Keys, OneKey
from server.config_sections import AuthSettings

ISSUER = "https://auth.example.com"
NOW = 1_800_000_000.0
TIERS = {"free": "free", "professional": "professional", "pro": "professional"}


class World:
    """What tests move and look at."""

    def __init__(self) -> None:
        self.now = NOW
        self.keys: dict[str, Key] = {
            "RS256": RSAKey.generate_key(2048),
            "ES256": ECKey.generate_key("P-256"),
            "Ed25519": OKPKey.generate_key("Ed25519"),
            "HS256": OctKey.generate_key(256),
        }
        self.failures: list[str] = []
        self.unknown_tiers: list[str] = []

    def claims(self, **claims: Any) -> dict[str, Any]:
        standard = {
            "iss": ISSUER,
            "aud": "tollgate",
            "sub": "subject-1",
            "userId": "user-1",
            "subscriptionTier": "pro",
            "iat": int(NOW),
            "exp": int(NOW) + 600,
        }
        return {name: value for name, value in {**standard, **claims}.items() if value is not ...}

    def token(
        self,
        algorithm: str = "RS256",
        *,
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A signed token; a claim of `...` is left out."""
        name = {"EdDSA": "Ed25519"}.get(algorithm, algorithm)
        return jwt.encode(
            {"alg": algorithm, **(header or {})}, self.claims(**claims), key or self.keys[name], [algorithm]
        )

    def callers(self, algorithm: str = "RS256", *, keys: Keys | None = None, **auth: Any) -> Callers:
        settings = AuthSettings.model_validate(
            {"issuer": ISSUER, "audience": "tollgate", "algorithms": [algorithm], **auth}
        )
        name = {"EdDSA": "Ed25519"}.get(algorithm, algorithm)
        return Callers(
            settings,
            keys=keys or OneKey(self.keys[name]),
            default_tier=lambda: "free",
            tier_of=TIERS.get,
            on_unknown_tier=self.unknown_tiers.append,
            on_failure=self.failures.append,
            clock=lambda: self.now,
        )


@pytest.fixture(scope="session")
def _keys() -> dict[str, Key]:
    return World().keys


@pytest.fixture
def world(_keys: dict[str, Key]) -> World:
    made = World.__new__(World)
    made.now, made.keys, made.failures, made.unknown_tiers = NOW, dict(_keys), [], []
    return made


@pytest.fixture
def bearer() -> Callable[[str], Credential]:
    return lambda token: Credential("bearer", token, address="127.0.0.9")
