"""Methods about the server itself: is it there, what can it do, whom does it ask. Free, and none of them tells a credential."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import ConfigDict, Field, SecretStr, field_validator

from methods.ai_params import KEY_CHARACTERS_MAX, Name, checked_key
from methods.context import Context
from methods.errors import ProviderFailed, ProviderTimedOut, UnknownProvider
from methods.method import Access, Example, Method, NoParams, Params, Result, Tool
from monetization.callers import Secret

_SAMPLE_TIME: Final = "2026-01-31T12:00:00Z"


class PingResult(Result):
    """The server is there."""

    pong: bool
    timestamp: str = Field(description="The server's time, ISO 8601 in UTC.")


class HealthResult(Result):
    """How this process is; more members may follow."""

    model_config = ConfigDict(extra="allow")

    status: str = Field(description="'healthy', or what is wrong in one word.")
    timestamp: str


class ProviderReport(Result):
    """One configured provider."""

    name: str
    kind: str = Field(description="Whose wire it speaks: openai, anthropic, google or simulator.")
    models: int = Field(description="How many models it serves here by name.")
    is_configured: bool = Field(description="True: the server has a key for it. False: only callers with an own key.")
    is_default: bool


class ListProvidersResult(Result):
    """The configured providers."""

    providers: tuple[ProviderReport, ...]
    source: str = Field("configuration", description="Where the list comes from.")
    last_updated: str


class ListModelsParams(Params):
    """Which provider's models; all of them when absent."""

    provider: Name | None = None


class ListModelsResult(Result):
    """The models that can be named. With a provider: its name, its models; without: the models of all, and `byProvider`."""

    provider: str | None = None
    models: tuple[str, ...]
    count: int
    by_provider: dict[str, tuple[str, ...]] | None = None
    aliases: tuple[str, ...] | None = None
    """Names that the operator gave to models; absent: there are none."""


class ValidateProviderParams(Params):
    """A provider and a key for it."""

    provider: Name
    api_key: SecretStr = Field(max_length=KEY_CHARACTERS_MAX, description="Used once for this check and never kept.")

    @field_validator("api_key", mode="after")
    @classmethod
    def _is_key(cls, key: SecretStr) -> SecretStr:
        return checked_key(key) or key


class ValidateProviderResult(Result):
    """What the provider said to the key."""

    is_valid: bool
    provider: str
    message: str


class CancelParams(Params):
    """The `id` of the request to cancel, with its own type."""

    model_config = ConfigDict(strict=True)

    id: str | int | float = Field(description="The `id` that the request was sent with.")
    api_key: SecretStr | None = Field(
        None,
        max_length=KEY_CHARACTERS_MAX,
        description="The own provider key of the call to cancel: for a caller without a credential, it proves whose it is.",
    )

    @property
    def own_key(self) -> Secret | None:
        """The key that the call was sent with."""
        return None if self.api_key is None else Secret(self.api_key.get_secret_value())


class CancelResult(Result):
    """Whether a running call was cancelled."""

    cancelled: bool


async def ping(context: Context, params: NoParams) -> PingResult:
    """Answer at once, without touching anything."""
    del params
    return PingResult(pong=True, timestamp=_time(context))


async def health(context: Context, params: NoParams) -> HealthResult:
    """Report on this process, without details that would help an attacker."""
    del params
    return HealthResult.model_validate({"timestamp": _time(context), **context.services.health()})


async def discover(context: Context, params: NoParams) -> Mapping[str, object]:
    """Describe every method as an OpenRPC document; `GET /openrpc.json` gives the same."""
    del params
    return await context.services.openrpc()


async def list_providers(context: Context, params: NoParams) -> ListProvidersResult:
    """List the configured providers."""
    del params
    router = context.services.router
    reports = [
        ProviderReport(
            name=name,
            kind=provider.kind,
            models=len(router.models(name)),
            is_configured=provider.has_operator_key(),
            is_default=name == router.default_provider,
        )
        for name, provider in router.providers.items()
    ]
    return ListProvidersResult(providers=tuple(reports), last_updated=_time(context))


