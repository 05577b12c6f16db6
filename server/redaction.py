"""The net under every log line: what looks like a credential, or is one of ours, becomes `***`. It decides nothing else."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import orjson

SECRET_LENGTH_MIN = 6  # shorter ones would blank out ordinary words
HIDDEN = "***"

_WORD = rb"[A-Za-z0-9._~+/=%-]"
# Each pattern stands beside lower-case literals of which every match holds one: nearly every line holds none of them.
_SHAPES = (
    ((b"bearer", b"basic "), re.compile(rb"(?i)\b(?:bearer|basic)(?:\s+|%20)" + _WORD + rb"{6,}")),
    (
        (b"private key-----",),
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    ),
    ((b"sk-", b"sk_", b"rk_", b"pk_"), re.compile(rb"\b[srp]k[-_][A-Za-z0-9_-]{8,}")),
    ((b"tg_live_",), re.compile(rb"\btg_live_[0-9a-f]{16}_[A-Za-z0-9_-]{8,}")),
    ((b"aiza",), re.compile(rb"\bAIza[A-Za-z0-9_-]{20,}")),
    ((b"whsec_", b"whsk_", b"whpk_"), re.compile(rb"\bwh(?:sec|sk|pk)_[A-Za-z0-9+/=_-]{8,}")),
    ((b"eyj",), re.compile(rb"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?")),
    ((b"://",), re.compile(rb"(?<=://)[^/\s\"'@:]*:[^/\s\"'@]+(?=@)")),
)
# A name that says secret, then its value: api_key=..., "x-api-key": "...", password: ...
_NAMES = (b"key", b"passw", b"secret", b"authorization", b"_token", b"-token")
_NAMED = re.compile(
    rb"(?i)((?:api|access|private|signing|secret)[-_ ]?key|password|passwd|secret|authorization|(?:access|refresh|id)[-_]token)"
    rb"((?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?)(?!\*\*\*|null\b|none\b)" + _WORD + rb"{6,}"
)
_HINTS = (*(hint for hints, _ in _SHAPES for hint in hints), *_NAMES)


class Redactor:
    """Cleans text and lines of credentials: those it was told, and those it knows by their shape."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        told = {secret.strip() for secret in secrets}
        told |= {line for secret in told for line in secret.splitlines() if len(line) > 20}  # noqa: PLR2004  # PEM bodies
        forms = {secret for secret in told if len(secret) >= SECRET_LENGTH_MIN}
        escaped = {orjson.dumps(secret)[1:-1] for secret in forms}
        # Longest first: a secret that holds another one goes as a whole.
        self._secrets = tuple(sorted({s.encode() for s in forms} | escaped, key=len, reverse=True))

        self.is_suspicious: Callable[[str], bool] = lru_cache(4096)(self._looks_suspicious)
        """Whether a text could hold something to hide: quick for what comes again, and wrong only on the safe side."""

    def line(self, line: bytes) -> bytes:
        """One rendered line, clean. JSON stays JSON."""
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, HIDDEN.encode())
        lowered = line.lower()
        for hints, shape in _SHAPES:
            for hint in hints:
                if hint in lowered:
                    line = shape.sub(b"***", line)
                    break
        for name in _NAMES:
            if name in lowered:
                return _NAMED.sub(rb"\1\2***", line)
        return line

    def _looks_suspicious(self, text: str) -> bool:
        words = text.encode("utf-8", "replace")
        for secret in self._secrets:
            if secret in words:
                return True
        lowered = words.lower()
        return any(hint in lowered for hint in _HINTS)

    def text(self, text: str) -> str:
        """The same for a text, such as an error message."""
        return self.line(text.encode("utf-8", "replace")).decode("utf-8", "replace")
