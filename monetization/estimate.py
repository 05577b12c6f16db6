"""How many tokens a request can be at most, from its bytes. Integer arithmetic on lengths; no tokenizer, no vendor, no price.

The rule. Every tokenizer in use works on bytes, so a text never has more tokens than bytes; that alone would hold four times
what a call costs. Letters and spaces are where tokenizers merge: even random letters take more than two bytes a token, and words
about four. Digits, punctuation, control characters and everything outside ASCII are counted at one token a byte, because some
vendors do split them so far. Prose comes out at about twice its real count, code at about 1.7 times, Chinese at about 2.5 times.
On top comes what a vendor's own template adds to a message, a tool or an image.
"""

from collections.abc import Iterable
from typing import Final

MESSAGE_TOKENS: Final = 16
"""Per message: role markers and separators (vendors document 3 to 7)."""

TOOLS_TOKENS: Final = 1024
"""Once when a request has tools: the vendor's own instructions for them (Anthropic documents up to 804)."""

TOOL_TOKENS: Final = 64
"""Per tool: the wrapping around its schema."""

IMAGE_TOKENS: Final = 8192
"""Per image, whatever its size; `monetization.images` knows of the models that can count more for one."""

IMAGE_TOKENS_LIKELY: Final = 1000
"""Per image of ordinary size (vendors document 85 to 1600)."""

_EASY: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "


def text_tokens_max(text: str) -> int:
    """The most tokens that a text can be: hard bytes count one each, letters and spaces one for every two."""
    encoded = text.encode("utf-8", "replace")
    hard = len(encoded.translate(None, _EASY))
    return hard + (len(encoded) - hard + 1) // 2


def request_tokens_max(texts: Iterable[str], *, messages: int, tools: int = 0, images: int = 0) -> int:
    """The most tokens that a whole request can be.

    `texts` is everything written: the system prompt, messages, tool schemas as JSON. The others are counts.
    """
    written = sum([text_tokens_max(text) for text in texts])
    wrapped = messages * MESSAGE_TOKENS + images * IMAGE_TOKENS
    return written + wrapped + (TOOLS_TOKENS + tools * TOOL_TOKENS if tools else 0)


def request_tokens_rough(most: int, *, tools: int = 0, images: int = 0) -> int:
    """About what a request of at most `most` tokens comes to: half of what is written, for a note of a call that still runs."""
    added = images * IMAGE_TOKENS + (TOOLS_TOKENS + tools * TOOL_TOKENS if tools else 0)
    return (most - added) // 2 + images * IMAGE_TOKENS_LIKELY
