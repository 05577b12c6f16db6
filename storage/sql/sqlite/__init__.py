"""The embedded database: one process, one writer thread, read-only readers."""
