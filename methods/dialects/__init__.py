"""Vendor wire formats, as pure translation both ways between a vendor's JSON and `canonical`. No I/O, no prices, no keys."""
