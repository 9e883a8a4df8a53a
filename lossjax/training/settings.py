"""How a program trains: steps, batches, OPTIMISERS and SCHEDULES."""

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

DEFAULT_OPTIMISER = "adam"


@dataclass(frozen=True)
class Settings:
    """What a program is compiled for besides network and loss family.

    Attributes:
      train_steps: how many steps the learning rate's schedule takes.
      batch_size: images a step.
      optimiser: a key of OPTIMISERS.
      targets: (key, images, places) -> targets, where they are not the images
        themselves: places are the images' indices in the training split, the key
        belongs to the seed, so that every loss meets the same noise.
      schedule: a row of SCHEDULES.
      stretch: the most steps of a call where replicas lie side by side; all orders of
        images that it needs are drawn before the first of them.
      kl_cycles: times that the weight of a variational model's KL rises from 0 to beta
        (Bowman and others 2016; Fu and others 2019); 0: it is beta throughout.
      kl_rise: share of a cycle in which it rises.
    """

    train_steps: int
    batch_size: int
    targets: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] | None = None
    optimiser: str = DEFAULT_OPTIMISER
    schedule: str = "cosine"
    stretch: int = 128
    kl_cycles: int = 0
    kl_rise: float = 0.5

    def kl_share(self, step: jax.Array) -> jax.Array | None:
        """Of beta that the KL weighs at a step; None where it is always all of it."""
        if not self.kl_cycles:
            return None
        # In whole steps: a rounded share of the training would miss a cycle's start.
        period = math.ceil(self.train_steps / self.kl_cycles)
        return jnp.minimum(step % period / (self.kl_rise * period), 1)


# Share of the training done -> share of the peak rate.
SCHEDULES: Mapping[str, Callable[[jax.Array], jax.Array]] = types.MappingProxyType(
    {
        "cosine": lambda fraction: 0.5 * (1 + jnp.cos(jnp.pi * fraction)),
        "constant": lambda fraction: jnp.ones_like(fraction),
    }
)


def _adam() -> optax.GradientTransformation:
    # So small an epsilon that 0.001 times a loss trains as the loss does.
    return optax.scale_by_adam(eps=1e-15)


def _sgd() -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum 0.9: the loss's scale counts."""
    return optax.trace(decay=0.9)


# What makes an update from a gradient, before the learning rate.
OPTIMISERS: Mapping[str, Callable[[], optax.GradientTransformation]] = (
    types.MappingProxyType({"adam": _adam, "sgd": _sgd})
)
