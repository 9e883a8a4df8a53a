"""Losses and models that need pixels of another kind, refused before training."""

from collections.abc import Mapping

from lossjax import resolve
from lossjax.models import autoencoders
from lossjax.models.pixels import BYTES
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset


def check_pixels(sweep: Sweep, datasets: Mapping[str, Dataset]) -> None:
    """Refuses what asks of pixels that they are not.

    Raises:
      UserError: it names the loss or model, the dataset, and what its pixels are.
    """
    for name, dataset in datasets.items():
        levels = dataset.pixels.levels
        if levels == BYTES.levels:
            continue
        found = f"{name} has {levels:,} levels" if levels else f"{name} has floats"
        for text in sweep.trained:
            if resolve(text).law == "levels":
                raise UserError(
                    f"config.losses: {text} is a probability of {BYTES.levels} grey "
                    f"levels; {found}: leave that loss out"
                )
        for text in sweep.models:
            latent = autoencoders.resolve(text).latent
            if latent is not None and latent.dequantise and not levels:
                raise UserError(
                    f"config.models: {text} adds the noise of a grey level; {found}: "
                    "set dequantise=0"
                )
