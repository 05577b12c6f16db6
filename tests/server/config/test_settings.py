"""Loading: what is accepted, where it comes from, and what wins."""

import re
import tomllib
from dataclasses import fields as fields_of
from decimal import Decimal
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey
from pydantic import BaseModel

from server.config import ConfigError, Settings
from server.config_sections import ProviderSettings
from server.from_settings import provider_config_of, secrets_of

ROOT = Path(__file__).resolve().parents[3]
KEYS = {"OPENAI_API_KEY": "sk-canary-openai", "ANTHROPIC_API_KEY": "sk-ant-canary", "GOOGLE_API_KEY": "AIza-canary"}
PEM = RSAKey.generate_key(2048).as_pem(private=False).decode()


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def load(folder: Path, text: str, **environ: str) -> Settings:
    return Settings.load(write(folder, text), environ)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "opensaas.pem").write_text(PEM)
    return write(tmp_path, (ROOT / "config.example.toml").read_text())


def test_the_example_loads_when_its_secrets_are_given(example: Path) -> None:
    settings = Settings.load(example, KEYS)
    assert settings.routing.default_model == "claude-sonnet-4-5"
    assert settings.prices["openai/gpt-4-turbo"].output == Decimal(30)
    assert settings.providers["openai"].api_key is not None
    assert settings.tiers["starter"].said()["price_nano"] == 19_000_000_000


def keys_of(model: type[BaseModel], path: str = "") -> list[str]:
    """Every key that a model has, with NAME for the operator's own names."""
    found = []
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        below = [
            t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if hasattr(t, "model_fields")
        ]
        is_table = "dict" in str(field.annotation)
        found += keys_of(below[0], f"{here}.NAME." if is_table else f"{here}.") if below else [here]
    return found


def test_the_example_documents_every_setting_there_is() -> None:
    text = (ROOT / "config.example.toml").read_text()
    # Keys that cannot all be set at once stand in the example as comments.
    document = tomllib.loads(re.sub(r"(?m)^# (\[[\w.]+\]$|\w+ = )", r"\1", text))

    def has(node: object, steps: list[str]) -> bool:
        if not steps:
            return True
        assert isinstance(node, dict), steps
        if steps[0] == "NAME":
            return any(has(below, steps[1:]) for below in node.values())
        return steps[0] in node and (steps[1:] == ["price_usd_per_million"] or has(node[steps[0]], steps[1:]))

    missing = [key for key in keys_of(Settings) if not has(document, key.split("."))]
    assert missing == [], "config.example.toml documents every key; add these"


def test_the_example_shows_the_defaults_of_the_server(example: Path) -> None:
    assert Settings.load(example, KEYS).server == Settings().server


def test_every_value_may_be_an_environment_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "level").write_text("debug\n")
    settings = load(tmp_path, '[server]\nport = "env:PORT"\n[logging]\nlevel = "file:level"', PORT="9001")
    assert settings.server.port == 9001
    assert settings.logging.level == "debug"


def test_an_environment_variable_wins_over_the_file_and_the_file_over_a_documented_name(tmp_path: Path) -> None:
    text = '[storage]\nurl = "postgresql://file/db"'
    url = load(tmp_path, text, DATABASE_URL="postgresql://plain/db").storage.url
    assert url.get_secret_value() == "postgresql://file/db"
    url = load(tmp_path, text, TOLLGATE__STORAGE__URL="postgresql://mine/db", DATABASE_URL="x").storage.url
    assert url.get_secret_value() == "postgresql://mine/db"


def test_every_documented_name_fills_its_key() -> None:
    settings = Settings.load(
        None,
        {
            **KEYS,
            "OPENSAAS_PUBLIC_KEY": PEM.replace("\n", "\\n"),
            "TOLLGATE__AUTH__ISSUER": "opensaas",
            "TOLLGATE__AUTH__AUDIENCE": "rpc-ai-backend",
            "DATABASE_URL": "postgres://user:canary@host/db",
            "REDIS_URL": "redis://host:6379/0",
            "STRIPE_WEBHOOK_SECRET": "whsec_canary",
            "BILLING_WEBHOOK_URL": "https://billing.example.com/hook",
        },
    )
    assert settings.auth.public_key is not None
    assert settings.auth.public_key.get_secret_value() == PEM.strip()
    assert settings.storage.url.get_secret_value() == "postgresql://user:canary@host/db"
    assert settings.storage.redis_url.get_secret_value() == "redis://host:6379/0"
    assert settings.payments.stripe.webhook_secret is not None
    assert settings.webhooks.url == "https://billing.example.com/hook"
    assert {name: p.kind for name, p in settings.providers.items()} == {
        "openai": "openai",
        "anthropic": "anthropic",
        "google": "google",
    }


