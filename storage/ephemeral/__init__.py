"""What may be forgotten: how fast callers are just now. Counters and leases live here, in memory or in Redis; no money ever."""
