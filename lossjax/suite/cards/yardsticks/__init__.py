"""The metrics: their table, one card, and their errors against other libraries."""
