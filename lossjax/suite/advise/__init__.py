"""The advisor: which reconstruction loss for these pictures, in a few minutes."""
