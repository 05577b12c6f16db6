"""What OpenAI's requests hold beyond the canonical form, as data: harmless, untranslatable, priced. No translation here.

Before a request goes to another vendor, `untranslatable_fields` names what would be lost and matters: everything but
`HARMLESS_EXTRA` and members that stand at their default.
"""

from collections.abc import Mapping
from typing import Final

from methods.dialects.canonical import ChatRequest, Json
from methods.dialects.openai_messages import DIALECT, untranslatable_members
from methods.dialects.relays import RELAYED
from methods.dialects.shared import asks_nothing

HARMLESS_EXTRA: Final = frozenset(
    {
        "max_tokens",  # says only which name the client used
        "metadata",
        "prediction",  # changes speed, not the answer
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",  # best effort by the vendor's own documentation
        "service_tier",
        "store",
        "stream_options",
    }
)
"""Members that another vendor may leave out: they change neither what is answered nor its shape."""

UNTRANSLATABLE_EXTRA: Final = frozenset(
    {
        "audio",
        "best_of",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_new_tokens",
        "max_output_tokens",
        "modalities",
        "moderation",
        "n_predict",
        "num_predict",
        "presence_penalty",
        "response_format",
        "tool_choice",
        "top_logprobs",
        "verbosity",
    }
    | RELAYED
)
"""Known members, also of compatible vendors, that no other vendor may leave out. Unknown members count as these."""

PRICED_EXTRA: Final = frozenset(
    {
        "audio",
        "best_of",
        "max_new_tokens",  # other servers' words for the bound of the answer, which some take for this one
        "max_output_tokens",
        "modalities",
        "n_predict",
        "num_predict",
        "prediction",  # tokens of a rejected prediction are charged beside the answer
        "service_tier",
    }
    | RELAYED
)
"""Members, also of compatible vendors, that change what is charged beyond the model's tokens at their usual rate, up to the
bound that the request states. A door refuses what it cannot price, also on the way to this same vendor.
"""

_DEFAULTS: Final[Mapping[str, Json]] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "top_logprobs": 0,
    "verbosity": "medium",
}


def untranslatable_fields(request: ChatRequest) -> list[str]:
    """The fields of a request of this dialect that matter and that no other vendor can be told; none for other requests."""
    if request.dialect != DIALECT:
        return []
    fields = [
        name
        for name, value in request.extra.items()
        if not (name in HARMLESS_EXTRA or asks_nothing(value))
        and value != _DEFAULTS.get(name)
        and not (name == "response_format" and request.response_format)
    ]
    fields += [f"tools[{place}]" for place, tool in enumerate(request.tools) if "type" in tool.extra]
    return [*fields, *untranslatable_members(request.system, request.messages)]
