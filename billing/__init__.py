"""Whose money moved, and why: named movements, holds, lots, payments, processors, invoices.

This floor is handed an amount and a reason and never asks why the amount is what it is: prices live one floor above.
"""
