"""Members by which compatible servers of any dialect take other models, or searches of their own, into a call. Data only."""

from typing import Final

from methods.dialects.canonical import Json

RELAYED: Final = frozenset(
    {
        "enable_search",  # Qwen: it searches, and charges by the search
        "fallbacks",  # LiteLLM, OpenRouter: other models than the one that was allowed and quoted
        "models",
        "plugins",
        "preset",  # OpenRouter: settings that lie there, a model among them
        "provider",
        "route",
        "search_options",
        "search_parameters",  # xAI: it searches, and charges by the source
        "speed",  # a faster answer at a multiple of the price
        "web_search_options",
    }
)
"""They change what is charged beyond the model's tokens at their usual rate. Source: the vendors' own references."""
RELAYED_USUAL: Final[dict[str, tuple[Json, ...]]] = {
    "enable_search": (False,),
    "provider": ({},),
    "speed": ("standard",),
}
"""Such members at what costs no more than leaving them out."""
