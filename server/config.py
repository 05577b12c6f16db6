"""The settings of a server: loaded once, checked whole, frozen. Nothing here reads the process's environment or opens a port.

Where a value comes from, first match wins: `TOLLGATE__SECTION__KEY` in the environment; the file; a documented plain name in the
environment (`OPENSAAS_PUBLIC_KEY`, `DATABASE_URL`, …), which fills only what nobody said; the default.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self  # Any: TOML before it is checked

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from monetization.tiers import KEY_PATTERN
from server.config_abuse import AbuseSettings
from server.config_checks import first_contradiction
from server.config_errors import ConfigError
from server.config_gates import GateSettings
from server.config_ingestion import IngestionSettings
from server.config_keys import KeysSettings
from server.config_limits import LimitsSettings
from server.config_mcp import McpSettings, resource_of
from server.config_names import documented_names
from server.config_routing import RoutingSettings
from server.config_sections import (
    AuthSettings,
    ChargingSettings,
    LoggingSettings,
    PaymentsSettings,
    PriceSettings,
    PromptsSettings,
    ProviderSettings,
    ServerSettings,
    StorageSettings,
    TierSettings,
    UrlsSettings,
    WebhooksSettings,
)
from server.config_signals import SignalSettings
from server.config_values import MissingReference, References, Section, from_json, merged, walk

__all__ = ["ConfigError", "Settings"]

PREFIX = "TOLLGATE__"
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
TierKey = Annotated[str, Field(pattern=KEY_PATTERN)]


class Settings(Section):
    """Everything an operator can say. Made by `Settings.load`, or by `Settings.of` from values in code."""

    KINDS: ClassVar[tuple[str, ...]] = ("openai", "anthropic", "google", "simulator")

    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    auth: AuthSettings = AuthSettings()
    providers: dict[Name, ProviderSettings] = Field(default_factory=dict)
    routing: RoutingSettings = RoutingSettings()
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    charging: ChargingSettings = ChargingSettings()
    tiers: dict[TierKey, TierSettings] = Field(default_factory=dict)
    limits: LimitsSettings = LimitsSettings()
    abuse: AbuseSettings = AbuseSettings()
    signals: SignalSettings = SignalSettings()
    methods: dict[str, GateSettings] = Field(default_factory=dict)
    keys: KeysSettings = KeysSettings()
    ingestion: IngestionSettings = IngestionSettings()
    urls: UrlsSettings = UrlsSettings()
    logging: LoggingSettings = LoggingSettings()
    prompts: PromptsSettings = PromptsSettings()
    payments: PaymentsSettings = PaymentsSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    mcp: McpSettings = McpSettings()

    model_config = ConfigDict(validate_default=False)
    _file: Path | None = PrivateAttr(default=None)
    _environ: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def file(self) -> Path | None:
        """The file that was loaded; None where the settings were made in code or from the environment alone."""
        return self._file

    @property
    def resources(self) -> tuple[str, ...]:
        """The addresses of ours that tokens may be bound to (RFC 8707)."""
        return (resource_of(self.server.public_url),) if self.mcp.enabled else ()

    def reread(self) -> Self:
        """What the same file and environment say now. Raises: ConfigError, also where no file was loaded."""
        if self._file is None:
            raise ConfigError(
                "settings", "", "the server was started without a file, so there is nothing to read again"
            )
        return self.load(self._file, self._environ)

    def loaded_from(self, path: Path | None, environ: Mapping[str, str]) -> Self:
        """These settings, knowing where they came from."""
        self._file, self._environ = path, environ
        return self

    @model_validator(mode="before")
    @classmethod
    def _kinds_by_name(cls, values: Any) -> Any:
        providers = values.get("providers") if isinstance(values, dict) else None
        if not isinstance(providers, dict):
            return values
        named = {
            name: {"kind": name, **said} if name in cls.KINDS and isinstance(said, dict) else said
            for name, said in providers.items()
        }
        return {**values, "providers": named}

    @classmethod
    def load(cls, path: Path | None, environ: Mapping[str, str]) -> Self:
        """Read the file (None: only the environment), lay the environment over it, check everything.

        Raises: ConfigError, one line that names the key.
        """
        said = {} if path is None else _read(path)
        variables = _variables(environ)
        values = documented_names(merged(said, variables), environ)
        in_file = {key for key, _ in walk(said)}
        outside = {key for key, _ in walk(variables)} | {key for key, _ in walk(values) if key not in in_file}
        return cls.of(
            values,
            environ=environ,
            folder=Path() if path is None else path.parent,
            origins=_Origins("environment" if path is None else str(path), outside),
        ).loaded_from(path, environ)

    @classmethod
    def of(
        cls,
        values: Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
        folder: Path = Path(),
        origins: "_Origins | None" = None,
    ) -> Self:
        """Settings from nested values as the file would hold them. Relative paths start at `folder`. Raises: ConfigError."""
        origins = origins or _Origins("settings")
        try:
            settings = cls.model_validate(_placed(References(environ or {}, folder).resolve(values), folder))
        except MissingReference as wrong:
            raise origins.error(wrong.path, wrong.problem) from None
        except ValidationError as wrong:
            raise origins.error(*_first_problem(cls, wrong)) from None
        contradiction = first_contradiction(settings)
        if contradiction is not None:
            key, problem = contradiction
            raise origins.error(tuple(key.split(".")), problem)
        return settings


class _Origins:
    """Says whether a value came from the file or from the environment, for the one line of an error."""

    def __init__(self, source: str, outside: Iterable[tuple[str, ...]] = ()) -> None:
        self._source = source
        self._outside = frozenset(outside)

    def error(self, path: tuple[str, ...], problem: str) -> ConfigError:
        """The error of a key; `path` may lead into a value or stop above it."""
        is_outside = any(path[: len(said)] == said for said in self._outside)
        return ConfigError("environment" if is_outside else self._source, ".".join(path), problem)


class _Variables(EnvSettingsSource):
    """`TOLLGATE__SECTION__KEY` of a given environment; the library's own source would read the process's."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(
            Settings,  # type: ignore[arg-type]  # only its fields are read, and those of any model will do
            case_sensitive=False,
            env_prefix=PREFIX,
            env_nested_delimiter="__",
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        del field_name, field
        return from_json(value)


