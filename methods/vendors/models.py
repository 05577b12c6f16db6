"""The models that a caller may name on a vendor's door, as that vendor would list them."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from pydantic import Field

from methods.context import Context
from methods.dialects.canonical import Json, JsonObject
from methods.errors import UnknownModel
from methods.method import Access, Method, Params

MODELS: Final = "vendorModels"
_PAGE: Final = 1000
_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""When a model came to be is not known here; the vendors' types want an instant."""


class ModelsParams(Params):
    """Whose shape, and which one or which page."""

    dialect: str
    model: str | None = None
    """One model alone."""
    limit: int = Field(_PAGE, ge=1, le=_PAGE)
    page_size: int = Field(0, ge=0)
    """As Google takes it: 0 is its own choice, and what is too large is what there is."""
    after: str | None = None
    before: str | None = None


async def models(context: Context, params: ModelsParams) -> Mapping[str, object]:
    """List what the caller's tier includes, in order of the names."""
    listed = _listed(context)
    shape = _SHAPES[params.dialect]
    if params.model is not None:
        provider = listed.get(params.model) or _named(context, params.model)
        return shape(params.model, provider)
    return _LISTS[params.dialect](listed, params)


def _listed(context: Context) -> dict[str, str]:
    """Model or alias → the provider that serves it when only that is named."""
    router = context.services.router
    tier = context.services.tiers().of(context.caller.tier)
    found: dict[str, str] = {}
    for name in filter(tier.includes_provider, router.providers):
        for model in router.models(name):
            if tier.includes_model(model):
                found.setdefault(model, name)
    for alias in router.aliases:
        found.pop(alias, None)
        for target in router.route(None, alias).equals:
            if tier.includes_provider(target.provider) and tier.includes_model(target.model):
                found.setdefault(alias, target.provider)
    return dict(sorted(found.items()))


def _named(context: Context, model: str) -> str:
    """The provider of a model in any other spelling that calls may use, such as `provider/model`. Raises: UnknownModel."""
    tier = context.services.tiers().of(context.caller.tier)
    with suppress(UnknownModel):
        target = context.services.router.route(None, model).equals[0]
        if tier.includes_provider(target.provider) and tier.includes_model(target.model):
            return target.provider
    raise UnknownModel(f"the model {model!r} does not exist or your plan does not include it")


def _openai(model: str, provider: str) -> JsonObject:
    return {"id": model, "object": "model", "created": int(_EPOCH.timestamp()), "owned_by": provider}


def _anthropic(model: str, provider: str) -> JsonObject:
    del provider
    created = _EPOCH.isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": model, "display_name": model, "created_at": created, "lifecycle": "active"}


def _gemini(model: str, provider: str) -> JsonObject:
    del provider
    verbs: list[Json] = ["generateContent", "streamGenerateContent", "countTokens"]
    return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": verbs}


def _openai_list(listed: Mapping[str, str], params: ModelsParams) -> JsonObject:
    del params
    return {"object": "list", "data": [_openai(model, provider) for model, provider in listed.items()]}


def _anthropic_list(listed: Mapping[str, str], params: ModelsParams) -> JsonObject:
    names = list(listed)
    if params.before is not None:
        earlier = [name for name in names if name < params.before]
        page, has_more = earlier[-params.limit :], len(earlier) > params.limit
    else:
        later = [name for name in names if params.after is None or name > params.after]
        page, has_more = later[: params.limit], len(later) > params.limit
    return {
        "data": [_anthropic(name, listed[name]) for name in page],
        "has_more": has_more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _gemini_list(listed: Mapping[str, str], params: ModelsParams) -> JsonObject:
    names = [name for name in listed if params.after is None or name > params.after]
    page = names[: min(params.page_size or _PAGE, _PAGE)]
    shown: JsonObject = {"models": [_gemini(name, listed[name]) for name in page]}
    if len(names) > len(page):
        shown["nextPageToken"] = page[-1]
    return shown


_SHAPES: Final = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
_LISTS: Final = {"openai": _openai_list, "anthropic": _anthropic_list, "gemini": _gemini_list}

METHODS: Final = (
    Method(
        name=MODELS,
        handler=models,
        scope="public",
        access=Access.REQUIRED,
        faults=(UnknownModel,),
        like="listAllowedModels",
    ),
)
