"""What loading a charge means on every database: which transfers are charges, and what earlier refunds gave back."""

from typing import Final

from storage.ledger.rows import ChargeRow

CHARGE_CODES: Final = ("usage", "late_usage", "expire")


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
