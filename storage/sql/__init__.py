"""The databases: tables, drivers and statements live here, and rows never leave."""
