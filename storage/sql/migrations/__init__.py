"""The schema's history: one revision per change, up and down, for both databases."""
