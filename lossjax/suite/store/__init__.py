"""Stored runs: results, saved states, the places where they lie."""
