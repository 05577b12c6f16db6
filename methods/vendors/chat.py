"""A chat request in a vendor's own language: any provider may serve it, and the answer comes back in that language.

A provider of the same language gets the client's own body and its own bytes come back; for any other one both are translated, or
what cannot be is refused by name. Money is not known here: the meter hears the same as of every call.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from pydantic import ConfigDict, Field, SecretStr

from methods.ai_collect import Answer
from methods.ai_params import KEY_CHARACTERS_MAX, MAX_TOKENS_DEFAULT
from methods.ai_request import image_bytes_in, images_detailed_in, images_in, tokens_input_likely, tokens_input_max
from methods.context import Context, Services
from methods.dialects.base import Dialect, EventRenderer, Original, Untranslatable
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, Passed, StreamEvent
from methods.dialects.crossing import own_field
from methods.dialects.once import AnyOnce
from methods.dialects.tables import KINDS, dialect_of
from methods.errors import SERVING, InvalidParams
from methods.hearing_out import hear_usage
from methods.method import Access, Method, Params
from methods.progress import ProgressSink
from methods.providers.base import Ask
from monetization.callers import Secret
from monetization.estimate import IMAGE_TOKENS, request_tokens_rough, text_tokens_max
from monetization.images import image_tokens_beyond, is_detail_ignored
from monetization.tab import Meter
from monetization.terms import Most, Route, Target, Terms
from storage.records.fact import fact

CHAT: Final = "vendorChat"
_Request = TypeVar("_Request")
_ID_PREFIXES: Final = {"openai": "chatcmpl-", "responses": "resp_", "anthropic": "msg_"}
MODEL_CHARACTERS_MAX: Final = 200
_TIMES: Final = ("created", "created_at")
_CACHE_MARKS: Final = (b'"cache_control"', b'"prompt_cache')
"""Members by which a client asks that its prompt be kept, which some vendors charge above fresh input."""
_BYTES_USUAL: Final = 1024
_BYTES_PER_ITEM: Final = 64
"""What a body needs beside its texts: settings, names of members, brackets."""


class VendorParams(Params):
    """What a door read from its own wire."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    dialect: str
    version: str | None = None
    """The vendor's API version that the client speaks."""
    body: Any  # whatever JSON the client sent; the dialect reads it
    """The request's JSON."""
    text: str | None = None
    """The request's own text, where it is not what `body` would be written as."""
    model: str | None = None
    """Where it stands in the URL."""
    stream: bool | None = None
    """Where it stands in the URL."""
    api_key: SecretStr | None = Field(None, max_length=KEY_CHARACTERS_MAX)
    """The client's own provider key."""
    headers: dict[str, str] = Field(default_factory=dict)
    """What goes along to a vendor of the same language."""
    feature_id: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)

    @property
    def own_key(self) -> Secret | None:
        """The client's own provider key."""
        return None if self.api_key is None else Secret(self.api_key.get_secret_value())


@fact
class Draft:
    """What a client asks for, and who may serve it."""

    request: ChatRequest
    original: Original


async def chat(context: Context, params: VendorParams) -> Mapping[str, object]:
    """Answer in the client's own language: `body` is the reply's text; a stream's bytes have gone to the sink."""
    most, call, meter = context.most, context.call, context.meter
    assert most is not None, "metered methods are always told their most"
    draft = most.plan
    assert isinstance(draft, Draft), "it is the plan that `most_of` made"
    request = draft.request
    length = most.tokens_output // request.answers
    if request.max_tokens != length:  # the tier has lowered a default
        request = replace(request, max_tokens=_length(length, request))
    meter.feature, meter.metadata = params.feature_id, dict(params.metadata)
    ask = Ask(request, call.request_id, context.caller.own_key, call.traceparent, original=draft.original)
    answer = Answer(meter)
    meter.count_input, meter.count_output = partial(tokens_input_likely, request), answer.tokens_likely
    body = b""
    if context.sink is None:
        body = await _whole(context, most, ask, answer)
    else:
        await _streamed(context, most, ask, answer, context.sink)
    target = meter.target
    assert target is not None, "the router names the target before it asks"
    return {"body": body.decode("utf-8", "replace"), "provider": target.provider, "model": target.model}


