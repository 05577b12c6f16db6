"""Takes credentials out of foreign words before they travel. Known values go first, then everything that looks like a key."""

import re
from collections.abc import Iterable
from typing import Final

from methods.dialects.shared import bounded

HIDDEN: Final = "***"

_LOOKS_SECRET: Final = (
    # Credentials inside a URL, then `key=...` and its relatives in queries, headers and JSON.
    (re.compile(r"(?<=://)[^\s/@]+@"), HIDDEN + "@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=*-]{4,}"), r"\1 " + HIDDEN),
    (
        re.compile(
            r"(?i)((?:x-)?(?:goog-)?(?:api[-_ ]?)?(?:key|token|secret|password|authorization)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;]{4,}"
        ),
        r"\1" + HIDDEN,
    ),
    # Key shapes of the vendors (also half masked by them), their organization and project ids, and signed tokens.
    (re.compile(r"\b(?:(?:sk|pk|rk|gsk|xai|hf|org|proj)[-_]|AIza|AKIA)[-_A-Za-z0-9*.]{5,}"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"), HIDDEN),
    # Whose account a limit is: Anthropic names its organizations so, Google the project.
    (re.compile(r"(?i)\b(org(?:anization)?\b[: (]+)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), r"\1" + HIDDEN),
    (re.compile(r"(?i)\b(projects/|project_(?:number|id):\s*)[a-z0-9-]{4,}"), r"\1" + HIDDEN),
)
_SECRET_CHARACTERS_MIN: Final = 4


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """The text on one bounded line, without `secrets` and without anything that has the shape of a key."""
    for secret in secrets:
        # A very short "key" is no secret, and hiding it would shred the words around it.
        if len(secret) >= _SECRET_CHARACTERS_MIN:
            text = text.replace(secret, HIDDEN)
    text = text[:8192]
    for shape, instead in _LOOKS_SECRET:
        text = shape.sub(instead, text)
    return bounded(text)
