"""PostgreSQL: many processes, rows locked in one order, the same evaluation as everywhere."""
