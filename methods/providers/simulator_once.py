"""What the simulator answers besides chats: vectors that depend on the text alone, and counts by its own rule. No network."""

import math
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from methods.dialects.canonical import ChatReply
from methods.dialects.canonical_once import CountReply, CountRequest, EmbedReply, OnceRequest
from methods.providers.simulator_text import tokens_in, tokens_of
from storage.records.usage import Usage

DIMENSIONS: Final = 64
"""Numbers of a vector whose request names no other size."""


def once_answer(request: OnceRequest) -> ChatReply:
    """The answer to what is no chat."""
    if isinstance(request, CountRequest):
        return ChatReply(request.model, (), "stop", None, once=CountReply(tokens_in(request.chat)))
    usage = Usage(input=sum(map(_tokens, request.inputs)))
    vectors = tuple([_vector(text, request.dimensions or DIMENSIONS) for text in request.inputs])
    return ChatReply(request.model, (), "stop", usage, once=EmbedReply(request.model, vectors, usage))


def _tokens(text: str | tuple[int, ...]) -> int:
    return tokens_of(text) if isinstance(text, str) else len(text)


def _vector(text: str | tuple[int, ...], dimensions: int) -> list[float]:
    """A vector of length 1, the same for the same text."""
    numbers = [number for number, _ in zip(_numbers(repr(text).encode()), range(dimensions), strict=False)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def _numbers(seed: bytes) -> Iterator[float]:
    """Numbers between -1 and 1, never 0, without end."""
    block = 0
    while True:
        yield from [(2 * byte + 1) / 256 - 1 for byte in sha256(seed + block.to_bytes(4)).digest()]
        block += 1
