"""What a caller may do and what it is worth: tiers, entitlements, limits, quotas, the price book, the tab, usage.

This floor never imports a method or a door. What it may know of a method is `terms.Terms` and the `terms.Most` of one call.
"""
