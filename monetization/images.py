"""How many tokens one image can be at most, where that is more than is held for any image. Facts of the vendors, nothing else.

Most vendors stay below `IMAGE_TOKENS`: Anthropic's largest image is 4,784, Google's 4,128, OpenAI's 3,779 in high detail. Above
it are an image in its original detail at OpenAI (10,000 patches, times 1.2), Qwen's (16,384), and those of gpt-4o-mini, which
counts 2,833 for an image and 5,667 for each of its tiles, of which there are eight at most. Low detail is below it anywhere, but
for Qwen's, which know no detail.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from monetization.estimate import IMAGE_TOKENS

if TYPE_CHECKING:
    from monetization.terms import Target

_OF_MODEL: Final = {"gpt-4o-mini": 2_833 + 8 * 5_667, "qwen": 16_384, "qvq": 16_384}
"""A model's name may have a vendor before it and a date behind."""
_WITHOUT_DETAIL: Final = ("qwen", "qvq")
_OF_KIND: Final = {"openai": 12_000}


def image_tokens_beyond(targets: Iterable["Target"]) -> int:
    """The most that one image can be beyond `IMAGE_TOKENS` at any of those that may serve a call."""
    return max(max(map(_most, targets), default=0) - IMAGE_TOKENS, 0)


def is_detail_ignored(targets: Iterable["Target"]) -> bool:
    """Whether any of those that may serve a call looks at an image in all its detail whatever is asked for."""
    return any(name in target.model.lower() for target in targets for name in _WITHOUT_DETAIL)


def _most(target: "Target") -> int:
    model = target.model.lower()
    of_model = next((tokens for name, tokens in _OF_MODEL.items() if name in model), 0)
    return of_model or _OF_KIND.get(target.kind, 0)
