"""What a loss claims, checked numerically on its compiled function."""
