"""Recomputes every number of a report: the verb `verify`."""
