"""Images that a model, a loss or a metric cannot take, refused before training."""

import itertools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from lossjax import METRICS, resolve
from lossjax.models.network import Network
from lossjax.own_code import place_of
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.sweep.programs import network_of

# A step of Adam moves every weight by the learning rate, and so a sum of n numbers by
# up to n times that. Measured on 96 x 96 photographs (n = 18,432): at 6 units of a
# layer go on learning, at 55 they may all fall silent within 25 steps, with any loss.
_FURTHEST = 30


def check_sizes(sweep: Sweep, datasets: Mapping[str, Dataset]) -> dict[str, None]:
    """Traces everything that sees an image once on each shape; nothing is computed.

    Returns:
      What a user should know of how they are trained, a line each.

    Raises:
      UserError: one of them refuses the shape; it says which and why.
    """
    notes: dict[str, None] = {}
    shapes = {dataset.image_shape: name for name, dataset in datasets.items()}
    for shape, name in shapes.items():
        height, width, channels = shape
        size = f"{name}: its images are {height} x {width}"
        if min(height, width) < 2:
            raise UserError(f"{size}; models take 2 x 2 or more: set config.image_size")
        image = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
        try:
            for model in sweep.models:
                if place_of(model) is None:
                    network = network_of(sweep, shape, model, sweep.code_sizes[0], 1)
                    notes |= _too_far(sweep, name, model, network, channels)
            for loss in map(resolve, sweep.trained):
                raw = (2, height, width, channels * loss.channels)
                jax.eval_shape(loss.fn, jax.ShapeDtypeStruct(raw, jnp.float32), image)
            for metric in METRICS.values():
                jax.eval_shape(metric.fn, image, image)
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"{size}; {reason}: set config.image_size") from None
    return notes


def _too_far(
    sweep: Sweep, name: str, model: str, network: Network, channels: int
) -> dict[str, None]:
    """What is said where every learning rate may be too high for the widest layer."""
    if sweep.optimiser != "adam":
        return {}
    start = jax.ShapeDtypeStruct((channels,), jnp.float32)
    weights = jax.eval_shape(lambda s: network.init(jax.random.key(0), s), start)
    widest = max(math.prod(leaf.shape[:-1]) for leaf in jax.tree.leaves(weights))
    lowest = min(sweep.learning_rates)
    if lowest * widest <= _FURTHEST:
        return {}
    line = (
        f"{name} / {model}: a layer adds up {widest:,} numbers, and at {lowest:g}, the "
        f"lowest learning rate, it may stop learning in its first steps: add lower "
        f"ones ({10 / widest:.0e}), or for convolutions more of config.width, each of "
        "which halves the image"
    )
    return {line: None}


def check_own_models(sweep: Sweep, datasets: Mapping[str, Dataset]) -> dict[str, None]:
    """Tries every model of the user's own as it would be trained.

    Returns:
      What a user should know of how they are trained, a line each.

    Raises:
      UserError: one of them cannot be; it says which and why.
    """
    notes: dict[str, None] = {}
    shapes = {dataset.image_shape: name for name, dataset in datasets.items()}
    channels = {resolve(loss).channels for loss in sweep.trained}
    for model in filter(place_of, sweep.models):
        grid = itertools.product(shapes, sweep.code_sizes, sorted(channels))
        for shape, latent_dim, blocks in grid:
            try:
                network = network_of(sweep, shape, model, latent_dim, blocks)
            except ValueError as error:
                raise UserError(f"config.models: {error}") from None
            notes |= {network.note: None} if network.note else {}
    return notes
