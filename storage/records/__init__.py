"""Frozen facts with no I/O. Everything here is a value: it can be compared, stored and sent, and never changes."""
