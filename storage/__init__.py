"""What is kept, and the promises kept with it.

This floor owns the records (pure, frozen facts), the ledger engine, SQL and the ephemeral stores. It knows nothing of tiers,
prices, methods or HTTP: a caller above hands it facts and it keeps them, whole or not at all.
"""
