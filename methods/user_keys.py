"""Provider keys that users leave here: `storeUserKey` and its siblings `get`, `validate`, `rotate` and `delete`.

Whose a key is comes from the credential alone; a parameter `email` is taken, because the documents show it, and compared only. No
answer ever holds a key: `getUserKey` shows its first characters.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from methods.ai_params import KEY_CHARACTERS_MAX, Name, checked_key
from methods.context import Context
from methods.errors import Forbidden, ProviderFailed, ProviderTimedOut, UnknownProvider
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Reason, actor_of, user_of
from monetization.callers import Secret
from monetization.errors import KeysOff
from monetization.keys.provider_keys import KeptKey
from monetization.limits.bounds import Act
from monetization.periods import iso
from monetization.price_setting import Author
from storage.errors import NotFound, VersionChanged

Email = Annotated[str, Field(max_length=320)]
ProviderKey = Annotated[
    SecretStr,
    Field(max_length=KEY_CHARACTERS_MAX, description="Kept sealed, and never shown again."),
    AfterValidator(checked_key),
]


class KeyPlace(Params):
    """Which provider's key."""

    email: Email | None = Field(
        None, description="Need not be given: whose the key is comes from the credential. Somebody else's is refused."
    )
    provider: Name


class StoreParams(KeyPlace):
    """A key to keep."""

    api_key: ProviderKey
    use_by_default: bool = Field(
        default=False, description="Serve calls that name no `apiKey` with this key, at the provider's own bill."
    )
    reason: Reason | None = None


class RotateParams(KeyPlace):
    """The key that takes the place of the kept one."""

    new_api_key: ProviderKey
    reason: Reason | None = None


class DeleteParams(KeyPlace):
    """Which key to forget."""

    reason: Reason | None = None


class ProvidersParams(Params):
    """Nothing; `email` as everywhere here."""

    email: Email | None = None


class StoreResult(Result):
    """The key is kept."""

    success: bool = True
    key_id: str
    key_preview: str
    message: str


class KeptKeyResult(Result):
    """What may be told of a kept key."""

    has_key: bool
    provider: str
    key_preview: str | None = None
    key_id: str | None = None
    use_by_default: bool | None = None
    created_at: str | None = None
    rotated_at: str | None = None


class UserProvidersResult(Result):
    """The providers that the caller keeps keys of."""

    providers: list[str]


class ValidateResult(Result):
    """What the provider said to the kept key."""

    is_valid: bool
    provider: str
    message: str


class DeleteResult(Result):
    """False where no key was kept."""

    deleted: bool


async def store_user_key(context: Context, params: StoreParams) -> StoreResult:
    """Keep a provider key of the caller, sealed; one that was kept for the provider is replaced."""
    user_id = _user(context, params.email)
    _known(context, params.provider)
    await _pace(context, "key_changes")
    kept = await context.services.keys.kept.store(
        _author(context, params.reason),
        user_id,
        params.provider,
        _secret(params.api_key),
        is_default=params.use_by_default,
    )
    return _stored(kept, "API key stored")


async def get_user_key(context: Context, params: KeyPlace) -> KeptKeyResult:
    """Whether a key is kept for the caller and a provider, and its first characters."""
    kept = await context.services.keys.kept.get(_user(context, params.email), params.provider)
    if kept is None:
        return KeptKeyResult(has_key=False, provider=params.provider)
    return KeptKeyResult(
        has_key=True,
        provider=kept.provider,
        key_preview=kept.preview,
        key_id=kept.id,
        use_by_default=kept.is_default,
        created_at=iso(kept.created_us),
        rotated_at=None if kept.rotated_us is None else iso(kept.rotated_us),
    )


async def get_user_providers(context: Context, params: ProvidersParams) -> UserProvidersResult:
    """The providers that the caller keeps keys of."""
    kept = await context.services.keys.kept.all(_user(context, params.email))
    return UserProvidersResult(providers=[key.provider for key in kept])


async def validate_user_key(context: Context, params: KeyPlace) -> ValidateResult:
    """Ask the provider whether it takes the caller's kept key; its list of models is read, which costs nothing."""
    user_id = _user(context, params.email)
    _known(context, params.provider)
    key = await context.services.keys.kept.reveal(user_id, params.provider)
    await _pace(context, "key_checks")
    is_valid = await context.services.router.providers[params.provider].check_key(key)
    message = "the provider accepts this key" if is_valid else "the provider refuses this key; rotate it"
    return ValidateResult(is_valid=is_valid, provider=params.provider, message=message)


