"""Injects faults into real sweeps and counts what was lost."""
