"""What a network is to those who train and score it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from lossjax.models.corruption import Corruption
from lossjax.models.pixels import BYTES, Pixels


class Output(NamedTuple):
    """What a network makes of a batch of images."""

    raw: jax.Array  # (batch, height, width, channels * blocks), before any link
    code: jax.Array  # (batch, latent_dim); of a variational model the mean


@dataclass(frozen=True)
class Shape:
    """What sizes a network: the image, the code, and the layers between.

    Attributes:
      image: (height, width, channels).
      blocks: channels of raw output for each image channel; a loss's `channels`.
      latent_dim: size of the code.
      width: channels of each stride-2 convolution (conv_ae).
      hidden: units of each hidden layer (mlp_ae).
      precision: what the network computes in, a key of PRECISIONS; weights stay float32
        and so does raw output.
      head_scale: factor on the last layer's initial kernel.
    """

    image: tuple[int, int, int]
    blocks: int = 1
    latent_dim: int = 8
    width: tuple[int, ...] = (16, 32)
    hidden: tuple[int, ...] = (128,)
    precision: str = "float32"
    head_scale: float = 1.0


@dataclass(frozen=True)
class Latent:
    """What a variational model is trained by besides its reconstruction.

    The objective is sum over pixels + beta KL, divided by the number of pixels and
    channels, as every loss of this suite is a mean over them.

    Attributes:
      beta: weight of the divergence from the prior; the number of pixels and channels
        is what a mean over pixels beside a sum over the code amounts to.
      free_bits: nats; a unit whose mean divergence over the batch is below that costs
        as much, so that nothing is gained by giving it up.
      dequantise: every pixel is (255 y + u)/256, u uniform, in input and target.
      warp: contrast of input and target; see `contrast.warp`.
      clip: the decoder's raw output is held between -bound and bound, where a sigmoid
        reads out clip and 1 - clip; no gradient comes from beyond.
    """

    beta: float
    free_bits: float
    dequantise: bool
    warp: float = 0.0
    clip: float = 0.0

    @property
    def bound(self) -> float:
        """The largest raw output, in absolute value."""
        if self.clip == 0:
            return math.inf
        return math.log1p(-self.clip) - math.log(self.clip)


@dataclass(frozen=True)
class Network:
    """A model of a given shape, as pure functions of its parameters.

    Attributes:
      init: (key, start) -> params. `start`, float (channels * blocks,), is the raw
        output of a constant image: the head's bias. For one key every layer but the
        head, and the head's first `channels` outputs, start alike for every `blocks`.
      apply: (params, images) -> Output; images float (batch, height, width, channels)
        in [0, 1]. A variational model decodes the mean of its code.
      outputs: channels of raw output, channels * blocks.
      encode: (params, images) -> (batch, latent_dim), of a variational model
        (batch, 2 * latent_dim): means, then the logarithms of variances.
      decode: (params, code (batch, latent_dim)) -> raw.
      latent_dim: size of the code.
      corrupt: (key, images) -> what is encoded in training and when scored.
      latent: of a variational model how its code is paid for.
      pixels: of the images, what they are and which of them count.
      train: (params, images, key) -> (raw, float (carried,)): what a training step
        computes where that is not `apply`, as with batch norm or dropout, and what it
        leaves in the place of the numbers that no optimiser trains.
      carried: how many those are: the last ones of the params.
      note: what a user should know of how it is trained; empty where nothing is.
    """

    init: Callable[[jax.Array, jax.Array], Any]
    apply: Callable[[Any, jax.Array], Output]
    outputs: int
    encode: Callable[[Any, jax.Array], jax.Array]
    decode: Callable[[Any, jax.Array], jax.Array]
    latent_dim: int
    corrupt: Corruption | None = None
    latent: Latent | None = None
    pixels: Pixels = BYTES
    train: Callable[[Any, jax.Array, jax.Array], tuple[jax.Array, jax.Array]] | None = (
        None
    )
    carried: int = 0
    note: str = ""
