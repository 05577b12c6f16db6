"""The doors of the vendors' own SDKs: their paths, credentials, statuses and headers. Nothing here knows money."""
