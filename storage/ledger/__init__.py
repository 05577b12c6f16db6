"""The ledger's rules as pure evaluation over loaded rows: no database, no clock, no randomness, no prices."""
