"""What is no chat in a vendor's own language: embeddings, and counts of tokens. Any provider that does it may serve it.

A provider of the same language gets the client's own body and its own bytes come back; for any other one both are translated.
Vendors count for nothing, so a count is held and recorded at zero; where nobody counts, it is estimated here.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

import orjson

from methods.ai_request import tokens_input_likely
from methods.context import Context, Services
from methods.dialects.base import Original
from methods.dialects.canonical import ChatReply, ChatRequest
from methods.dialects.canonical_once import (
    CountReply,
    CountRequest,
    EmbedReply,
    EmbedRequest,
    OnceReply,
    OnceRequest,
    Operation,
)
from methods.dialects.once import AnyOnce, Once
from methods.dialects.tables import dialect_of, once_of
from methods.errors import SERVING, InvalidParams
from methods.method import Access, Method
from methods.providers.base import Ask
from methods.providers.faults import MALFORMED, UNSUPPORTED, failed
from methods.vendors.chat import Serving, VendorParams, read_by, route_of
from monetization.counting import tokens_likely
from monetization.estimate import request_tokens_max, request_tokens_rough
from monetization.terms import Most, Terms
from storage.records.usage import Usage

EMBED: Final = "vendorEmbed"
COUNT: Final = "vendorCount"


class OnceParams(VendorParams):
    """What a door read from its own wire."""

    single: bool = False
    """The path asks for one vector, not for a list of them."""


async def embed(context: Context, params: OnceParams) -> Mapping[str, object]:
    """Turn texts into vectors, in the client's own language: `body` is the reply's text."""
    once = _begun(context, params)
    request, meter = once.request, context.meter
    assert isinstance(request, EmbedRequest), "it was read as one"
    likely = cache(partial(_tokens, request, _likely))
    meter.count_input, meter.count_output = likely, lambda: 0
    reply = await _asked(context, once)
    meter.usage, meter.is_complete = reply.usage, True
    found = reply.once
    if reply.raw is None and isinstance(found, EmbedReply) and found.usage is None:
        # The client is told what it is charged for; in a thread, because long texts keep a counter busy for a while.
        usage = Usage(input=await asyncio.to_thread(likely))
        reply = replace(reply, once=replace(found, usage=usage))
    return _answer(context, once, reply)


async def count(context: Context, params: OnceParams) -> Mapping[str, object]:
    """Count the tokens of a request, in the client's own language: `body` is the reply's text."""
    once = _begun(context, params)
    meter = context.meter
    try:
        reply = await _asked(context, once)
    except InvalidParams as refused:
        if refused.slug != UNSUPPORTED:
            raise
        assert isinstance(once.request, CountRequest), "it was read as one"
        # In a thread, because a long text keeps a counter busy for a while.
        likely = await asyncio.to_thread(tokens_input_likely, once.request.chat)
        reply = ChatReply(once.request.model, (), "stop", None, once=CountReply(likely))
    meter.usage, meter.is_complete = Usage(), True
    return _answer(context, once, reply)


def most_of_embed(services: Services, params: OnceParams) -> Most:
    """The most that embeddings can cost: the tokens of their texts. Raises: InvalidParams, UnknownModel, UnknownProvider."""
    once = _once_of(params, "embed")
    request = once.request
    assert isinstance(request, EmbedRequest), "it was read as one"
    tokens_input = _tokens(request, _most)
    route = route_of(services, params, request.model)
    return Most(
        targets=route.targets,
        tokens_input=tokens_input,
        tokens_input_likely=request_tokens_rough(tokens_input),
        is_output_asked=True,
        route=route,
        plan=once,
    )


def most_of_count(services: Services, params: OnceParams) -> Most:
    """A count costs nothing, and is held at that. Raises: InvalidParams, UnknownModel, UnknownProvider."""
    once = _once_of(params, "count")
    route = route_of(services, params, once.request.model)
    return Most(targets=route.targets, is_output_asked=True, route=route, plan=once)


def _once_of(params: OnceParams, operation: Operation) -> Once:
    dialect = once_of(params.dialect, operation, params.version)
    request = _request_of(params, dialect)
    text = None if params.text is None else params.text.encode()
    chat = dialect_of(params.dialect, params.version)
    return Once(operation, dialect, request, Original(chat, params.body, text, params.headers))


def _request_of(params: OnceParams, dialect: AnyOnce) -> OnceRequest:
    parse = partial(dialect.parse_request, params.body, model=params.model, is_single=params.single)
    request: OnceRequest = read_by(dialect, params.body, parse)
    return request


def _begun(context: Context, params: OnceParams) -> Once:
    """What `most_of` made of the parameters, with the caller's labels noted."""
    assert context.most is not None, "metered methods are always told their most"
    once = context.most.plan
    assert isinstance(once, Once), "it is the plan that `most_of` made"
    context.meter.feature, context.meter.metadata = params.feature_id, dict(params.metadata)
    return once


async def _asked(context: Context, once: Once) -> ChatReply:
    most, call, router = context.most, context.call, context.services.router
    assert most is not None, "metered methods are always told their most"
    named = ChatRequest(most.targets[0].model, ())
    ask = Ask(named, call.request_id, context.caller.own_key, call.traceparent, once=once)
    reply = await router.complete(most.targets, ask, Serving(context.meter))
    context.meter.first_byte = router.clock()
    return reply


def _answer(context: Context, once: Once, reply: ChatReply) -> Mapping[str, object]:
    target = context.meter.target
    assert target is not None, "the router names the target before it asks"
    body = _rendered(once, reply, target.provider) if reply.raw is None else reply.raw
    return {"body": body.decode("utf-8", "replace"), "provider": target.provider, "model": target.model}


def _rendered(once: Once, reply: ChatReply, provider: str) -> bytes:
    """A reply of another vendor in the client's language."""
    found: OnceReply | None = reply.once
    assert found is not None, "what is no chat is answered by what is none"
    try:
        body: Any = once.dialect.render_reply(found, once.asked(reply.model))  # Any: of one of the dialects
    except ValueError as wrong:
        raise failed(provider, MALFORMED, "answered with vectors that are none") from wrong
    return orjson.dumps(body)


def _tokens(request: EmbedRequest, count_of: Callable[[str | tuple[int, ...]], int]) -> int:
    """The tokens of all that is embedded, and of what is said beside it: titles, instructions, whatever a vendor may read."""
    beside = orjson.dumps(dict(request.extra)).decode() if request.extra else ""
    return sum(map(count_of, request.inputs)) + (count_of(beside) if beside else 0)


def _most(text: str | tuple[int, ...]) -> int:
    """The most tokens that an input can be; tokens are counted already."""
    return request_tokens_max((text,), messages=1) if isinstance(text, str) else len(text)


def _likely(text: str | tuple[int, ...]) -> int:
    return tokens_likely(text) if isinstance(text, str) else len(text)


METHODS: Final = (
    Method(
        name=EMBED,
        handler=embed,
        scope="ai:call",
        access=Access.REQUIRED,
        terms=Terms(is_metered=True),
        faults=SERVING,
        most=most_of_embed,
        like="executeAIRequest",
    ),
    Method(
        name=COUNT,
        handler=count,
        scope="ai:call",
        access=Access.REQUIRED,
        terms=Terms(is_metered=True),
        faults=SERVING,
        most=most_of_count,
        like="executeAIRequest",
    ),
)
