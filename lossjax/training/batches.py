"""The batches of a run: every epoch all training images, in an order of the seed."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lossjax.training.replicas import as_intensity


class Order(NamedTuple):
    """The order of an epoch's images. It lives as long as a program does: to draw one
    of 55,000 images takes a CPU as long as ten steps.

    Attributes:
      key: uint32, the data of the key that it was drawn with.
      epoch: int32, its epoch; -1 before the first.
      places: int32 (n,), the images' indices in the training split.
    """

    key: jax.Array
    epoch: jax.Array
    places: jax.Array


class Batch(NamedTuple):
    """What a step trains on.

    Attributes:
      step: int32, its number, 0 first.
      images: float32 (batch, height, width, channels) in [0, 1]; nan where a pixel does
        not count.
      places: int32 (batch,), the images' indices in the training split.
    """

    step: jax.Array
    images: jax.Array
    places: jax.Array


@dataclass(frozen=True)
class Batches:
    """The training split, cut into batches after a permutation for each epoch.

    Attributes:
      train_u8: (n, height, width, channels), as `Pixels.kept` says.
      size: images of a batch; those left over at the end of an epoch wait for the next.
      key: draws the permutations.
    """

    train_u8: jax.Array
    size: int
    key: jax.Array

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the split."""
        return len(self.train_u8) // self.size

    @staticmethod
    def start(images: int) -> Order:
        """What stands for the order before any was drawn."""
        data = jax.random.key_data(jax.random.key(0))
        places = jnp.zeros(images, jnp.int32)
        return Order(jnp.zeros_like(data), jnp.int32(-1), places)

    def order(self, step: jax.Array, before: Order) -> Order:
        """The order of a step's epoch; `before`, if that is the one."""
        epoch = step // self.steps_per_epoch
        data = jax.random.key_data(self.key)
        known = (before.epoch == epoch) & jnp.all(before.key == data)
        return jax.lax.cond(
            known, lambda: before, lambda: Order(data, epoch, self.permutation(epoch))
        )

    def permutation(self, epoch: jax.Array) -> jax.Array:
        """The order of an epoch."""
        key = jax.random.fold_in(self.key, epoch)
        return jax.random.permutation(key, len(self.train_u8))

    def orders(self, start: jax.Array, steps: int) -> jax.Array:
        """The orders (epochs, n) of every epoch that so many steps from one may touch.

        Drawn at once: side by side every step would else carry the sort of an epoch.
        """
        epochs = (steps + self.steps_per_epoch - 2) // self.steps_per_epoch + 1
        first = start // self.steps_per_epoch
        return jax.vmap(self.permutation)(first + jnp.arange(epochs))

    def batch(self, step: jax.Array, order: jax.Array) -> Batch:
        """The batch of a step, by the permutation of its epoch."""
        start = step % self.steps_per_epoch * self.size
        places = jax.lax.dynamic_slice_in_dim(order, start, self.size)
        images = self.train_u8.at[places].get(mode="promise_in_bounds")
        return Batch(step, as_intensity(images), places)
