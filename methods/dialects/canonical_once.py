"""The canonical form of what is asked in one go and is no chat: embeddings, and a count of tokens. Frozen values only."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from methods.dialects.canonical import ChatRequest, Json
from storage.records.fact import fact
from storage.records.usage import Usage

Operation = Literal["embed", "count"]
Encoding = Literal["float", "base64"]

Vector: TypeAlias = str | Sequence[float]
"""One embedding as its vendor sent it: numbers, or little-endian float32 in base64. `vectors` has both from either."""


@fact
class EmbedRequest:
    """Texts to turn into vectors."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Each a text, or the tokens of one."""
    dimensions: int | None = None
    encoding: Encoding = "float"
    """How the client wants the vectors written."""
    is_single: bool = False
    """The client asked for one vector, not for a list of them."""
    user: str | None = None
    """The vendor's end-user marker."""
    dialect: str | None = None
    """The dialect this was parsed from; `extra` is rendered only by the same one."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@fact
class EmbedReply:
    """The vectors, in the order of the inputs."""

    model: str
    vectors: tuple[Vector, ...]
    usage: Usage | None
    """None: the vendor sent no usage."""


@fact
class CountRequest:
    """A chat request of which only the tokens are counted."""

    chat: ChatRequest

    @property
    def model(self) -> str:
        """The model whose tokens are counted."""
        return self.chat.model


@fact
class CountReply:
    """How many tokens a request has."""

    tokens_input: int


OnceRequest: TypeAlias = EmbedRequest | CountRequest
OnceReply: TypeAlias = EmbedReply | CountReply
