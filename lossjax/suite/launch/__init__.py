"""Runs a sweep on rented accelerators, through existing engines; never imports jax."""