async def rotate_user_key(context: Context, params: RotateParams) -> StoreResult:
    """Put another key in the place of the caller's kept one, from the next call on."""
    user_id = _user(context, params.email)
    await _pace(context, "key_changes")
    kept = await context.services.keys.kept.rotate(
        _author(context, params.reason), user_id, params.provider, _secret(params.new_api_key)
    )
    return _stored(kept, "API key rotated")


async def delete_user_key(context: Context, params: DeleteParams) -> DeleteResult:
    """Forget the caller's kept key of a provider."""
    user_id = _user(context, params.email)
    author = _author(context, params.reason)
    return DeleteResult(deleted=await context.services.keys.kept.delete(author, user_id, params.provider))


def _user(context: Context, email: str | None) -> str:
    """Whose keys. Raises: Forbidden for an address that is not the caller's, InvalidParams for a caller without a user."""
    own = context.caller.email
    if email is not None and own is not None and email.strip().lower() != own.strip().lower():
        raise Forbidden("email is not yours; leave it out, your credential says who you are", reason="not_yours")
    return user_of(context, None)


async def _pace(context: Context, act: Act) -> None:
    """Providers and the seal are not there to be tried out with. Raises: RateLimited."""
    await context.services.admission.pace(context.call, context.caller, act)


def _known(context: Context, provider: str) -> None:
    if provider not in context.services.router.providers:
        raise UnknownProvider(
            f"there is no provider {provider!r}; listProviders names those that there are", data={"provider": provider}
        )


def _stored(kept: KeptKey, message: str) -> StoreResult:
    return StoreResult(key_id=kept.id, key_preview=kept.preview, message=message)


def _author(context: Context, reason: str | None) -> Author:
    return Author(actor_of(context), reason or "")


def _secret(key: SecretStr) -> Secret:
    return Secret(key.get_secret_value())


_PLACE = {"provider": "anthropic"}
_STORED = {"success": True, "keyId": "0123456789abcdef", "keyPreview": "your-pro"}
METHODS = (
    Method(
        name="storeUserKey",
        handler=store_user_key,
        scope="keys:write",
        access=Access.REQUIRED,
        aliases=("auth.storeUserKey",),
        faults=(KeysOff, Forbidden, UnknownProvider, VersionChanged),
        examples=(
            Example(
                "a key of one's own",
                {**_PLACE, "apiKey": "your-provider-key"},
                {**_STORED, "message": "API key stored"},
            ),
        ),
    ),
    Method(
        name="getUserKey",
        handler=get_user_key,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("auth.getUserKey",),
        faults=(KeysOff, Forbidden),
        examples=(
            Example(
                "a key that is kept",
                _PLACE,
                {
                    "hasKey": True,
                    "provider": "anthropic",
                    "keyPreview": "your-pro",
                    "keyId": "0123456789abcdef",
                    "useByDefault": False,
                    "createdAt": "2026-11-01T09:00:00Z",
                },
            ),
        ),
    ),
    Method(
        name="getUserProviders",
        handler=get_user_providers,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("auth.getUserProviders",),
        faults=(KeysOff, Forbidden),
        examples=(Example("two keys", {}, {"providers": ["anthropic", "openai"]}),),
    ),
    Method(
        name="validateUserKey",
        handler=validate_user_key,
        scope="keys:write",
        access=Access.REQUIRED,
        aliases=("auth.validateUserKey",),
        faults=(KeysOff, Forbidden, NotFound, UnknownProvider, ProviderFailed, ProviderTimedOut),
        examples=(
            Example(
                "a key that works",
                _PLACE,
                {"isValid": True, "provider": "anthropic", "message": "the provider accepts this key"},
            ),
        ),
    ),
    Method(
        name="rotateUserKey",
        handler=rotate_user_key,
        scope="keys:write",
        access=Access.REQUIRED,
        aliases=("auth.rotateUserKey",),
        faults=(KeysOff, Forbidden, NotFound, VersionChanged),
        examples=(
            Example(
                "a new key", {**_PLACE, "newApiKey": "your-new-provider-key"}, {**_STORED, "message": "API key rotated"}
            ),
        ),
    ),
    Method(
        name="deleteUserKey",
        handler=delete_user_key,
        scope="keys:write",
        access=Access.REQUIRED,
        aliases=("auth.deleteUserKey",),
        faults=(KeysOff, Forbidden, VersionChanged),
        examples=(Example("a key that is not needed any more", _PLACE, {"deleted": True}),),
    ),
)
