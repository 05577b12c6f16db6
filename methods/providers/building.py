"""Builds the providers and the router from plain configuration values: the one place that names dialects and wrappers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from methods.providers.base import Provider
from methods.providers.choosing import Chooser, Costs
from methods.providers.latencies import Latencies
from methods.providers.names import RoutingConfig
from methods.providers.routing import Catalogue, Router
from monetization.callers import Secret

if TYPE_CHECKING:
    import aiohttp

    from methods.dialects.base import Dialect
    from methods.dialects.canonical_once import Operation
    from methods.dialects.once import AnyOnce
    from methods.dialects.openai_request import MaxTokensField
    from methods.providers.breaker import Breaker
    from methods.providers.capping import Capping
    from methods.providers.observing import Observer

Kind = Literal["openai", "anthropic", "google", "simulator"]

BASE_URLS: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
_MODELS_PATHS: Final[Mapping[str, str]] = {
    "openai": "/models",
    "anthropic": "/v1/models?limit=1",
    "google": "/v1beta/models?pageSize=1",
}


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """`[providers.NAME]`. Times are in seconds."""

    name: str
    kind: Kind
    api_key: Secret | None = None
    base_url: str = ""
    """Empty: the vendor's own. A server at another address may need no key at all (Ollama, vLLM)."""
    models: tuple[str, ...] = ()
    """Empty: every model that has a price."""
    timeout_seconds: float = 120.0
    connect_timeout_seconds: float = 5.0
    first_byte_timeout_seconds: float = 60.0
    retries: int = 2
    retries_first_byte: bool = False
    """Also repeat a stream that did not begin in time; see `Retrying`."""
    max_concurrency: int = 256
    headers: Mapping[str, Secret] = field(default_factory=dict)
    breaker_failures: int = 5
    breaker_seconds: float = 30.0
    max_tokens_field: "MaxTokensField | None" = None
    """This and the next three say what an OpenAI-compatible vendor differs in; see `methods.dialects.openai.OpenAI`."""
    asks_stream_usage: bool = True
    sends_reasoning: bool = False
    speaks_responses: bool | None = None
    """Whether it serves OpenAI's Responses too; None: only OpenAI's own address does. Elsewhere they are translated."""


def build_providers(
    configs: Mapping[str, ProviderConfig],
    *,
    routing: RoutingConfig,
    session: "aiohttp.ClientSession",
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
    random: Callable[[], float],
    observer: "Observer | None" = None,
    catalogue: Catalogue | None = None,
    costs: Costs | None = None,
) -> Router:
    """The router over all configured providers. `clock` gives monotonic seconds, `random` draws from [0, 1)."""
    # Imported here, so that reading a configuration loads no HTTP client.
    from methods.providers.breaker import Breaker  # noqa: PLC0415  # see above
    from methods.providers.capping import Capping  # noqa: PLC0415  # same
    from methods.providers.observing import Observing, Timing  # noqa: PLC0415  # same
    from methods.providers.retrying import Patience, Retrying  # noqa: PLC0415  # same
    from methods.providers.simulator import MODELS, Simulator  # noqa: PLC0415  # same

    providers: dict[str, Provider] = {}
    models: dict[str, tuple[str, ...]] = {}
    is_well: dict[str, Callable[[], bool]] = {}
    measured = set(routing.measured())
    latencies = Latencies(measured, clock)
    for name, config in configs.items():
        models[name] = config.models or (MODELS if config.kind == "simulator" else ())
        provider: Provider
        provider = Simulator(name, sleep=sleep) if config.kind == "simulator" else _http(config, session)
        if observer is not None:
            provider = Observing(provider, observer, clock)
        if any(name == of for of, _ in measured):
            provider = Timing(provider, latencies, clock)
        # From inside out: a slot is held only while the vendor works, not while a retry waits for its turn.
        breaker = Breaker(provider, clock=clock, failures=config.breaker_failures, seconds=config.breaker_seconds)
        capping = Capping(breaker, config.max_concurrency)
        is_well[name] = partial(_is_well, breaker, capping)
        patience = Patience(
            retries=config.retries, total=config.timeout_seconds, retries_first_byte=config.retries_first_byte
        )
        providers[name] = Retrying(capping, patience, clock=clock, sleep=sleep, random=random)
    chooser = Chooser(random=random, latencies=latencies, costs=costs, is_well=is_well)
    return Router(providers, models=models, routing=routing, catalogue=catalogue, chooser=chooser, clock=clock)


