"""The paths of the vendors' doors, as data. A surface that is not served is answered by name, in its vendor's words."""

import re
from collections.abc import Mapping
from typing import Final

from methods.vendors.chat import CHAT
from methods.vendors.models import MODELS
from methods.vendors.once import COUNT, EMBED
from server.vendors.surface import Endpoint, Surface, SurfaceName, anthropic_status, gemini_status, openai_status

_LISTED: Final = r"/v1/models(?:/(?P<model>.+))?"


def _at(path: str) -> re.Pattern[str]:
    return re.compile(path + r"/?")


OPENAI: Final = Surface(
    name="openai",
    endpoints=(
        Endpoint("POST", _at("/v1/chat/completions"), CHAT, "openai", "/v1/chat/completions"),
        Endpoint("POST", _at("/v1/responses"), CHAT, "responses", "/v1/responses"),
        Endpoint(
            "POST", _at("/v1/responses/input_tokens"), COUNT, "responses", "/v1/responses/input_tokens", stream=False
        ),
        Endpoint("POST", _at("/v1/embeddings"), EMBED, "openai", "/v1/embeddings", stream=False),
        Endpoint("GET", _at(_LISTED), MODELS, "openai", "/v1/models"),
    ),
    key_header=None,
    statuses=openai_status,
    rates="openai",
    ping=b": ping\n\n",
)
ANTHROPIC: Final = Surface(
    name="anthropic",
    endpoints=(
        Endpoint("POST", _at("/v1/messages"), CHAT, "anthropic", "/v1/messages"),
        Endpoint(
            "POST", _at("/v1/messages/count_tokens"), COUNT, "anthropic", "/v1/messages/count_tokens", stream=False
        ),
        Endpoint(
            "GET",
            _at(_LISTED),
            MODELS,
            "anthropic",
            "/v1/models",
            query={"limit": "limit", "after_id": "after", "before_id": "before"},
        ),
    ),
    key_header=b"x-api-key",
    statuses=anthropic_status,
    rates="anthropic",
    ping=b'event: ping\ndata: {"type": "ping"}\n\n',
    error_event=b"event: error\n",
)
_VERSION: Final = r"/(?P<version>v1|v1beta|v1alpha)"
_CUSTOM: Final = r":(?:[a-z]+[A-Z][A-Za-z]*|predict)$"
"""What Google writes behind a model that something is done with. A model's own name may hold colons, too: `llama3:8b`."""
GEMINI: Final = Surface(
    name="gemini",
    endpoints=(
        Endpoint(
            "POST",
            _at(_VERSION + r"/models/(?P<model>.+):generateContent"),
            CHAT,
            "gemini",
            "/v1/models/{model}:generateContent",
            stream=False,
        ),
        Endpoint(
            "POST",
            _at(_VERSION + r"/models/(?P<model>.+):streamGenerateContent"),
            CHAT,
            "gemini",
            "/v1/models/{model}:streamGenerateContent",
            stream=True,
        ),
        Endpoint(
            "POST",
            _at(_VERSION + r"/models/(?P<model>.+):countTokens"),
            COUNT,
            "gemini",
            "/v1/models/{model}:countTokens",
            stream=False,
        ),
        Endpoint(
            "POST",
            _at(_VERSION + r"/models/(?P<model>.+):batchEmbedContents"),
            EMBED,
            "gemini",
            "/v1/models/{model}:batchEmbedContents",
            stream=False,
        ),
        Endpoint(
            "POST",
            _at(_VERSION + r"/models/(?P<model>.+):embedContent"),
            EMBED,
            "gemini",
            "/v1/models/{model}:embedContent",
            stream=False,
            fixed={"single": True},
        ),
        Endpoint(
            "GET",
            _at(_VERSION + rf"/models(?:/(?P<model>(?!.*{_CUSTOM}).+))?"),
            MODELS,
            "gemini",
            "/v1/models",
            query={"pageSize": "pageSize", "pageToken": "after"},
        ),
    ),
    key_header=b"x-goog-api-key",
    statuses=gemini_status,
    rates="none",
    ping=None,
    key_query="key",
)
SURFACES: Final[Mapping[SurfaceName, Surface]] = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
PREFIXES: Final[Mapping[str, Surface]] = {f"/{name}": surface for name, surface in SURFACES.items()}

_ROOTS: Final[Mapping[SurfaceName, tuple[str, ...]]] = {
    "openai": (
        *("chat", "responses", "embeddings", "models", "completions", "images", "audio", "videos", "files", "uploads"),
        *("batches", "fine_tuning", "assistants", "threads", "vector_stores", "moderations", "realtime", "evals"),
        *("conversations", "containers", "chatkit", "webhook", "skills", "agents", "environments", "vaults", "live"),
        *("decisions", "organization", "projects", "safety", "content_provenance_checks"),
    ),
    "anthropic": (
        *("messages", "complete", "sessions", "deployment", "dreams", "memory_stores", "organizations", "tunnels"),
        "user_profiles",
    ),
    "gemini": (
        *("interactions", "cachedContents", "tunedModels", "operations", "corpora", "fileSearchStores"),
        *("authTokens", "auth_tokens", "credentials", "triggers", "tuningJobs", "voices"),
    ),
}
"""How it begins what stands after `/v1/` on the vendors' own servers: served or not, the answer is in that vendor's words.

What several vendors have stands with OpenAI, whose SDK alone sends no header that tells it apart.
"""
_ALONE: Final = ("chat", "responses", "embeddings")
"""What of that is served for OpenAI and is no other vendor's, whatever headers a client sends along."""
PATHS: Final = (
    *(f"{prefix}/{{rest:path}}" for prefix in (*PREFIXES, "/v1beta", "/v1alpha", "/upload")),
    *(f"/v1/{root}{{rest:path}}" for roots in _ROOTS.values() for root in roots),
    *("/chat/completions", "/completions", "/responses", "/embeddings", "/messages", "/v1/v1/{rest:path}"),
)
"""What of the app's paths comes to these doors: also where an address was given to an SDK without its `/v1`, or with it twice."""
DIRECT: Final = tuple(
    f"{prefix}{path}"
    for surface, path in ((OPENAI, "/v1/chat/completions"), (ANTHROPIC, "/v1/messages"))
    for prefix in ("", f"/{surface.name}")
)
"""The busiest of them, by their exact path."""


def surface_of(verb: str, path: str, headers: Mapping[bytes, bytes], query: bytes) -> tuple[Surface, str]:
    """Whose door a path is, and the path behind the door's prefix.

    Where vendors share a path (`/v1/models`, `/v1/files`) the headers that only one vendor's SDK sends tell them apart, and the
    key in the query, which only Google takes. What is posted to a name with a colon is Google's, too.
    """
    for prefix, surface in PREFIXES.items():
        if path.startswith(f"{prefix}/"):
            return surface, path[len(prefix) :]
    if path.startswith(("/v1beta/", "/v1alpha/", "/upload/")) or (verb == "POST" and ":" in path.rpartition("/")[2]):
        return GEMINI, path
    root = path.removeprefix("/v1").removeprefix("/v1").lstrip("/")
    if root.startswith(_ALONE):
        return OPENAI, path
    if root.startswith(_ROOTS["anthropic"]) or b"anthropic-version" in headers:
        return ANTHROPIC, path
    is_google = b"x-goog-api-key" in headers or b"x-goog-api-client" in headers or b"&key=" in b"&" + query
    if root.startswith(_ROOTS["gemini"]) or is_google:
        return GEMINI, path
    return OPENAI, path
