"""The benchmark of metering: reports over millions of rows, settling with sums, ingestion, entitlement checks."""
