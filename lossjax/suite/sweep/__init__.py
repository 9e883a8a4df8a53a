"""Trains the grid of a config: the verb `sweep`."""
