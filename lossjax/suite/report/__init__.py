"""The report of a sweep, rebuilt from stored runs alone: no jax, no training."""