def test_a_documented_provider_key_fills_only_what_speaks_to_that_vendor(tmp_path: Path) -> None:
    text = """
[providers.openai]
[providers.local]
kind = "openai"
base_url = "http://127.0.0.1:11434/v1"
[providers.second]
kind = "openai"
base_url = "https://api.openai.com/v1/"
"""
    providers = load(tmp_path, text, **KEYS).providers
    assert providers["openai"].api_key is not None
    assert providers["second"].api_key is not None
    assert providers["local"].api_key is None, "another company must not see the vendor's key"
    assert "anthropic" not in providers, "an operator who lists providers means that list"


def test_nested_keys_lists_and_tables_can_be_said_in_the_environment(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[providers.openai]",
        TOLLGATE__PROVIDERS__OPENAI__RETRIES="5",
        TOLLGATE__AUTH__CLAIMS__USER="uid",
        TOLLGATE__SERVER__CORS_ORIGINS="https://a.example, https://b.example",
        TOLLGATE__AUTH__PUBLIC_METHODS='["ping"]',
        TOLLGATE__PRICES='{"openai/new": {"input": "0.15", "output": "0.6"}}',
        TOLLGATE__TIERS__TEAM__THRESHOLDS_PERCENT="[50]",
    )
    assert settings.providers["openai"].retries == 5
    assert settings.auth.claims.user == "uid"
    assert settings.server.cors_origins == ("https://a.example", "https://b.example")
    assert settings.auth.public_methods == ("ping",)
    assert settings.prices["openai/new"].input == Decimal("0.15")
    assert settings.tiers["team"].said() == {"thresholds_percent": (50,)}


def test_the_environment_of_the_process_is_not_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PATH"):
        load(tmp_path, '[urls]\nupgrade = "env:PATH"')


def test_settings_do_not_change_and_keep_their_secrets(example: Path) -> None:
    settings = Settings.load(example, KEYS)
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]  # the point of the test
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_prompts_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    assert load(tmp_path, '[prompts]\ndirectory = "texts"').prompts.directory == tmp_path / "texts"


def test_names_of_headers_are_kept_in_lower_case_so_that_none_is_sent_twice(tmp_path: Path) -> None:
    headers = load(tmp_path, '[providers.openai]\nheaders = { "X-Team" = "a" }').providers["openai"].headers
    assert list(headers) == ["x-team"]


def test_every_setting_of_a_provider_reaches_it(tmp_path: Path) -> None:
    """A key that is accepted and does nothing is worse than one that is refused."""
    text = """
[providers.mine]
kind = "openai"
api_key = "k-mine"
base_url = "https://mine.example/v1"
models = ["m"]
timeout_seconds = 11
connect_timeout_seconds = 2
first_byte_timeout_seconds = 3
retries = 4
retries_first_byte = true
max_concurrency = 5
headers = { x-team = "a" }
breaker_failures = 6
breaker_seconds = 7
max_tokens_field = "max_completion_tokens"
asks_stream_usage = false
sends_reasoning = true
speaks_responses = true
"""
    settings = load(tmp_path, text)
    said, config = settings.providers["mine"], provider_config_of("mine", settings)
    fields = {field.name for field in fields_of(config)} - {"name"}
    assert fields == set(ProviderSettings.model_fields)
    plain = {name: getattr(config, name) for name in fields - {"api_key", "headers"}}
    assert plain == {name: getattr(said, name) for name in plain}
    assert config.api_key is not None
    assert (config.api_key.reveal(), config.headers["x-team"].reveal()) == ("k-mine", "a")
    assert all(value != ProviderSettings.model_fields[name].default for name, value in plain.items())


