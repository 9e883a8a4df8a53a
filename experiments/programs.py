"""What a sweep compiles: the network and the training settings of each family."""

import functools

from experiments.config import DEFAULT_SCHEDULE, Sweep
from experiments.data.dataset import Noise
from experiments.data.noise import noisy_targets
from lossjax import models
from lossjax.training import DEFAULT_OPTIMISER, Settings


def network_of(
    sweep: Sweep, image: tuple[int, int, int], model: str, channels: int
) -> models.Network:
    """The network of a model for images of that shape.

    Args:
      sweep: says how large it is.
      image: (height, width, channels).
      model: its canonical name.
      channels: of raw output for each image channel, as the loss has it.
    """
    shape = models.Shape(
        image,
        channels,
        sweep.latent_dim,
        sweep.width,
        sweep.hidden,
        sweep.precision,
        sweep.head_scale or 1.0,
    )
    return models.build(model, shape)


def settings_of(sweep: Sweep, noise: Noise | None) -> Settings:
    """How a program of the sweep trains on a dataset with that noise."""
    targets = None if noise is None else functools.partial(noisy_targets, noise)
    return Settings(
        sweep.train_steps,
        sweep.batch_size,
        targets,
        sweep.optimiser or DEFAULT_OPTIMISER,
        sweep.schedule or DEFAULT_SCHEDULE,
    )
