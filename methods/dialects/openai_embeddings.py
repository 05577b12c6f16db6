"""OpenAI's embeddings, both ways. Translation only."""

from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject
from methods.dialects.canonical_once import EmbedReply, EmbedRequest, Encoding
from methods.dialects.openai_messages import DIALECT
from methods.dialects.openai_usage import parse_usage
from methods.dialects.shared import count_at, list_at, name_at, optional_at, text_at, tokens_of
from methods.dialects.vectors import parse_vector, to_base64, to_numbers
from storage.records.usage import Usage

PATH: Final = "/embeddings"

_READ: Final = frozenset({"dimensions", "encoding_format", "input", "model", "user"})


class OpenAIEmbeddings:
    """Implements `methods.dialects.once.OnceDialect` for embeddings, below a base URL that ends in `/v1`."""

    name: str = DIALECT

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> EmbedRequest:  # noqa: ARG002  # of the contract
        """A client's request: a text, tokens, or a list of either. Raises: Untranslatable."""
        return EmbedRequest(
            model=model or name_at(body.get("model"), "model"),
            inputs=_parse_input(body.get("input")),
            dimensions=optional_at(body, "dimensions", _at_least_one),
            encoding=_parse_encoding(body.get("encoding_format")),
            user=optional_at(body, "user", text_at),
            dialect=DIALECT,
            extra={name: value for name, value in body.items() if name not in _READ and value is not None},
        )

    def render_request(self, request: EmbedRequest) -> JsonObject:
        """The body to send upstream; other vendors' clients are answered from numbers, which all compatible vendors write."""
        inputs: list[Json] = [text if isinstance(text, str) else [*text] for text in request.inputs]
        body: JsonObject = {"model": request.model, "input": inputs, "encoding_format": request.encoding}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.user is not None:
            body["user"] = request.user
        return {**body, **(request.extra if request.dialect == DIALECT else {})}

    def path(self, request: EmbedRequest) -> str:  # noqa: ARG002 - this vendor keeps the model in the body
        """The URL path below the provider's base URL."""
        return PATH

    def parse_reply(self, body: JsonObject) -> EmbedReply:
        """A reply; the vectors in the order of their `index`. Raises: ValueError when it is not one."""
        data, model = body.get("data"), body.get("model")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise ValueError("the reply has no data")
        items = [item for item in data if isinstance(item, dict)]
        items.sort(key=_index_of)
        return EmbedReply(
            model=model if isinstance(model, str) else "",
            vectors=tuple([parse_vector(item.get("embedding")) for item in items]),
            usage=_parse_usage(body.get("usage")),
        )

    def render_reply(self, reply: EmbedReply, request: EmbedRequest) -> JsonObject:
        """A reply with the vectors as the client wants them written. Raises: ValueError for vectors that are none."""
        write = to_base64 if request.encoding == "base64" else to_numbers
        data: list[Json] = [
            {"object": "embedding", "index": place, "embedding": write(vector)}
            for place, vector in enumerate(reply.vectors)
        ]
        tokens = 0 if reply.usage is None else reply.usage.tokens_input
        usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": reply.model or request.model, "usage": usage}

    def untranslatable(self, request: EmbedRequest) -> list[str]:
        """Members that this dialect does not know matter, since nobody knows what they change."""
        return list(request.extra) if request.dialect == DIALECT else []

    def unpriced(self, body: JsonObject) -> list[str]:  # noqa: ARG002  # of the contract
        """Nothing: this vendor charges embeddings by their tokens alone."""
        return []

    def amended(self, body: JsonObject, request: EmbedRequest) -> JsonObject:
        """The client's own body with the model; the same object where it has it."""
        return body if body.get("model") == request.model else {**body, "model": request.model}


def _at_least_one(value: Json, field: str) -> int:
    return count_at(value, field, least=1)


def _parse_encoding(value: Json) -> Encoding:
    """Numbers unless the client says otherwise; the vendor's own SDKs always say base64."""
    match value:
        case None | "float":
            return "float"
        case "base64":
            return "base64"
        case _:
            raise Untranslatable("encoding_format", "must be float or base64")


def _parse_input(value: Json) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(value, str):
        return (_text(value, "input"),)
    items = list_at(value, "input", "a text, tokens, or an array of either")
    if not items:
        raise Untranslatable("input", "must hold at least one text")
    if all(isinstance(item, int) for item in items):
        return (_tokens(items, "input"),)
    return tuple(
        [
            _text(item, f"input[{place}]") if isinstance(item, str) else _tokens(item, f"input[{place}]")
            for place, item in enumerate(items)
        ]
    )


def _text(text: str, field: str) -> str:
    if not text:
        raise Untranslatable(field, "must not be empty")
    return text


def _tokens(value: Json, field: str) -> tuple[int, ...]:
    tokens = list_at(value, field, "a text or tokens")
    if not tokens:
        raise Untranslatable(field, "must not be empty")
    return tuple([count_at(token, field) for token in tokens])


def _parse_usage(value: Json) -> Usage | None:
    """Some compatible vendors tell the total alone (Voyage), which is all prompt."""
    if isinstance(value, dict) and tokens_of(value, "prompt_tokens") is None:
        total = tokens_of(value, "total_tokens")
        return None if total is None else Usage(input=total)
    return parse_usage(value)


def _index_of(item: JsonObject) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0
