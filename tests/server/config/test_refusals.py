"""Refusing: one line that names the key, says what to do, and holds no secret."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, RSAKey

from server.config import ConfigError, Settings
from server.from_settings import tiers_of

RSA = RSAKey.generate_key(2048)
PUBLIC = RSA.as_pem(private=False).decode()
PRIVATE = RSA.as_pem(private=True).decode()
EC_PRIVATE = ECKey.generate_key("P-256").as_pem(private=True).decode()
CANARY = "canary-3f9c2e7d1a5b8f4c6e0d9b7a5f3e1c2d"
AUTH = '[auth]\nissuer = "i"\naudience = "a"\n'
KEYED = AUTH + 'public_key = "env:PUBLIC"\n'

# key → the text of a file that is wrong there
REFUSED = [
    ("server.prot", "[server]\nprot = 1"),
    ("sever", "[sever]\nport = 1"),
    ("server.host", '[server]\nhost = "no host"'),
    ("server.host", '[server]\nhost = ""'),
    ("server.port", '[server]\nport = "many"'),
    ("server.port", "[server]\nport = 70000"),
    ("server.http_status", '[server]\nhttp_status = "sometimes"'),
    ("server.workers", "[server]\nworkers = true"),
    ("abuse.violations_max", "[abuse]\nviolations_max = true"),
    ("signals.low_credits", "[signals]\nlow_credits = false"),
    ("tiers.starter.rpm", "[tiers.starter]\nrpm = true"),
    ("limits.byok.rpm", "[limits]\nbyok = { rpm = true, tpm = 1, concurrent = 1 }"),
    ("providers.local.retries", '[providers.local]\nkind = "simulator"\nretries = false'),
    ("providers.local.kind", '[providers.local]\nkind = ["openai"]'),
    ("providers.local.kind", "[providers.local]\nkind = { a = 1 }"),
    ("server.workers", "[server]\nworkers = 2"),
    ("server.public_url", '[server]\npublic_url = "example.com"'),
    ("server.public_url", '[server]\npublic_url = "http://a b/"'),
    ("server.cors_origins", '[server]\ncors_origins = ["example.com"]'),
    ("server.cors_origins", '[server]\ncors_origins = ["https://example.com/"]'),
    ("server.cors_origins", '[server]\ncors_origins = [" "]'),
    ("server.trusted_proxies", '[server]\ntrusted_proxies = ["proxy.example.com"]'),
    ("storage.url", '[storage]\nurl = "mysql://host/db"'),
    ("storage.url", '[storage]\nurl = "sqlite:///:memory:"'),
    ("storage.url", '[storage]\nurl = "sqlite:///a.db?mode=ro"'),
    ("storage.url", '[storage]\nurl = "postgresql://user@host:port/db"'),
    ("storage.redis_url", '[storage]\nredis_url = "redis://host:port"'),
    ("storage.url", '[storage]\nurl = "sqlite:///"'),
    ("storage.redis_url", '[storage]\nredis_url = "http://host"'),
    ("auth.algorithms.0", KEYED + 'algorithms = ["none"]'),
    ("auth.algorithms", KEYED + "algorithms = []"),
    ("auth.algorithms", KEYED + 'algorithms = ["RS256", "HS256"]'),
    ("auth.algorithms", KEYED + 'algorithms = ["ES256"]'),
    ("auth.algorithms", KEYED + 'algorithms = ["RS256", "ES256"]'),
    ("auth.secret", AUTH + f'secret = "{CANARY}"'),
    ("auth.secret", AUTH + f'secret = "{CANARY}"\nalgorithms = ["HS256", "RS256"]'),
    ("auth.secret", AUTH + 'secret = "0123456789abcdef"\nalgorithms = ["HS256"]'),
    ("auth.secret", AUTH + 'secret = ""\nalgorithms = ["HS256"]'),
    ("auth.secret", AUTH + 'secret = "your-secret-key-change-in-production"\nalgorithms = ["HS256"]'),
    ("auth.secret", AUTH + 'secret = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"\nalgorithms = ["HS256"]'),
    ("auth.secret", AUTH + 'secret = "env:PUBLIC"\nalgorithms = ["HS256"]'),
    ("auth.jwks_url", KEYED + 'jwks_url = "https://i.example/jwks"'),
    ("auth.secret", KEYED + f'secret = "{CANARY}"'),
    ("auth.jwks_url", AUTH + 'jwks_url = "http://i.example/jwks"'),
    ("auth.jwks_url", AUTH + 'jwks_url = "https://user:pass@i.example/jwks"'),
    ("auth.jwks_url", AUTH + 'jwks_url = "ftp://i.example/jwks"'),
    ("auth.public_key", AUTH + 'public_key = "no key"'),
    ("auth.public_key", AUTH + 'public_key = "env:PRIVATE"'),
    ("auth.private_key", KEYED + 'private_key = "env:PUBLIC"'),
    ("auth.private_key", KEYED + 'private_key = "env:OTHER"'),
    ("auth.issuer", '[auth]\naudience = "a"\npublic_key = "env:PUBLIC"'),
    ("auth.audience", '[auth]\nissuer = "i"\npublic_key = "env:PUBLIC"'),
    ("auth.issuer", '[auth]\nissuer = "i"\naudience = "a"'),
    ("auth.audience", '[auth]\naudience = "a"'),
    ("auth.jwks_stale_seconds", AUTH + 'jwks_url = "https://i.example/jwks"\njwks_stale_seconds = 299'),
    ("auth.require_auth", "[auth]\nrequire_auth = true"),
    ("auth.claims.user", '[auth.claims]\nuser = ""'),
    ("auth.claims.usr", '[auth.claims]\nusr = "x"'),
    ("auth.clock_tolerance_seconds", "[auth]\nclock_tolerance_seconds = -1"),
    ("auth.anonymous", '[auth]\nanonymous = "on"'),
    ("providers.mine.kind", '[providers.mine]\napi_key = "k"'),
    ("providers.My Own", '[providers."My Own"]\nkind = "openai"'),
    ("providers.openai.api_key", '[providers.openai]\napi_key = "env:MISSING"'),
    ("providers.openai.api_key", '[providers.openai]\napi_key = "env:EMPTY"'),
    ("providers.openai.api_key", '[providers.openai]\napi_key = "file:nothing.key"'),
    ("providers.openai.api_key", '[providers.openai]\napi_key = ""'),
    ("providers.openai.api_key", '[providers.openai]\napi_key = "your-api-key"'),
    ("providers.openai.base_url", '[providers.openai]\nbase_url = "api.openai.com"'),
    ("providers.openai.base_url", '[providers.openai]\nbase_url = "https://u:p@host/v1"'),
    ("providers.openai.base_url", '[providers.openai]\nbase_url = "https://host/v1#part"'),
    ("providers.simulator.base_url", '[providers.simulator]\nbase_url = "https://host/v1"'),
    ("providers.anthropic.sends_reasoning", "[providers.anthropic]\nsends_reasoning = true"),
    ("providers.anthropic.speaks_responses", "[providers.anthropic]\nspeaks_responses = true"),
    ("providers.openai.max_tokens_field", '[providers.openai]\nmax_tokens_field = "tokens"'),
    ("providers.openai.models", '[providers.openai]\nmodels = ["a", ""]'),
    ("providers.openai.headers.x y", '[providers.openai]\nheaders = { "x y" = "v" }'),
    ("providers.openai.headers.Content-Length", '[providers.openai]\nheaders = { "Content-Length" = "5" }'),
    ("providers.openai.headers.api-key", '[providers.openai]\nheaders = { api-key = "x" }'),
    ("providers.openai.headers.Authorization", '[providers.openai]\nheaders = { "Authorization" = "Bearer x" }'),
    ("providers.openai.timeout_seconds", "[providers.openai]\ntimeout_seconds = 0"),
    ("providers.openai.timeout_seconds", "[providers.openai]\ntimeout_seconds = 10"),
    ("providers.openai.retires", "[providers.openai]\nretires = 1"),
    ("routing.default_model", '[routing]\ndefault_model = "m"'),
    ("routing.default_provider", '[routing]\ndefault_provider = "nobody"'),
    (
        "routing.default_model",
        '[providers.openai]\nmodels = ["a"]\n[routing]\ndefault_provider = "openai"\ndefault_model = "b"',
    ),
    ("routing.fallbacks.a", '[providers.openai]\nmodels = ["a"]\n[routing]\nfallbacks = { a = ["nobody/b"] }'),
    ("routing.fallbacks.a", '[providers.openai]\nmodels = ["a"]\n[routing]\nfallbacks = { a = ["b"] }'),
    *(
        (key, f'[providers.openai]\nmodels = ["a"]\n[routing{said}')
        for key, said in (
            ("routing.aliases.x", ']\naliases = { x = "a" }'),
            ("routing.aliases.x", ']\naliases = { x = "nobody/a" }'),
            ("routing.aliases.x", ']\naliases = { x = { "openai/a" = 1, "openai/b" = 1 } }'),
            ("routing.aliases.x", "]\naliases = { x = {} }"),
            ("routing.aliases.x.openai/a", ']\naliases = { x = { "openai/a" = 0 } }'),
            ("routing.patterns.a*", ']\npatterns = { "a*" = "nobody" }'),
            ("routing.patterns.a", ']\npatterns = { "a" = "openai" }'),
            ("routing.patterns.*a*", ']\npatterns = { "*a*" = "openai" }'),
            ("routing.balance", ']\nbalance = "cheapest"'),
            ("routing.equivalents.x.models", '.equivalents.x]\nmodels = ["openai/a"]\npolicy = "cheapest"'),
            ("routing.equivalents.x", '.equivalents.x]\nmodels = ["openai/a", "openai/b"]\npolicy = "cheapest"'),
            (
                "routing.equivalents.x.policy",
                '.equivalents.x]\nmodels = ["openai/a", "simulator/simulator"]\npolicy = "best"',
            ),
            ("routing.substitutes.gold", '.substitutes.gold]\na = "openai/a"'),
            ("routing.substitutes.free.a", '.substitutes.free]\na = "openai/b"'),
            ("routing.substitutes.free.a", '.substitutes.free]\na = "openai/a"\n[tiers.free]\nmodels = ["b"]'),
        )
    ),
    (
        "routing.equivalents.y",
        (
            '[providers.openai]\nmodels = ["a", "b", "c"]\n[routing.equivalents.x]\nmodels = ["openai/a", "openai/b"]\n'
            'policy = "fastest"\n[routing.equivalents.y]\nmodels = ["openai/b", "openai/c"]\npolicy = "fastest"'
        ),
    ),
    ("prices.a/b.input", '[prices]\n"a/b" = { input = 0.1, output = "1" }'),
    ("prices.a/b.output", '[prices]\n"a/b" = { input = "0.1" }'),
    ("prices.a/b.input", '[prices]\n"a/b" = { input = "-1", output = "1" }'),
    ("prices.a/b.input", '[prices]\n"a/b" = { input = "0.0000000001", output = "1" }'),
    ("prices.a/b.input", '[prices]\n"a/b" = { input = "NaN", output = "1" }'),
    ("charging.policy", '[charging]\npolicy = "free"'),
    ("charging.default_tier", '[charging]\ndefault_tier = "gold"'),
    ("charging.platform_fee_percent", "[charging]\nplatform_fee_percent = 20.5"),
    ("charging.platform_fee_percent", '[charging]\nplatform_fee_percent = "101"'),
    ("charging.platform_fee_max_usd", '[charging]\nplatform_fee_min_usd = "2"\nplatform_fee_max_usd = "1"'),
    ("charging.rounding", '[charging]\nrounding = "down"'),
    ("charging.price_book", '[charging]\nprice_book = "old"'),
    ("charging.credit_margin_percent", '[charging]\ncredit_margin_percent = "-1"'),
    ("charging.unknown_model_ceiling.output", '[charging]\nunknown_model_ceiling = { input = "1", output = "0" }'),
    ("charging.unknown_model_ceiling.output", '[charging]\nunknown_model_ceiling = { input = "1" }'),
    ("charging.credit_value_usd", '[charging]\ncredit_value_usd = "0"'),
    ("tiers.starter.rpm", "[tiers.starter]\nrpm = 0"),
    ("charging.tier_order", '[charging]\ntier_order = ["free", "gold"]'),
    ("charging.tier_order", '[charging]\ntier_order = ["pro", "growth"]'),
    ("methods.ping", "[methods.ping]"),
    ("methods.ping.tier", "[methods.ping]\ntier = 7"),
    ("tiers.starter.monthly_token_quota", "[tiers.starter]\nmonthly_token_quota = -5"),
    ("tiers.starter.overage", '[tiers.starter]\noverage = "on"'),
    ("tiers.starter.thresholds_percent.1", "[tiers.starter]\nthresholds_percent = [80, 101]"),
    ("tiers.starter.thresholds_percent.0", "[tiers.starter]\nthresholds_percent = [0]"),
    ("tiers.team.aliases", '[tiers.team]\naliases = ["pro"]'),
    ("limits.byok.rpm", "[limits]\nbyok = { rpm = 0, tpm = 1, concurrent = 1 }"),
    ("limits.byok.tpm", "[limits]\nbyok = { rpm = 1, concurrent = 1 }"),
    ("keys.secret", '[keys]\nsecret = ""'),
    ("keys.secret", '[keys]\nsecret = "too short"'),
    ("keys.secret", '[keys]\nsecret = "changeme-changeme-changeme-changeme"'),
    ("keys.encryption_keys.0", '[keys]\nencryption_keys = ["c2hvcnQ="]'),
    ("keys.encryption_keys.1", f'[keys]\nencryption_keys = ["{"0" * 64}", "no base64"]'),
    ("keys.encryption_keys", f'[keys]\nencryption_keys = ["{"0" * 64}", "{"0" * 64}"]'),
    ("ingestion.dedupe_days", "[ingestion]\ndedupe_days = 34"),
    ("ingestion", "[ingestion]\ndedupe_days = 40\nlate_days = 40"),
    ("ingestion.unknown_users", '[ingestion]\nunknown_users = "free"'),
    ("ingestion.unit_prices.pages.usd", '[ingestion.unit_prices]\npages = "-1"'),
    ("ingestion.unit_prices.pages.euro", '[ingestion.unit_prices]\npages = { usd = "1", euro = "1" }'),
    ("urls.upgrade", '[urls]\nupgrade = "javascript:alert(1)"'),
    ("logging.level", '[logging]\nlevel = "loud"'),
    ("prompts.directory", '[prompts]\ndirectory = ""'),
    ("prompts.directory", '[prompts]\ndirectory = "nowhere"'),
    ("prompts.directory", '[prompts]\ndirectory = "config.toml"'),
    ("payments.stripe.webhook_secret", '[payments.stripe]\nwebhook_secret = ""'),
    ("payments.stripe.webhook_secret", '[payments.stripe]\nwebhook_secret = "changeme"'),
    ("webhooks.url", '[webhooks]\nurl = "example.com/hook"'),
]


@pytest.mark.parametrize(("key", "text"), REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line_that_names_the_key(tmp_path: Path, key: str, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    environ = {"PUBLIC": PUBLIC, "PRIVATE": PRIVATE, "OTHER": RSAKey.generate_key(2048).as_pem().decode(), "EMPTY": ""}
    with pytest.raises(ConfigError) as refused:
        Settings.load(path, environ)
    line = str(refused.value)
    assert refused.value.key == key
    assert line.startswith(f"{path}: {key}: ")
    assert "\n" not in line
    assert CANARY not in line


SECRET_SLOTS = [
    "auth.public_key",
    "auth.secret",
    "auth.private_key",
    "providers.openai.api_key",
    "providers.openai.headers.x",
    "payments.stripe.webhook_secret",
    "storage.url",
    "storage.redis_url",
    "server.port",
    "server.workers",
    "routing",
    "tiers.free.overage",
    "prices",
    "limits.byok",
    "auth.algorithms",
]


@pytest.mark.parametrize("slot", SECRET_SLOTS)
@pytest.mark.parametrize(
    "shape", ["{}", "postgresql://user:{}@host:port/db", "-----BEGIN PRIVATE KEY-----\n{}", '{{"a": "{}"}}']
)
def test_no_error_repeats_a_value(slot: str, shape: str) -> None:
    environ = {
        f"TOLLGATE__{slot.upper().replace('.', '__')}": shape.format(CANARY),
        "TOLLGATE__PROVIDERS__OPENAI__KIND": "openai",
        "TOLLGATE__SERVER__WORKERS": "0",  # so that every one of them is refused
    }
    with pytest.raises(ConfigError) as refused:
        Settings.load(None, environ)
    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("TOLLGATE__SERVER__PROT", "1", "environment: server.prot: unknown key; remove it, or did you mean 'port'?"),
        ("TOLLGATE__SEVER__PORT", "1", "environment: TOLLGATE__SEVER__PORT: names no section"),
        ("TOLLGATE__SERVER", "x", "environment: server: should be a table of keys"),
        ("TOLLGATE__PROVIDERS", "3", "environment: providers: should be a table of keys"),
        ("TOLLGATE__AUTH", "3", "environment: auth: should be a table of keys"),
        ("TOLLGATE__AUTH__ALGORITHMS", "RS255", "environment: auth.algorithms.0: should be"),
        ("DATABASE_URL", "mysql://x", "environment: storage.url: must be sqlite"),
    ],
)
def test_what_the_environment_says_wrong_is_laid_to_the_environment(
    tmp_path: Path, name: str, value: str, line: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\nport = 1")
    with pytest.raises(ConfigError) as refused:
        Settings.load(path, {name: value})
    assert str(refused.value).startswith(line)


def test_a_file_that_is_missing_or_no_toml_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        Settings.load(tmp_path / "none.toml", {})
    broken = tmp_path / "broken.toml"
    broken.write_text(f'[server]\nport = \nsecret = "{CANARY}')
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 2") as refused:
        Settings.load(broken, {})
    assert CANARY not in str(refused.value)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        Settings.load(binary, {})


def test_weak_rsa_keys_are_refused(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505  # weak on purpose
    pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    path = tmp_path / "config.toml"
    path.write_text(KEYED)
    with pytest.raises(ConfigError, match=r"auth\.public_key: is no usable PEM"):
        Settings.load(path, {"PUBLIC": pem})


@pytest.mark.parametrize("key", ["aliases", "features", "providers", "models", "overage"])
def test_a_null_of_the_environment_leaves_a_tier_as_it_is(key: str) -> None:
    said = Settings.load(None, {f"TOLLGATE__TIERS__STARTER__{key.upper()}": "null"})
    assert tiers_of(said).by_key == tiers_of(Settings()).by_key
