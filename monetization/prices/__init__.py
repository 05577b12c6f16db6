"""What AI models cost: rates as integers, the book that finds them by date, and where they come from.

Everything here is money of the providers in nano dollars; what a caller pays for it is decided in `monetization/charging`.
"""
