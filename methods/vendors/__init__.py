"""Methods that only the vendors' own doors call: their parameters are a vendor's JSON, their answers a vendor's bytes."""
