"""What can be called: parameters, results and handlers, and the AI providers with their dialects.

A handler never sees the ledger, a door or a credential. It gets a `Context`, runs, and returns a result.
"""
