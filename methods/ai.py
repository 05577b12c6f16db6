"""`executeAIRequest`: one AI request, whole or streamed. It asks the router and reports to the meter; it knows no money.

`params.userId` is taken and ignored: who pays comes from the credential. With an own key (`apiKey`) only the first provider is
asked, because a key of one vendor must never reach another.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import orjson

from methods.ai_collect import Answer
from methods.ai_examples import EXECUTE_EXAMPLES
from methods.ai_params import ExecuteParams
from methods.ai_receipt import present
from methods.ai_request import Draft, draft_of, images_in, tokens_input_likely, tokens_input_max
from methods.ai_result import ExecuteResult
from methods.context import Context, Services
from methods.errors import SERVING
from methods.hearing_out import hear_usage
from methods.method import Access, Method, Tool
from methods.progress import Notice, Progress, ProgressSink, RunStarted
from methods.providers.base import Ask
from monetization.estimate import request_tokens_rough
from monetization.images import image_tokens_beyond
from monetization.tab import Meter
from monetization.terms import Most, Target, Terms
from storage.errors import NotFound


async def execute(context: Context, params: ExecuteParams) -> ExecuteResult:
    """Answer one AI request.

    Give `content`, `messages`, or a `promptId`; everything else is optional. Without `apiKey` the call is paid by the caller's
    plan; with it, it is served with that key and costs nothing here. With `stream`, text, reasoning and tool calls arrive as
    `$/progress` before the result, which is complete by itself.
    """
    most = context.most
    assert most is not None, "metered methods are always told their most"
    call, meter = context.call, context.meter
    draft = most.plan
    assert isinstance(draft, Draft), "it is the plan that `most_of` made"
    request = draft.request
    if request.max_tokens != most.tokens_output:  # the tier has lowered a default
        request = replace(request, max_tokens=most.tokens_output)
    meter.feature = params.feature_id
    if params.metadata:
        meter.metadata = _labels(params.metadata)
    is_private = params.prompt_id is not None
    ask = Ask(request, call.request_id, context.caller.own_key, call.traceparent, is_private)
    answer = Answer(meter)
    meter.count_input, meter.count_output = partial(tokens_input_likely, request), answer.tokens_likely
    if context.sink is None:
        await _whole(context, most, ask, answer)
    else:
        await _streamed(context, most, ask, answer, context.sink)
    return answer.result(call.request_id)


def most_of(services: Services, params: ExecuteParams) -> Most:
    """The most that these parameters can cause. Raises: UnknownModel, UnknownProvider, NotFound, InvalidParams."""
    draft = draft_of(params, services.prompts, services.router.route)
    request = draft.request
    images = images_in(request)
    tokens_input = tokens_input_max(request, images=images)
    return Most(
        targets=draft.route.targets,
        route=draft.route,
        tokens_input=tokens_input + images * image_tokens_beyond(draft.route.targets),
        tokens_output=request.max_tokens or 0,
        tokens_input_likely=request_tokens_rough(tokens_input, tools=len(request.tools), images=images),
        has_media=images > 0,
        images=images,
        is_output_asked=draft.is_output_asked,
        plan=draft,
    )


async def _whole(context: Context, most: Most, ask: Ask, answer: Answer) -> None:
    meter = context.meter
    reply = await context.services.router.complete(most.targets, ask, _Serving(meter, most))
    meter.first_byte = context.services.router.clock()
    answer.take_reply(reply)


async def _streamed(context: Context, most: Most, ask: Ask, answer: Answer, sink: ProgressSink) -> None:
    meter = context.meter
    serving = _Serving(meter, most)
    async with context.services.router.stream(most.targets, ask, serving) as batches:
        try:
            async for events in batches:
                progress = answer.take(events)
                if meter.first_byte is None:
                    meter.first_byte = context.services.router.clock()
                    progress = [*serving.begin(answer.model), *progress]
                if progress:
                    await sink(progress)
        except asyncio.CancelledError:
            await hear_usage(batches, answer)
            raise


class _Serving:
    """Hears from the router which target is asked next, and tells the meter."""

    __slots__ = ("_asked", "_meter", "_notices")

    def __init__(self, meter: Meter, most: Most) -> None:
        self._meter = meter
        self._asked = None if most.route is None else most.route.asked
        self._notices: list[Notice] = []

    def __call__(self, target: Target) -> None:
        before, what = self._meter.target, "did not answer"
        if before is None:
            before, what = self._asked, "was asked for"
        if before is not None and before != target:
            serves = f"{target.provider}/{target.model} serves the call"
            self._notices.append(Notice(f"{before.provider}/{before.model} {what}; {serves}"))
        self._meter.target = target

    def begin(self, model: str | None) -> list[Progress]:
        """What a stream says before its first delta."""
        target = self._meter.target
        assert target is not None, "the router names the target before it asks"
        return [RunStarted(model=model or target.model, provider=target.provider), *self._notices]


def _labels(metadata: Mapping[str, object]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in metadata.items()}


METHODS = (
    Method(
        name="executeAIRequest",
        handler=execute,
        scope="ai:call",
        tool=Tool(
            "Ask an AI model",
            is_read_only=False,
            is_open_world=True,
            hides=("stream", "apiKey", "userId", "provider", "options.stream", "options.apiKey"),
        ),
        access=Access.OPTIONAL,
        terms=Terms(is_metered=True),
        aliases=("ai.generateText", "generateText"),
        faults=(NotFound, *SERVING),
        examples=EXECUTE_EXAMPLES,
        streams=True,
        most=most_of,
        present=present,
    ),
)