def _variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """The tree that the environment says. Raises: ConfigError for a section that does not exist."""
    for name in sorted(environ):
        if name.upper().startswith(PREFIX) and name[len(PREFIX) :].lower().split("__")[0] not in Settings.model_fields:
            raise ConfigError("environment", name, "names no section; known: " + ", ".join(Settings.model_fields))
    return _Variables(environ)()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(str(path), "", "there is no such file; copy config.example.toml and edit it")
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()  # type: ignore[arg-type]  # same
    except OSError as wrong:
        raise ConfigError(str(path), "", f"cannot be read ({wrong.strerror})") from None
    except ValueError as wrong:  # tomllib's message holds a place, never a value
        raise ConfigError(str(path), "", f"is not TOML: {wrong}") from None


def _placed(values: Any, folder: Path) -> Any:
    """Paths said relative to the file, made relative to nothing."""
    prompts = values.get("prompts")
    directory = prompts.get("directory") if isinstance(prompts, Mapping) else None
    if isinstance(directory, str) and directory:
        return {**values, "prompts": {**prompts, "directory": str((folder / directory).absolute())}}
    return values


def _first_problem(model: type[Section], wrong: ValidationError) -> tuple[tuple[str, ...], str]:
    """Where and what, without the value: pydantic's own text would repeat it."""
    first = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
    path = tuple(str(step) for step in first["loc"] if step != "[key]")
    match first["type"]:
        case "extra_forbidden":
            return path, "unknown key; remove it" + _suggestion(model, path)
        case "missing":
            return path, "is required; add it"
        case "model_type" | "dict_type":
            return path, "should be a table of keys"
        case _:
            said = first["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
            return path, said[0].lower() + said[1:]


def _suggestion(model: type[Section], path: tuple[str, ...]) -> str:
    """Keys that look like the unknown one, where the section is known."""
    from difflib import get_close_matches  # noqa: PLC0415  # only a start that fails needs it

    known: Any = model
    for step in path[:-1]:
        field = getattr(known, "model_fields", {}).get(step)
        known = field.annotation if field is not None else known
        known = next((a for a in getattr(known, "__args__", ()) if hasattr(a, "model_fields")), known)
    close = get_close_matches(path[-1], list(getattr(known, "model_fields", {})), n=1)
    return f", or did you mean {close[0]!r}?" if close else ""
