"""Keys: those that this gateway issues to callers, and those of providers that callers leave with it. No door, no SQL."""
