"""Asks the next target when one fails before any output, and says which one is asked. The chain itself is the router's."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from methods.dialects.canonical import ChatReply
from methods.errors import InvalidParams, ProviderFailed, ProviderTimedOut, Unauthenticated, UnknownModel
from methods.providers.base import Ask, Batches, Provider
from methods.providers.faults import OWN_KEY_REQUIRED, UNSUPPORTED, UNTRANSLATABLE
from methods.providers.wrapping import FirstStream, Stream
from monetization.errors import Overloaded
from monetization.terms import Target
from storage.errors import Fault

OnTarget = Callable[[Target], object]
"""Hears of every target just before it is asked; the last one heard is the one that served, or whose fault is raised."""

MOVES_ON: Final = (ProviderFailed, ProviderTimedOut, Overloaded)
"""Faults after which another provider may do better. A wrong request or a refused key is wrong everywhere."""
_UNASKED: Final = frozenset({UNTRANSLATABLE, UNSUPPORTED, OWN_KEY_REQUIRED})
"""Reasons why one provider could not be asked at all, and another one may be: nothing was sent, and nobody judged the request."""

Chain = Sequence[tuple[Target, Provider]]
_Begun = TypeVar("_Begun")


async def complete(chain: Chain, ask: Ask, on_target: OnTarget) -> ChatReply:
    """The answer of the first target that gives one. Raises: what `_first` says."""
    return await _first(chain, ask, on_target, lambda provider, asked: provider.complete(asked))


def stream(chain: Chain, ask: Ask, on_target: OnTarget) -> Stream:
    """The stream of the first target that begins one. Raises: what `_first` says."""
    return FirstStream(lambda: _first(chain, ask, on_target, _begin))


async def _begin(provider: Provider, ask: Ask) -> tuple[Stream, Batches]:
    begun = provider.stream(ask)
    return begun, await begun.__aenter__()


async def _first(
    chain: Chain, ask: Ask, on_target: OnTarget, begin: Callable[[Provider, Ask], Awaitable[_Begun]]
) -> _Begun:
    """What the first target gives that gives something.

    Raises: the fault of the last target that failed; where none could be asked, the one of the first. What a stand-in refuses
    after such a failure says nothing of the request, which whoever was asked for it has not judged yet.
    """
    blamed: tuple[Target, Fault] | None = None
    last = chain[-1][0]
    for target, provider in chain:
        on_target(target)
        try:
            return await begin(provider, _ask_of(ask, target, is_last=target is last))
        except MOVES_ON as fault:
            blamed = target, fault
        except (InvalidParams, Unauthenticated, UnknownModel) as fault:
            has_failed = blamed is not None and isinstance(blamed[1], MOVES_ON)
            if fault.slug not in _UNASKED and not has_failed:
                raise
            blamed = blamed or (target, fault)
    assert blamed is not None, "a call has at least one target"
    whose, told = blamed
    on_target(whose)
    try:
        raise told
    finally:
        # Else the fault would keep this frame and this frame the fault, and both the request, until garbage is looked for.
        del blamed, told


def _ask_of(ask: Ask, target: Target, *, is_last: bool = True) -> Ask:
    if ask.request.model != target.model:
        return replace(ask, request=replace(ask.request, model=target.model), is_last=is_last)
    return ask if is_last else replace(ask, is_last=False)