def most_of(services: Services, params: VendorParams) -> Most:
    """The most that the request can cause. Raises: InvalidParams, UnknownModel, UnknownProvider."""
    dialect = dialect_of(params.dialect, params.version)
    request = _request_of(params, dialect)
    route = route_of(services, params, request.model)
    draft, model = request, route.equals[0].model
    if request.model != model or not request.max_tokens:
        draft = replace(request, model=model, max_tokens=request.max_tokens or MAX_TOKENS_DEFAULT)
    images = images_in(draft)
    detailed = images if not images or is_detail_ignored(route.targets) else images_detailed_in(draft)
    unread = _unread(draft)
    tokens_input = tokens_input_max(draft, images=images) + text_tokens_max(unread)
    text = None if params.text is None else params.text.encode()
    # Names may be written with escapes, which hide them from a search.
    body = orjson.dumps(params.body) if text is None or b"\\u" in text else text
    tokens_input += _tokens_hidden(params, draft, len(body), tokens_input - images * IMAGE_TOKENS)
    return Most(
        targets=route.targets,
        route=route,
        tokens_input=tokens_input + detailed * image_tokens_beyond(route.targets),
        tokens_output=(draft.max_tokens or 0) * draft.answers,
        tokens_input_likely=request_tokens_rough(tokens_input, tools=len(draft.tools), images=images),
        has_media=images > 0,
        images=detailed,
        marks_cache=any(mark in body for mark in _CACHE_MARKS),
        is_output_asked=request.max_tokens is not None,
        plan=Draft(draft, Original(dialect, params.body, text, params.headers)),
    )


def _length(length: int, request: ChatRequest) -> int:
    """The bound of each of several answers, within what the tier allows all of them. Raises: InvalidParams."""
    if not length:
        why = f"asks for {request.answers} answers, more than the tokens that your plan allows them; ask for fewer"
        raise refusal_of(Untranslatable(own_field("answers", request), why))
    return length


def refusal_of(why: Untranslatable) -> InvalidParams:
    """A malformed or unserved member of a vendor's request, by its own name."""
    return InvalidParams(f"{why.field}: {why.why}", data={"field": why.field})


def read_by(dialect: Dialect | AnyOnce, body: JsonObject, parse: Callable[[], _Request]) -> _Request:
    """What `parse` makes of a client's body, unless it holds what has no price. Raises: InvalidParams."""
    try:
        request = parse()
        unpriced = dialect.unpriced(body)
    except Untranslatable as why:
        raise refusal_of(why) from None
    except RecursionError:
        raise InvalidParams("the request is nested too deeply") from None
    refuse_unpriced(unpriced)
    return request


def _request_of(params: VendorParams, dialect: Dialect) -> ChatRequest:
    parse = partial(dialect.parse_request, params.body, model=params.model, is_stream=params.stream)
    request = read_by(dialect, params.body, parse)
    if request.max_tokens == 0:
        raise refusal_of(Untranslatable(own_field("max_tokens", request), "must be at least 1"))
    return request


def refuse_unpriced(fields: Sequence[str]) -> None:
    """Refuse what the vendor charges in a way that no price of ours knows. Raises: InvalidParams."""
    if fields:
        raise InvalidParams(
            f"{fields[0]}: this server has no price for it, so it is not served; leave it out",
            reason="not_priced",
            data={"field": fields[0]},
        )


def route_of(services: Services, params: VendorParams, model: str) -> Route:
    """Who may serve the model; with the client's own key, one provider of its own vendor. Raises: InvalidParams, UnknownModel."""
    if len(model) > MODEL_CHARACTERS_MAX:  # as long as over JSON-RPC: it is kept, shown and logged in many places
        raise refusal_of(Untranslatable("model", f"must hold at most {MODEL_CHARACTERS_MAX} characters"))
    route = services.router.route(None, model)
    if params.api_key is None:
        return route
    kind = KINDS[params.dialect]
    own = next((target.provider for target in route.targets if target.kind == kind), None)
    if own is None:
        raise InvalidParams(
            f"model: {model!r} is not served by a provider that takes your own key; leave your key out, or name another model",
            reason="own_key_elsewhere",
            data={"field": "model"},
        )
    found = tuple([target for target in route.targets if target.provider == own])
    return route.of_provider(own) or Route(found[:1], found[1:], route.asked, route.name)


