"""What a fault says, in the words of a vendor's door: what its caller can do there instead of what is called over JSON-RPC.

Faults name our methods and parameters, because most of them are told to clients that call these. Nothing is decided here.
"""

import re
from typing import Final

from methods.dialects.crossing import member_of

_BOUND: Final = "maxTokens"
_SAID: Final[dict[str, str]] = {
    r"as (?:params\.)?apiKey": "as the SDK's key, and your credential for this server as X-Tollgate-Key",
    r"\b(?:listAllowedModels|listProviders)\b": "GET /v1/models",
    r"\bstoreUserKey\b": "storeUserKey at /rpc",
    r"\b(?:vendor(?:Chat|Embed|Count|Models)|executeAIRequest)\b": "this request",
}
"""Words of JSON-RPC → what stands for them on every door."""
_WORDS: Final = re.compile("|".join([f"({pattern})" for pattern in _SAID] + [rf"\b{_BOUND}\b"]))
_STANDING: Final = tuple(_SAID.values())


def spoken(message: str, dialect: str) -> str:
    """The message in the words of a door whose request is of this dialect."""

    def here(found: re.Match[str]) -> str:
        return member_of(dialect, "max_tokens") if found.lastindex is None else _STANDING[found.lastindex - 1]

    return _WORDS.sub(here, message)
