"""What the operator said, in the words of the floors below: pure, and the only place that knows both."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from methods.catalog import Catalog
from methods.errors import MethodNotFound
from methods.providers.building import ProviderConfig
from methods.providers.names import Equivalents, RoutingConfig
from monetization.callers import Secret
from monetization.charging.policies import Fee, Rules
from monetization.charging.rounding import ppm_from_percent
from monetization.entitlements import Gate
from monetization.errors import PriceUnknown
from monetization.prices.book import PriceBook, Source
from monetization.prices.catalogue import Catalogue, SimulatorPrices
from monetization.prices.legacy import legacy_book
from monetization.prices.overrides import from_configuration
from monetization.prices.rates import Rates, rates_from
from monetization.terms import Target
from monetization.tiers import Tier, Tiers
from server.config import ConfigError, Settings
from server.config_checks import tiers_from
from server.config_values import nano


def routing_of(settings: Settings) -> RoutingConfig:
    """Which provider and model a name means, and what is asked when a model fails."""
    said = settings.routing
    return RoutingConfig(
        default_provider=said.default_provider,
        default_model=said.default_model,
        fallbacks=said.fallbacks,
        aliases=said.aliases,
        patterns=said.patterns,
        balance=said.balance,
        equivalents={name: Equivalents(group.models, group.policy) for name, group in said.equivalents.items()},
        substitutes=said.substitutes,
    )


def rules_of(settings: Settings) -> Rules:
    """How the operator charges."""
    said = settings.charging
    return Rules(
        platform_fee=Fee(
            _ppm(said.platform_fee_percent),
            least=nano(said.platform_fee_min_usd),
            greatest=None if said.platform_fee_max_usd is None else nano(said.platform_fee_max_usd),
        ),
        purchase_fee_ppm=_ppm(said.purchase_fee_percent),
        usage_fee_ppm=_ppm(said.usage_fee_percent),
        credit_value_nano=nano(said.credit_value_usd),
        credit_margin_ppm=_ppm(said.credit_margin_percent),
        rounding=said.rounding,
    )


def _ppm(percent: Decimal) -> int:
    return ppm_from_percent(_plain(percent))


def tiers_of(settings: Settings) -> Tiers:
    """The tiers that a configuration comes to. Raises: ConfigError."""
    try:
        return tiers_from(settings)
    except ValueError as wrong:
        key, _, problem = str(wrong).partition(": ")
        raise ConfigError("settings", key, problem) from None


def price_sources_of(settings: Settings) -> list[Source]:
    """The operator's prices over the built-in ones. Raises: ConfigError."""
    written = {name: dict(_dollars(price.model_dump(exclude_none=True))) for name, price in settings.prices.items()}
    try:
        overrides = from_configuration(written)
    except ValueError as wrong:
        raise ConfigError("settings", "prices", str(wrong)) from None
    if settings.charging.price_book == "legacy":
        return [overrides, legacy_book(), SimulatorPrices()]
    catalogue = Catalogue({name: p.base_url for name, p in settings.providers.items()})
    if not _are_all_priced(settings):
        catalogue.load()  # now, because the first call should not wait for it
    return [overrides, catalogue]


def _are_all_priced(settings: Settings) -> bool:
    """Whether the operator names every model that can be called, and a price for each of them."""
    return all(
        provider.kind == "simulator"
        or (
            provider.models
            and all(
                {f"{name}/{model}", f"{provider.kind}/{model}"} & settings.prices.keys() for model in provider.models
            )
        )
        for name, provider in settings.providers.items()
    )


def gates_of(settings: Settings, catalog: Catalog, tiers: Tiers) -> dict[str, Gate]:
    """What is asked of callers, by the method's own name. Raises: ConfigError for a method or a tier that does not exist."""
    gates = {}
    for name, said in settings.methods.items():
        try:
            method = catalog.find(name)
        except MethodNotFound:
            raise ConfigError(
                "settings", f"methods.{name}", "there is no such method; rpc.discover lists them"
            ) from None
        if said.tier is not None and (tiers.key_of(said.tier) is None or tiers.rank(said.tier) is None):
            problem = f"tier {said.tier!r} is not in charging.tier_order, so none is above it; add it there"
            raise ConfigError("settings", f"methods.{name}.tier", problem)
        if method.name in gates:
            raise ConfigError("settings", f"methods.{name}", f"{method.name} is named twice; keep one")
        gates[method.name] = Gate(said.feature, said.tier)
    return gates


def model_costs_of(
    settings: Settings, book: Callable[[], PriceBook], clock_us: Callable[[], int]
) -> Callable[[Tier], dict[str, int]]:
    """What the named models of a tier cost now: `provider/model` → nano dollars for half a million tokens in and half out."""

    def costs(tier: Tier) -> dict[str, int]:
        found = {}
        for target in _named_targets(settings, tier):
            with suppress(PriceUnknown):
                price = book().find(target, clock_us())
                found[f"{target.provider}/{target.model}"] = (price.base.input + price.base.output) // 2
        return found

    return costs


def _named_targets(settings: Settings, tier: Tier) -> Iterator[Target]:
    """The models that the configuration names for a tier; where it names none, all are allowed and none is looked at."""
    for name, provider in settings.providers.items():
        named = provider.models or [model for model in tier.models if not model.endswith("*")]
        for model in named:
            if tier.includes_provider(name) and tier.includes_model(model):
                yield Target(name, model, provider.kind)


def ceiling_of(settings: Settings) -> Rates | None:
    """What a model costs that nobody has a price for; None: it is refused."""
    said = settings.charging.unknown_model_ceiling
    return None if said is None else rates_from(input=nano(said.input), output=nano(said.output))


def secrets_of(settings: Settings) -> list[str]:
    """Every secret of a configuration, for the net under the logs; of an address also its password alone."""

    def found(value: object) -> list[str]:
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            password = urlsplit(secret).password if "://" in secret else None
            return [secret] if password is None else [secret, password, unquote(password)]
        if isinstance(value, dict):
            return [secret for member in value.values() for secret in found(member)]
        if isinstance(value, tuple | list):
            return [secret for member in value for secret in found(member)]
        return []

    return found(settings.model_dump())


def provider_config_of(name: str, settings: Settings) -> ProviderConfig:
    """One configured provider."""
    said = settings.providers[name]
    return ProviderConfig(
        name,
        said.kind,
        api_key=None if said.api_key is None else Secret(said.api_key.get_secret_value()),
        base_url=said.base_url,
        models=said.models,
        timeout_seconds=said.timeout_seconds,
        connect_timeout_seconds=said.connect_timeout_seconds,
        first_byte_timeout_seconds=said.first_byte_timeout_seconds,
        retries=said.retries,
        max_concurrency=said.max_concurrency,
        retries_first_byte=said.retries_first_byte,
        headers={header: Secret(value.get_secret_value()) for header, value in said.headers.items()},
        breaker_failures=said.breaker_failures,
        breaker_seconds=said.breaker_seconds,
        max_tokens_field=said.max_tokens_field,
        asks_stream_usage=said.asks_stream_usage,
        sends_reasoning=said.sends_reasoning,
        speaks_responses=said.speaks_responses,
    )


def _dollars(price: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The figures of `[prices]` by their keys; those of a table inside it as `table.key`."""
    for key, value in price.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{bucket}", _plain(figure)) for bucket, figure in value.items())
        else:
            yield key, _plain(value)


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
