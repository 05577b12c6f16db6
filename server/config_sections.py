"""Every section of the configuration file as a type; the attribute layout mirrors the file. No section knows another one."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal  # Any: TOML before it is checked

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from monetization.charging.rounding import Rounding
from monetization.tiers import ORDER, Policy
from server.config_values import (
    Exact,
    Folder,
    HeaderName,
    HeaderValue,
    Names,
    Percent,
    Section,
    has_port,
    header_value,
    nano,
)

Kind = Literal["openai", "anthropic", "google", "simulator"]
Algorithm = Literal["RS256", "ES256", "Ed25519", "EdDSA", "HS256"]
Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]
Amount = Annotated[int, Field(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def _filled(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("is empty; give a value, or remove the key")
    return value


Filled = Annotated[SecretStr, AfterValidator(_filled)]
"""A secret that is not empty. It never prints."""


class ServerSettings(Section):
    """`[server]`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    public_url: str = ""
    """The address that clients see. Empty in the file: made of host and port."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    http_status: Literal["always_200", "mapped"] = "always_200"
    body_bytes_max: Annotated[int, Field(ge=1_024, le=2**30)] = 4_194_304
    batch_max: Annotated[int, Field(ge=1, le=1_000)] = 50
    batch_concurrency: Annotated[int, Field(ge=1, le=1_000)] = 8
    """Calls of one batch that run at the same time."""
    depth_max: Annotated[int, Field(ge=8, le=500)] = 64
    """Nesting of a JSON body."""
    response_bytes_max: Annotated[int, Field(ge=1_024, le=2**30)] = 16_777_216
    read_timeout_seconds: Seconds = 15.0
    """For a whole request to arrive."""
    calls_max: Positive = 512
    """Metered calls that run in one process; more are refused with -32010."""
    drain_seconds: Seconds = 20.0
    """After SIGTERM, how long running calls may take to finish."""
    drain_notice_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 0.0
    """After SIGTERM, how long readiness fails before draining begins, so that a load balancer can notice."""
    ping_seconds: Seconds = 15.0
    """Between two signs of life on an idle stream."""
    cors_origins: Names = ()
    trusted_proxies: Names = ()
    """Addresses whose X-Forwarded-For is believed. Empty: nobody's."""
    metrics_token: Filled | None = None
    """What `/metrics` wants as bearer token. None: nothing, so whoever reaches the port reads what the business takes."""

    @model_validator(mode="before")
    @classmethod
    def _address(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("public_url"):
            host = str(values.get("host", "127.0.0.1"))
            shown = f"[{host}]" if ":" in host else host
            return {**values, "public_url": f"http://{shown}:{values.get('port', 8000)}"}
        return values


def _database(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().replace("postgres://", "postgresql://", 1)
    file = url.removeprefix("sqlite:///")
    is_known = bool(file) and file != ":memory:" and "?" not in file if file != url else url.startswith("postgresql://")
    if not is_known or not has_port(url):
        raise ValueError("must be sqlite:///FILE or postgresql://user:password@host/database")
    return SecretStr(url)


def _redis(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url and not (url.startswith(("redis://", "rediss://", "unix://")) and has_port(url)):
        raise ValueError("must be redis://host:port/number, rediss://…, unix://… or empty")
    return value


class StorageSettings(Section):
    """`[storage]`. URLs may hold passwords, so both are secrets."""

    url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///tollgate.db")
    redis_url: Annotated[SecretStr, AfterValidator(_redis)] = SecretStr("")
    """Empty: limits and leases live in this process."""
    usage_retention_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    check_age_seconds_max: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 1.0
    """How old another process's commit may be before a check shows it; SQLite has no other process. 0: each asks the database."""

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.url.get_secret_value().startswith("sqlite:")


ClaimName = Annotated[str, Field(min_length=1)]


class ClaimNames(Section):
    """`[auth] claims`: what the claims of a token are called."""

    user: ClaimName = "userId"
    """Falls back to `sub`."""
    organization: ClaimName = "organizationId"
    tier: ClaimName = "subscriptionTier"
    email: ClaimName = "email"
    monthly_token_quota: ClaimName = "monthlyTokenQuota"  # noqa: S105  # the name of a claim
    rpm: ClaimName = "rpmLimit"
    tpm: ClaimName = "tpmLimit"
    features: ClaimName = "features"
    roles: ClaimName = "roles"
    role: ClaimName = "role"


def _pem(value: SecretStr) -> SecretStr:
    # Environment variables often hold a PEM with its line ends written as \n.
    return SecretStr(value.get_secret_value().replace("\\n", "\n").strip())


Pem = Annotated[Filled, AfterValidator(_pem)]


class AuthSettings(Section):
    """`[auth]`. Without a key only anonymous callers and callers with an own provider key are served."""

    issuer: str = ""
    audience: str = ""
    algorithms: Annotated[tuple[Algorithm, ...], Names.__metadata__[0], Field(min_length=1)] = ("RS256",)
    public_key: Pem | None = None
    jwks_url: str | None = None
    jwks_refresh_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """Age at which the key set is fetched again."""
    jwks_refetch_seconds: Annotated[float, Field(ge=1, le=3_600)] = 10.0
    """At most one fetch in this time, whatever callers send."""
    jwks_stale_seconds: Annotated[float, Field(ge=1, le=604_800)] = 86_400.0
    """How long the last good key set is used while its URL fails."""
    secret: Filled | None = None
    private_key: Pem | None = None
    """Only for `tollgate token`; a server that is told its issuer's public key needs none."""
    clock_tolerance_seconds: Annotated[int, Field(ge=0, le=600)] = 30
    authoritative: bool = False
    public_methods: Names = (
        "health",
        "ping",
        "rpc.discover",
        "listTiers",
        "getTierDetails",
        "getProviderPricing",
    )
    require_auth: bool = False
    anonymous: Literal["off", "byok"] = "byok"
    admin_reach: Literal["installation", "organization"] = "installation"
    """Whom a token's role `admin` manages: everybody, as an operator; or the organization that the token names, and no other."""
    claims: ClaimNames = ClaimNames()

    @property
    def has_key(self) -> bool:
        """Whether tokens can be checked at all."""
        return any((self.public_key, self.jwks_url, self.secret, self.private_key))


_BASE_URLS: dict[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "simulator": "",
}


class ProviderSettings(Section):
    """`[providers.NAME]`."""

    BASE_URLS: ClassVar[dict[str, str]] = _BASE_URLS

    kind: Kind
    """May be left out where the name itself is a kind."""
    api_key: Annotated[Filled, AfterValidator(header_value)] | None = None
    """None: only callers with an own key are served by it (or a server that asks for none)."""
    base_url: Annotated[str, AfterValidator(lambda url: url.rstrip("/"))] = ""
    """Empty in the file: the vendor's own."""
    models: Names = ()
    """Empty: every model that has a price."""
    timeout_seconds: Seconds = 120.0
    connect_timeout_seconds: Seconds = 5.0
    first_byte_timeout_seconds: Seconds = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retries_first_byte: bool = False
    """Also repeat a stream whose first byte did not come in time; the vendor may charge for both."""
    max_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 256
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Sent with every request; values count as secrets."""
    breaker_failures: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Failures in a row after which the provider is left alone."""
    breaker_seconds: Seconds = 30.0
    """How long it is left alone."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """This and the next three are only for kind = "openai". The member that bounds an answer; None: what the address suggests."""
    asks_stream_usage: bool = True
    """False: for a vendor that refuses `stream_options` and sends usage anyway."""
    sends_reasoning: bool = False
    """Give thinking of earlier answers back as `reasoning_content`, as DeepSeek wants it."""
    speaks_responses: bool | None = None
    """Whether it serves OpenAI's Responses too; None: only OpenAI's own address does. Elsewhere they are translated."""

    @model_validator(mode="before")
    @classmethod
    def _vendor_address(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("base_url") and str(values.get("kind")) in _BASE_URLS:
            return {**values, "base_url": _BASE_URLS[values["kind"]]}
        return values


class PriceSettings(Section):
    """`[prices]`: US dollars per million units. None: as `input`, or `output`; a cache's hour as its five minutes."""

    input: Exact
    output: Exact
    cache_read: Exact | None = None
    cache_write_5m: Exact | None = None
    cache_write_1h: Exact | None = None
    audio_input: Exact | None = None
    image_input: Exact | None = None
    reasoning: Exact | None = None
    audio_output: Exact | None = None
    image_output: Exact | None = None
    batch: dict[str, Exact] | None = None
    """The same keys, for calls that the provider handles as a batch; so the others."""
    flex: dict[str, Exact] | None = None
    priority: dict[str, Exact] | None = None
    fast: dict[str, Exact] | None = None


class CeilingSettings(Section):
    """`[charging] unknown_model_ceiling`: US dollars per million tokens. Never zero: what nobody can price is not free."""

    input: Annotated[Exact, Field(gt=0)]
    output: Annotated[Exact, Field(gt=0)]


class ChargingSettings(Section):
    """`[charging]`: what tiers do that do not say otherwise."""

    default_tier: str = "free"
    tier_order: Names = ORDER
    """Tiers from the lowest to the highest, for rules that ask for "at least" a tier."""
    policy: Policy = "allowance"
    price_book: Literal["current", "legacy"] = "current"
    """`legacy`: the price tables of the founding documents, and no other built-in price."""
    unknown_model_ceiling: CeilingSettings | None = None
    """None: a model without a price is refused. Else it is held and charged at this."""
    platform_fee_percent: Percent = Decimal(20)
    platform_fee_min_usd: Exact = Decimal(0)
    platform_fee_max_usd: Exact | None = None
    """None: no greatest fee."""
    purchase_fee_percent: Percent = Decimal(20)
    usage_fee_percent: Annotated[Exact, Field(le=1_000)] = Decimal(25)
    credit_value_usd: Annotated[Exact, Field(gt=0)] = Decimal("0.01")
    credit_margin_percent: Annotated[Exact, Field(le=10_000)] = Decimal(0)
    """On top of the provider's cost when it is charged in credits."""
    rounding: Rounding | None = None
    """None: each policy's own way."""
    overdraft_tokens: Amount = 0
    hold_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Life of a hold, in seconds. A running call extends its own; a hold of a process that died ends by itself after it."""


class Overage(Section):
    """`overage` of a tier: calls past the quota are served at this price."""

    price_usd_per_million: Exact | None
    """None: `overage = "off"`."""


def _overage(value: object) -> object:
    return Overage(price_usd_per_million=None) if value == "off" else value


def _threshold(value: int) -> int:
    if not 1 <= value <= 100:  # noqa: PLR2004  # percent
        raise ValueError("every threshold must lie between 1 and 100")
    return value


def _unlimited(value: object) -> object:
    return None if value == "unlimited" else value


Unlimited: Final = BeforeValidator(_unlimited)
"""`"unlimited"` lifts what the built-in tier of the same name limits: said, and None."""


_LIFTED: Final = frozenset(
    {"monthly_token_quota", "monthly_request_quota", "max_tokens_per_request", "rpm", "tpm", "concurrent"}
)
"""Keys of a tier for which None is an answer: no limit."""


class TierSettings(Section):
    """`[tiers.NAME]`: what the operator says about a tier. None: not said, the built-in tier or the default stands."""

    name: Annotated[str, Field(min_length=1)] | None = None
    aliases: Names | None = None
    price_usd: Exact | None = None
    policy: Policy | None = None
    monthly_token_quota: Annotated[Amount | None, Unlimited] = None
    monthly_request_quota: Annotated[Amount | None, Unlimited] = None
    max_tokens_per_request: Annotated[Positive | None, Unlimited] = None
    rpm: Annotated[Positive | None, Unlimited] = None
    tpm: Annotated[Positive | None, Unlimited] = None
    concurrent: Annotated[Positive | None, Unlimited] = None
    features: Names | None = None
    providers: Names | None = None
    models: Names | None = None
    overage: Annotated[Overage, BeforeValidator(_overage)] | None = None
    rollover_max_tokens: Amount | None = None
    thresholds_percent: tuple[Annotated[int, AfterValidator(_threshold)], ...] | None = None

    def said(self) -> dict[str, object]:
        """Only what was said, spelled as `monetization.tiers.Tier` spells its fields."""
        fields: dict[str, object] = {}
        for key in self.model_fields_set:
            value = getattr(self, key)
            if value is None and key not in _LIFTED:  # a null of the environment says nothing either
                continue
            match key:
                case "price_usd":
                    fields["price_nano"] = nano(value)
                case "overage":
                    price = value.price_usd_per_million
                    fields["overage_nano_per_million"] = None if price is None else nano(price)
                case "features" | "providers" | "models":
                    fields[key] = frozenset(value)
                case _:
                    fields[key] = value
        return fields


class UrlsSettings(Section):
    """`[urls]`: where refused callers are sent."""

    upgrade: str = ""
    billing: str = ""


class LoggingSettings(Section):
    """`[logging]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class PromptsSettings(Section):
    """`[prompts]`."""

    directory: Folder | None = None
    """Prompt files, relative to the configuration file. None: the server keeps no prompts."""


class ProcessorSettings(Section):
    """`[payments.NAME]`."""

    webhook_secret: Filled | None = None
    """None: its webhook door stays closed."""


class PaymentsSettings(Section):
    """`[payments]`."""

    stripe: ProcessorSettings = ProcessorSettings()


class WebhooksSettings(Section):
    """`[webhooks]`: events that are sent out."""

    url: str = ""
    """Where billing events go. Empty: nowhere."""
