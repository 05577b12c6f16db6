"""Gemini's embedContent and batchEmbedContents, both ways. Translation only."""

from typing import Final, Literal

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject
from methods.dialects.canonical_once import EmbedReply, EmbedRequest
from methods.dialects.gemini_names import DIALECT, items_of, members_of, path_of, resource_of
from methods.dialects.gemini_usage import parse_usage
from methods.dialects.shared import count_at, list_at, name_at, object_at, text_at
from methods.dialects.vectors import parse_vector, to_numbers

_READ: Final = frozenset({"content", "model", "outputDimensionality"})
_BESIDE: Final = frozenset({"text", "thought", "thoughtSignature", "thought_signature"})
"""What may stand in a part of a text, and costs nothing."""
_UNSPECIFIED: Final = "TASK_TYPE_UNSPECIFIED"


class GeminiEmbeddings:
    """Implements `methods.dialects.once.OnceDialect` for embeddings, below a base URL that is the vendor's root.

    `api_version`: the first segment of the path. A request for one vector goes to embedContent, any other to batchEmbedContents.
    """

    name: str = DIALECT

    def __init__(self, *, api_version: Literal["v1", "v1beta", "v1alpha"] = "v1") -> None:
        self._version = api_version

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> EmbedRequest:
        """A client's request; `extra` keeps what each of the contents says besides its text. Raises: Untranslatable."""
        items = _requests_of(body, is_single=is_single)
        texts: list[str] = []
        others: list[Json] = []
        for field, item in items:
            texts.append(_text_of(item.get("content"), f"{field}content"))
            others.append({name: value for name, value in item.items() if name not in _READ and value is not None})
        sizes = {_size_of(item.get("outputDimensionality"), f"{field}outputDimensionality") for field, item in items}
        if len(sizes) > 1:
            raise Untranslatable("requests.outputDimensionality", "must be the same in all requests")
        name = model or name_at(items[0][1].get("model"), "model")
        return EmbedRequest(
            model=name.removeprefix("models/"),
            inputs=tuple(texts),
            dimensions=sizes.pop(),
            is_single=is_single,
            dialect=DIALECT,
            extra={"requests": others} if any(others) else {},
        )

    def render_request(self, request: EmbedRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable for tokens, which this vendor does not take."""
        others = request.extra.get("requests") if request.dialect == DIALECT else None
        kept = others if isinstance(others, list) else [{}] * len(request.inputs)
        items: list[Json] = []
        for place, (text, more) in enumerate(zip(request.inputs, kept, strict=True)):
            if not isinstance(text, str):
                raise Untranslatable(f"input[{place}]", "this vendor takes text, not tokens")
            item: JsonObject = {"model": resource_of(request.model), "content": {"parts": [{"text": text}]}}
            if request.dimensions is not None:
                item["outputDimensionality"] = request.dimensions
            items.append({**item, **(more if isinstance(more, dict) else {})})
        return {"requests": items} if not request.is_single else object_at(items[0], "content")

    def path(self, request: EmbedRequest) -> str:
        """The URL path below the provider's base URL. Raises: Untranslatable for a model that is no name."""
        return path_of(self._version, request.model, "embedContent" if request.is_single else "batchEmbedContents")

    def parse_reply(self, body: JsonObject) -> EmbedReply:
        """A reply of either form. The vendor tells usage only of its newer models. Raises: ValueError when it is not one."""
        given = members_of(body)
        items = [given["embedding"]] if "embedding" in given else given.get("embeddings")
        if not isinstance(items, list):
            raise ValueError("the reply has no embeddings")  # noqa: TRY004 - the protocol promises ValueError
        vectors = [parse_vector(item.get("values") if isinstance(item, dict) else None) for item in items]
        return EmbedReply(model="", vectors=tuple(vectors), usage=parse_usage(given.get("usageMetadata")))

    def render_reply(self, reply: EmbedReply, request: EmbedRequest) -> JsonObject:
        """A reply in the form that was asked for. Raises: ValueError for vectors that are none."""
        embeddings: list[Json] = [{"values": to_numbers(vector)} for vector in reply.vectors]
        body: JsonObject = {"embeddings": embeddings}
        if request.is_single:
            body = {"embedding": embeddings[0] if embeddings else {"values": []}}
        if reply.usage is not None:
            tokens = reply.usage.tokens_input
            body["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
        return body

    def untranslatable(self, request: EmbedRequest) -> list[str]:
        """What the vectors are for, and titles: another vendor's vectors would not know."""
        others = request.extra.get("requests") if request.dialect == DIALECT else None
        found: dict[str, None] = {}
        for item in others if isinstance(others, list) else []:
            for name, value in item.items() if isinstance(item, dict) else ():
                if not (name == "taskType" and value == _UNSPECIFIED):
                    found[name if request.is_single else f"requests.{name}"] = None
        return list(found)

    def unpriced(self, body: JsonObject) -> list[str]:
        """Parts that are no text: the vendor charges images, sound and video by prices of their own."""
        given = members_of(body)
        items = given.get("requests")
        pairs = [("", given)]
        if isinstance(items, list):
            pairs = [(f"requests[{n}].", members_of(item)) for n, item in enumerate(items) if isinstance(item, dict)]
        found: list[str] = []
        for field, item in pairs:
            content = item.get("content")
            parts = items_of(content.get("parts")) if isinstance(content, dict) else None
            for number, part in enumerate(parts if isinstance(parts, list) else []):
                if isinstance(part, dict) and ("text" not in part or not _BESIDE.issuperset(part)):
                    found.append(f"{field}content.parts[{number}]")
        return found

    def amended(self, body: JsonObject, request: EmbedRequest) -> JsonObject:
        """The client's own body with the model, which each of its requests repeats from the URL."""
        name = resource_of(request.model)
        items = body.get("requests")
        if isinstance(items, list):
            if all(isinstance(item, dict) and item.get("model") == name for item in items):
                return body
            return {**body, "requests": [{**item, "model": name} for item in items if isinstance(item, dict)]}
        return body if body.get("model") in (None, name) else {**body, "model": name}


def _requests_of(body: JsonObject, *, is_single: bool) -> list[tuple[str, JsonObject]]:
    """What is asked for, one by one, each with the path that its fields begin with."""
    given = members_of(body)
    if is_single:
        return [("", given)]
    items = list_at(given.get("requests"), "requests")
    if not items:
        raise Untranslatable("requests", "must hold at least one request")
    return [
        (f"requests[{place}].", members_of(object_at(item, f"requests[{place}]"))) for place, item in enumerate(items)
    ]


def _size_of(value: Json, field: str) -> int | None:
    return None if value is None else count_at(value, field, least=1)


def _text_of(value: Json, field: str) -> str:
    """The text of a content: of several parts, all of it; a part that is no text has none."""
    parts = list_at(items_of(object_at(value, field).get("parts")), f"{field}.parts")
    texts: list[str] = []
    for place, part in enumerate(parts):
        text = object_at(part, f"{field}.parts[{place}]").get("text")
        if text is None:
            raise Untranslatable(f"{field}.parts[{place}]", "must be text")
        texts.append(text_at(text, f"{field}.parts[{place}].text"))
    if not any(texts):
        raise Untranslatable(f"{field}.parts", "must not be empty")
    return "".join(texts)