def _tokens_hidden(params: VendorParams, request: ChatRequest, size: int, counted: int) -> int:
    """The most tokens of what stands in a body of `size` bytes at places that nobody reads here, and a vendor may.

    Everything counted takes at least half a token for a byte, so what goes far beyond that was not counted. What JSON itself
    needs is left aside.
    """
    usual = 2 * counted + _BYTES_USUAL + _BYTES_PER_ITEM * (len(request.messages) + len(request.tools))
    if size <= usual:  # nearly always
        return 0
    if params.text is not None:
        size = len(orjson.dumps(params.body))  # blanks between members are no tokens
    return max(0, size - image_bytes_in(request) - usual) // 2


def _unread(request: ChatRequest) -> str:
    """What a client wrote beyond the canonical form, so that it is counted too: whole turns that hold a part of another kind."""
    kept: list[object] = [message.extra for message in request.messages if message.extra]
    kept += [tool.extra for tool in request.tools if tool.extra]
    if request.extra:
        kept.append(request.extra)
    return orjson.dumps(kept, default=dict).decode() if kept else ""


async def _whole(context: Context, most: Most, ask: Ask, answer: Answer) -> bytes:
    meter, router = context.meter, context.services.router
    reply = await router.complete(most.targets, ask, Serving(meter))
    meter.first_byte = router.clock()
    answer.take_reply(reply)
    return reply.raw if reply.raw is not None else orjson.dumps(_rendered(context, ask, reply))


def _rendered(context: Context, ask: Ask, reply: ChatReply) -> JsonObject:
    """A reply of another vendor in the client's language."""
    assert ask.original is not None, "a door's request always has one"
    dialect = ask.original.dialect
    body = dialect.render_reply(replace(reply, id=reply.id or _reply_id(dialect, ask)), ask.request)
    for name in _TIMES:
        if body.get(name) == 0:
            body[name] = int(context.services.clock())
    return body


def _reply_id(dialect: Dialect, ask: Ask) -> str:
    return _ID_PREFIXES.get(dialect.name, "") + ask.request_id


async def _streamed(context: Context, most: Most, ask: Ask, answer: Answer, sink: ProgressSink) -> None:
    meter, router = context.meter, context.services.router
    assert ask.original is not None, "a door's request always has one"
    dialect = ask.original.dialect
    renderer: EventRenderer | None = None
    async with router.stream(most.targets, ask, Serving(meter)) as batches:
        try:
            async for events in batches:
                answer.take(events)
                if meter.first_byte is None:
                    meter.first_byte = router.clock()
                passed = _passed(events)
                if passed is None:
                    if renderer is None:
                        created = int(context.services.clock())
                        renderer = dialect.event_renderer(
                            ask.request, created=created, reply_id=_reply_id(dialect, ask)
                        )
                    passed = _written(renderer, events)
                if passed:
                    await sink([Passed(passed)])
        except asyncio.CancelledError:
            await hear_usage(batches, answer)
            raise
    if renderer is not None:
        await sink([Passed(renderer.close())])


def _passed(events: Sequence[StreamEvent | Passed]) -> bytes | None:
    """The vendor's own bytes; None of a vendor that speaks another language."""
    last = events[-1] if events else None
    return last.data if type(last) is Passed else None


def _written(renderer: EventRenderer, events: Iterable[StreamEvent | Passed]) -> bytes:
    return b"".join([renderer.render(event) for event in events if not isinstance(event, Passed)])


class Serving:
    """Hears from the router which target is asked next, and tells the meter."""

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __call__(self, target: Target) -> None:
        """This one is asked now."""
        self._meter.target = target


METHODS: Final = (
    Method(
        name=CHAT,
        handler=chat,
        scope="ai:call",
        access=Access.REQUIRED,
        terms=Terms(is_metered=True),
        faults=SERVING,
        streams=True,
        most=most_of,
        like="executeAIRequest",
    ),
)
