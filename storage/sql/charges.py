"""What loading a charge means on every database: which transfers are charges, what gave back of them, what followed an expiry."""

from typing import Final

from storage.ledger.rows import ChargeRow

CHARGE_CODES: Final = ("usage", "late_usage", "expire")
REFUND_CODES: Final = ("refund_charge", "late_refund")
"""Of what gives a charge back, in part or whole; its `related_id` is the charge's."""
LATE_CODES: Final = ("late_usage", "late_write_off", "late_refund", "write_off_back")
"""Of what a late settle wrote; related to the hold, or to its expiry where it gave back."""
AFTER_CODES: Final = (*LATE_CODES, "write_off")
"""Of all that an ended hold may have beside its resolution."""


def note_return(charge: ChargeRow, lot_id: int, amount: int, value_nano: int) -> None:
    """Earlier refunds went to the last uses first; find them again in that order."""
    for use in reversed(charge.uses):
        take = min(amount, use.amount - use.returned) if use.lot_id == lot_id else 0
        if take:
            worth = value_nano if take == amount else min(value_nano, use.value_nano - use.returned_nano)
            use.returned += take
            use.returned_nano += worth
            amount -= take
            value_nano -= worth
