"""What a call came to, from what its meter saw: pure, and the one place that says who pays for half an answer.

Done → the provider's own count. Cut off after some output → what was delivered, by the provider's count where it came and by
our own where it did not. No output → nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

from monetization.tab import Meter
from monetization.terms import Most
from storage.records.usage import Usage

BYTES_PER_TOKEN: Final = 4
"""Bytes of an ordinary text per token, where nobody counted (measured: within -15 % and +5 % of the vendors' own counts)."""


@dataclass(frozen=True, slots=True)
class Used:
    """What is charged and recorded."""

    usage: Usage
    is_estimated: bool = False
    """True: at least one bucket was counted by us."""
    is_partial: bool = False
    """True: the answer ended before it was complete."""


def used(meter: Meter, most: Most) -> Used | None:
    """What the call used; None when the provider produced nothing, so nothing is charged."""
    if meter.is_complete:
        if meter.usage is not None:
            return Used(meter.usage)
        return Used(_estimated(meter, most), is_estimated=True)
    if meter.bytes_delivered == 0:
        return None
    if meter.usage is None:
        return Used(_estimated(meter, most), is_estimated=True, is_partial=True)
    # A running count trails what was delivered (Anthropic counts input at the start and output at the end).
    counted = meter.usage.tokens_output
    delivered = -(-meter.bytes_delivered // BYTES_PER_TOKEN)
    if delivered <= counted:
        return Used(meter.usage, is_partial=True)
    usage = replace(meter.usage, output=meter.usage.output + delivered - counted)
    return Used(usage, is_estimated=True, is_partial=True)


def _estimated(meter: Meter, most: Most) -> Usage:
    return Usage(
        input=min(most.tokens_input, most.tokens_input_likely),
        output=-(-meter.bytes_delivered // BYTES_PER_TOKEN),
    )