def _is_well(breaker: "Breaker", capping: "Capping") -> bool:
    return breaker.state != "open" and not capping.is_full


def _http(config: ProviderConfig, session: "aiohttp.ClientSession") -> Provider:
    from methods.providers.http import HttpProvider, Timeouts  # noqa: PLC0415  # see above

    vendors_own = BASE_URLS[config.kind]
    base_url = config.base_url.rstrip("/") or vendors_own
    return HttpProvider(
        config.name,
        config.kind,
        _compatible(config, is_vendors_own=base_url == vendors_own)
        if config.kind == "openai"
        else dialect_of(config.kind),
        base_url,
        also=_also(config, is_vendors_own=base_url == vendors_own),
        once=_once(config, is_vendors_own=base_url == vendors_own),
        session=session,
        key=config.api_key,
        needs_key=base_url == vendors_own,
        timeouts=Timeouts(
            connect=config.connect_timeout_seconds,
            first_byte=config.first_byte_timeout_seconds,
            total=config.timeout_seconds,
        ),
        headers={name: value.reveal() for name, value in config.headers.items()},
        models_path=_MODELS_PATHS[config.kind],
    )


def _speaks_responses(config: ProviderConfig, *, is_vendors_own: bool) -> bool:
    if config.kind != "openai":
        return False
    return is_vendors_own if config.speaks_responses is None else config.speaks_responses


def _also(config: ProviderConfig, *, is_vendors_own: bool) -> "tuple[Dialect, ...]":
    """What else a vendor speaks at the same address, for clients who speak it."""
    from methods.dialects import tables  # noqa: PLC0415  # see above

    return (tables.dialect_of("responses"),) if _speaks_responses(config, is_vendors_own=is_vendors_own) else ()


def _once(config: ProviderConfig, *, is_vendors_own: bool) -> "Mapping[Operation, AnyOnce]":
    """What a vendor does besides chats. OpenAI counts tokens only for its Responses."""
    from methods.dialects.tables import once_of  # noqa: PLC0415  # see above

    match config.kind:
        case "openai":
            if _speaks_responses(config, is_vendors_own=is_vendors_own):
                return {"embed": once_of("openai", "embed"), "count": once_of("responses", "count")}
            return {"embed": once_of("openai", "embed")}
        case "anthropic":
            return {"count": once_of("anthropic", "count")}
        case _:
            return {"embed": once_of("gemini", "embed"), "count": once_of("gemini", "count")}


def _compatible(config: ProviderConfig, *, is_vendors_own: bool) -> "Dialect":
    """OpenAI's wire as this vendor speaks it: only OpenAI itself wants `max_completion_tokens` and knows no `top_k`."""
    from methods.dialects.openai import OpenAI  # noqa: PLC0415  # see above

    usual: MaxTokensField = "max_completion_tokens" if is_vendors_own else "max_tokens"
    return OpenAI(
        max_tokens_field=config.max_tokens_field or usual,
        asks_stream_usage=config.asks_stream_usage,
        sends_reasoning=config.sends_reasoning,
        sends_top_k=not is_vendors_own,
        knows_seals=not is_vendors_own,
    )


def dialect_of(kind: Kind) -> "Dialect":
    """The dialect of a kind, as the vendor itself speaks it."""
    match kind:
        case "openai":
            from methods.dialects.openai import OpenAI  # noqa: PLC0415  # see above

            return OpenAI()
        case "anthropic":
            from methods.dialects.anthropic import Anthropic  # noqa: PLC0415  # see above

            return Anthropic()
        case "google":
            from methods.dialects.gemini import Gemini  # noqa: PLC0415  # see above

            return Gemini()
        case "simulator":
            raise ValueError("the simulator speaks no dialect")
