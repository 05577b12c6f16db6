"""What a call came to, from what its meter saw: the one place that says who pays for half an answer.

Done → the provider's own count, and our own of a side that it left out. Cut off after some output → what was delivered, by the
provider's count where it came and by our own where it did not. No output → nothing.
"""

import asyncio
from dataclasses import replace
from typing import Final

from monetization.tab import Meter, Receipt, Tab
from monetization.terms import Most
from storage.records.fact import fact
from storage.records.usage import Usage

BYTES_PER_TOKEN: Final = 4
"""Bytes of an ordinary text per token: good enough for a note of a running stream, not for its bill."""
MARGIN: Final = 2 * BYTES_PER_TOKEN
"""Bytes per token that hardly any text passes. A provider stops at the length it was told, so an estimate beyond that is our
own error, unless even this margin is passed: then the provider did not stop."""
STEP_BYTES: Final = 1024
"""How much more a stream that has passed the margin may send before it is noted again."""


@fact
class Used:
    """What is charged and recorded."""

    usage: Usage
    is_estimated: bool = False
    """True: at least one bucket was counted by us."""
    is_partial: bool = False
    """True: the answer ended before it was complete."""


def used(meter: Meter, most: Most, *, tokens_input: int | None = None, tokens_output: int | None = None) -> Used | None:
    """What the call used; None when the provider produced nothing, so nothing is charged.

    `tokens_input`, `tokens_output`: our own counts of what was asked and delivered. None: lengths stand in for them.
    """
    if meter.is_complete and meter.usage is not None and meter.untold is None:
        return Used(meter.usage)
    if not meter.is_complete and meter.bytes_delivered == 0:
        return None
    delivered = _bounded(meter, most, tokens_output)
    asked = min(most.tokens_input, most.tokens_input_likely) if tokens_input is None else tokens_input
    is_partial = not meter.is_complete
    if meter.usage is None:
        return Used(Usage(input=asked, output=delivered), is_estimated=True, is_partial=is_partial)
    usage = replace(meter.usage, input=asked) if meter.untold == "input" else meter.usage
    # A running count trails what was delivered (Anthropic counts input at the start and output at the end).
    beyond = max(0, delivered - usage.tokens_output) if is_partial or meter.untold == "output" else 0
    if beyond:
        usage = replace(usage, output=usage.output + beyond)
    is_estimated = usage is not meter.usage or (meter.is_complete and meter.untold is not None)
    return Used(usage, is_estimated=is_estimated, is_partial=is_partial)


def told_to(meter: Meter) -> Used | None:
    """What a call used whose caller left before the first word; None where the provider had counted nothing by then.

    The provider has read what was asked, and charges for it: who could leave for nothing would have it read for nothing.
    """
    if meter.usage is None or not meter.usage.tokens_total:
        return None
    return Used(meter.usage, is_partial=True)


def receipt_of(tab: Tab, most: Most) -> Receipt | None:
    """What a closed tab came to, or what its meter saw where the books could not be written. None: nothing was used."""
    if tab.receipt is not None:
        return tab.receipt
    found = used(tab.meter, most)
    return None if found is None else Receipt(found.usage, found.is_estimated, found.is_partial)


async def counted(found: Used, meter: Meter, most: Most) -> Used:
    """The same, with our estimates counted properly: in a thread, because a long text keeps a counter busy for a while."""
    if not found.is_estimated or meter.count_output is None:
        return found
    needs_input = (meter.usage is None or meter.untold == "input") and meter.count_input is not None
    tokens_output = await asyncio.to_thread(meter.count_output)
    tokens_input = await asyncio.to_thread(meter.count_input) if needs_input and meter.count_input else None
    return used(meter, most, tokens_input=tokens_input, tokens_output=tokens_output) or found


def _bounded(meter: Meter, most: Most, tokens_output: int | None) -> int:
    """What was delivered, in tokens."""
    delivered = -(-meter.bytes_delivered // BYTES_PER_TOKEN) if tokens_output is None else tokens_output
    if meter.bytes_delivered <= MARGIN * most.tokens_output:
        return min(delivered, most.tokens_output)
    return delivered