def test_a_tier_says_only_what_was_said_in_the_words_of_a_tier(tmp_path: Path) -> None:
    text = '[tiers.team]\nprice_usd = "12.5"\nmodels = ["a"]\noverage = { price_usd_per_million = "0.1" }'
    assert load(tmp_path, text).tiers["team"].said() == {
        "price_nano": 12_500_000_000,
        "models": frozenset({"a"}),
        "overage_nano_per_million": 100_000_000,
    }
    assert load(tmp_path, '[tiers.free]\noverage = "off"').tiers["free"].said() == {"overage_nano_per_million": None}


def test_providers_know_their_vendors_address() -> None:
    assert ProviderSettings(kind="anthropic").base_url == "https://api.anthropic.com"


def test_the_public_address_is_made_of_host_and_port_unless_said(tmp_path: Path) -> None:
    assert load(tmp_path, "[server]\nport = 81").server.public_url == "http://127.0.0.1:81"
    assert load(tmp_path, '[server]\npublic_url = "https://x.example"').server.public_url == "https://x.example"


def test_prices_said_in_json_stay_exact(tmp_path: Path) -> None:
    prices = load(tmp_path, "", TOLLGATE__PRICES='{"a/b": {"input": 0.1, "output": 0.3}}').prices
    assert prices["a/b"].input == Decimal("0.1")


def test_both_halves_of_one_key_go_together(tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048)
    (tmp_path / "private.pem").write_bytes(key.as_pem(private=True))
    (tmp_path / "public.pem").write_bytes(key.as_pem(private=False))
    auth = '[auth]\nissuer = "i"\naudience = "a"\nprivate_key = "file:private.pem"\n'
    assert load(tmp_path, auth + 'public_key = "file:public.pem"').auth.has_key
    assert load(tmp_path, auth + 'jwks_url = "https://i.example/jwks"').auth.has_key
    assert load(tmp_path, auth).auth.has_key


def test_http_is_allowed_for_keys_on_this_machine(tmp_path: Path) -> None:
    for host in ("127.0.0.1:9", "localhost:9", "[::1]:9"):
        load(tmp_path, f'[auth]\nissuer = "i"\naudience = "a"\njwks_url = "http://{host}/jwks"')


def test_the_contract_of_the_design_is_accepted_key_by_key(tmp_path: Path) -> None:
    text = """
[auth]
claims = { user = "userId", organization = "organizationId", tier = "subscriptionTier" }
[providers.simulator]
kind = "simulator"
[providers.anthropic]
kind = "anthropic"
[routing]
default_provider = "anthropic"
default_model = "claude-sonnet-4-5"
fallbacks = { "gpt-4o" = ["claude-sonnet-4-5"] }
[prices]
"openai/gpt-4-turbo" = { input = "10", output = "30" }
[limits]
byok = { rpm = 120, tpm = 200000, concurrent = 10 }
"""
    settings = load(tmp_path, text)
    assert settings.routing.fallbacks == {"gpt-4o": ("claude-sonnet-4-5",)}
    assert settings.limits.byok.rpm == 120


def test_a_provider_without_a_key_is_legal_and_serves_callers_with_their_own(tmp_path: Path) -> None:
    text = '[providers.openai]\n[routing]\ndefault_provider = "openai"\ndefault_model = "gpt-4o"'
    assert load(tmp_path, text).providers["openai"].api_key is None


def test_a_documented_key_does_not_stand_beside_one_that_was_said_in_the_environment() -> None:
    settings = Settings.load(
        None,
        {
            "OPENSAAS_PUBLIC_KEY": PEM,
            "TOLLGATE__AUTH__JWKS_URL": "https://i.example/jwks",
            "TOLLGATE__AUTH__ISSUER": "i",
            "TOLLGATE__AUTH__AUDIENCE": "a",
        },
    )
    assert settings.auth.public_key is None


def test_the_password_of_an_address_is_a_secret_of_its_own(tmp_path: Path) -> None:
    settings = load(
        tmp_path, '[storage]\nurl = "postgresql://u:canary%40word@host/db"\nredis_url = "redis://:other@h/0"'
    )
    assert {"canary%40word", "canary@word", "other"} <= set(secrets_of(settings))