async def list_models(context: Context, params: ListModelsParams) -> ListModelsResult:
    """List the models that can be named, of one provider or of all."""
    router = context.services.router
    if params.provider is not None:
        if params.provider not in router.providers:
            raise UnknownProvider(f"no provider {params.provider!r} is configured; listProviders names those that are")
        models = tuple(router.models(params.provider))
        return ListModelsResult(provider=params.provider, models=models, count=len(models))
    by_provider = {name: tuple(router.models(name)) for name in router.providers}
    models = tuple(sorted({model for models in by_provider.values() for model in models}))
    return ListModelsResult(models=models, count=len(models), by_provider=by_provider, aliases=router.aliases or None)


async def validate_provider(context: Context, params: ValidateProviderParams) -> ValidateProviderResult:
    """Ask a provider whether it takes a key, at no cost: its list of models is read with it."""
    router = context.services.router
    provider = router.providers.get(params.provider)
    if provider is None:
        raise UnknownProvider(f"no provider {params.provider!r} is configured; listProviders names those that are")
    is_valid = await provider.check_key(Secret(params.api_key.get_secret_value()))
    message = "the provider accepts this key" if is_valid else "the provider refuses this key"
    return ValidateProviderResult(is_valid=is_valid, provider=params.provider, message=message)


async def cancel(context: Context, params: CancelParams) -> CancelResult:
    """Cancel one of the caller's own running calls; ids of others are unknown here."""
    return CancelResult(cancelled=context.services.running.cancel(context.caller, params.id))


def _time(context: Context) -> str:
    now = datetime.fromtimestamp(context.services.clock(), UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


METHODS = (
    Method(
        name="ping",
        handler=ping,
        scope="public",
        access=Access.PUBLIC,
        examples=(Example("ping", {}, {"pong": True, "timestamp": _SAMPLE_TIME}),),
    ),
    Method(
        name="health",
        handler=health,
        scope="public",
        access=Access.PUBLIC,
        aliases=("system.health",),
        examples=(Example("health", {}, {"status": "healthy", "timestamp": _SAMPLE_TIME}),),
    ),
    Method(name="rpc.discover", handler=discover, scope="public", access=Access.PUBLIC),
    Method(
        name="listProviders",
        handler=list_providers,
        scope="public",
        access=Access.OPTIONAL,
        aliases=("ai.listProviders",),
        examples=(
            Example(
                "the configured providers",
                {},
                {
                    "providers": [
                        {"name": "simulator", "kind": "simulator", "models": 1, "isConfigured": True, "isDefault": True}
                    ],
                    "source": "configuration",
                    "lastUpdated": _SAMPLE_TIME,
                },
            ),
        ),
    ),
    Method(
        name="listAllowedModels",
        handler=list_models,
        scope="public",
        tool=Tool("Models that can be named"),
        access=Access.OPTIONAL,
        aliases=("ai.listAllowedModels",),
        faults=(UnknownProvider,),
        examples=(
            Example(
                "one provider",
                {"provider": "simulator"},
                {"provider": "simulator", "models": ["simulator"], "count": 1},
            ),
            Example(
                "all providers",
                {},
                {"models": ["simulator"], "count": 1, "byProvider": {"simulator": ["simulator"]}},
            ),
        ),
    ),
    Method(
        name="validateProvider",
        handler=validate_provider,
        scope="ai:call",
        # Not for anonymous callers: it would tell strangers whether a found key works.
        access=Access.REQUIRED,
        aliases=("ai.validateProvider",),
        faults=(UnknownProvider, ProviderFailed, ProviderTimedOut),
        examples=(
            Example(
                "a key that works",
                {"provider": "simulator", "apiKey": "your-provider-key"},
                {"isValid": True, "provider": "simulator", "message": "the provider accepts this key"},
            ),
        ),
    ),
    Method(
        name="cancelRequest",
        handler=cancel,
        scope="ai:call",
        access=Access.OPTIONAL,
        examples=(Example("an id that does not run", {"id": "r-1"}, {"cancelled": False}),),
    ),
)
