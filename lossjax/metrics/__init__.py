"""Fixed yardsticks of images, codes and latent variables, and diagnostics."""
