"""Which limits of speed a caller has, and what a caller hears who is too fast. The counters are kept in `storage/ephemeral`."""
