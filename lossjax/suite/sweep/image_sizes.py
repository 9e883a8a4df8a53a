"""Images that a model, a loss or a metric cannot take, refused before training."""

import itertools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from lossjax import METRICS, resolve
from lossjax.own_code import place_of
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.sweep.programs import network_of


def check_sizes(sweep: Sweep, datasets: Mapping[str, Dataset]) -> None:
    """Traces everything that sees an image once on each shape; nothing is computed.

    Raises:
      UserError: one of them refuses the shape; it says which and why.
    """
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
                    network_of(sweep, shape, model, sweep.code_sizes[0], 1)
            for loss in map(resolve, sweep.trained):
                raw = (2, height, width, channels * loss.channels)
                jax.eval_shape(loss.fn, jax.ShapeDtypeStruct(raw, jnp.float32), image)
            for metric in METRICS.values():
                jax.eval_shape(metric.fn, image, image)
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"{size}; {reason}: set config.image_size") from None


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
