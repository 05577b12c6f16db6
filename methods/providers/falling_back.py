"""Asks the next target when one fails before any output, and says which one is asked. The chain itself is the router's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from methods.dialects.canonical import ChatReply
from methods.errors import ProviderFailed, ProviderTimedOut
from methods.providers.base import Ask, Batches, Provider
from methods.providers.wrapping import FirstStream, Stream
from monetization.errors import Overloaded
from monetization.terms import Target

OnTarget = Callable[[Target], object]
"""Hears of every target just before it is asked; the last one heard is the one that served."""

MOVES_ON: Final = (ProviderFailed, ProviderTimedOut, Overloaded)
"""Faults after which another provider may do better. A wrong request or a refused key is wrong everywhere."""

Chain = Sequence[tuple[Target, Provider]]


async def complete(chain: Chain, ask: Ask, on_target: OnTarget) -> ChatReply:
    """The answer of the first target that gives one. Raises: the last target's fault."""
    for target, provider in chain[:-1]:
        on_target(target)
        try:
            return await provider.complete(_ask_of(ask, target, is_last=False))
        except MOVES_ON:
            continue
    target, provider = chain[-1]
    on_target(target)
    return await provider.complete(_ask_of(ask, target))


def stream(chain: Chain, ask: Ask, on_target: OnTarget) -> Stream:
    """The stream of the first target that begins one. Raises: the last target's fault."""
    return FirstStream(lambda: _begin(chain, ask, on_target))


async def _begin(chain: Chain, ask: Ask, on_target: OnTarget) -> tuple[Stream, Batches]:
    for target, provider in chain[:-1]:
        on_target(target)
        begun = provider.stream(_ask_of(ask, target, is_last=False))
        try:
            return begun, await begun.__aenter__()
        except MOVES_ON:
            continue
    target, provider = chain[-1]
    on_target(target)
    begun = provider.stream(_ask_of(ask, target))
    return begun, await begun.__aenter__()


def _ask_of(ask: Ask, target: Target, *, is_last: bool = True) -> Ask:
    if ask.request.model != target.model:
        return replace(ask, request=replace(ask.request, model=target.model), is_last=is_last)
    return ask if is_last else replace(ask, is_last=False)
