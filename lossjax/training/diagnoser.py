"""Measures DIAGNOSTICS of many trained replicas at once."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax import platform
from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.metrics.diagnostics import (
    BATCHES,
    IMAGES,
    SATURATED,
    STALLED,
    WRONG,
    bands_of,
    dead_units,
    signal_to_noise,
    spectrum,
)
from lossjax.models.network import Network
from lossjax.training.objective import network_input, network_target, probe_key
from lossjax.training.replicas import (
    Layout,
    Replica,
    as_intensity,
    blocks_of,
    put,
    spread,
    zeros_of,
)
from lossjax.training.settings import Settings
from lossjax.training.step import noise_key
from lossjax.training.weights import parameters_of, scalars_of, size_of

_SHARES = ("stalled_share", "stuck_share", "saturated_share")


class Diagnoser:
    """Measures replicas of any loss family of one network.

    A network that corrupts its input is measured with the noise that it is scored with,
    a variational one at the mean of its code and without the code's price.

    One program does it all, so that a network is compiled once: given a batch to train
    on it makes the gradient, given images that are held out it looks at the pixels.
    """

    def __init__(
        self, network: Network, settings: Settings, layout: Layout, mesh: Mesh
    ) -> None:
        self._batch, self._mesh = settings.batch_size, mesh
        self._pixels = network.pixels
        look = functools.partial(_look, network, settings)
        options = platform.compiler_options(mesh.devices.flat[0], seldom=True)
        self._look = spread(look, mesh, layout, shared=4, idle=True, options=options)
        self._wide = layout.mapping == "vmap"

    def rehearse(
        self,
        replicas: Replica,
        weights: jax.Array,
        train_u8: np.ndarray,
        validation_u8: np.ndarray,
    ) -> None:
        """Compile all that `measure` needs ahead of its first call, for these shapes.

        The replicas rest: nothing else is computed.
        """
        parts = train_u8[: 2 * self._batch], validation_u8[: self._batch]
        self.measure(replicas, weights, *parts, lambda steps: None)

    def measure(
        self,
        replicas: Replica,
        weights: jax.Array,
        train_u8: np.ndarray,
        validation_u8: np.ndarray,
        tick: Callable[[int], None],
    ) -> dict[str, np.ndarray]:
        """Every diagnostic but `steps_to_quarter`, {name: (slots,)}.

        Args:
          replicas: the runs, batched; all of one loss family.
          weights: State.weights of `Program`.
          train_u8: (n, height, width, channels), of which a few are used.
          validation_u8: the same form, as `Pixels.kept` says.
          tick: called with 0 between calls to the devices; may raise.
        """
        active = np.asarray(replicas.active)
        replicas = put(replicas, self._mesh)
        sums: dict[str, np.ndarray] = {}
        codes = []
        blocks = blocks_of(validation_u8[:IMAGES], self._batch)
        for images, share in zip(blocks.images, blocks.weights, strict=True):
            places = np.zeros(len(images), np.int32)
            found, code, _ = self._look(
                active, replicas, weights, images, share, places, np.bool_(False)
            )
            for name, values in found.items():
                sums[name] = sums.get(name, 0) + np.asarray(values, np.float64)
            codes.append(np.asarray(code)[:, share > 0])
            tick(0)
        looked_at = validation_u8[:IMAGES]
        sizes = self._pixels.size(looked_at)
        pixels = int(np.broadcast_to(sizes, len(looked_at)).sum(dtype=np.float64))
        measured = {name: sums[name] / pixels for name in _SHARES}
        measured |= spectrum(sums["residual"], sums["target"])
        measured["dead_units"] = dead_units(np.concatenate(codes, 1))
        measured["gradient_snr"] = self._snr(active, replicas, weights, train_u8, tick)
        return {name: np.where(active, v, math.nan) for name, v in measured.items()}

    def _snr(
        self,
        active: np.ndarray,
        replicas: Replica,
        weights: jax.Array,
        train_u8: np.ndarray,
        tick: Callable[[int], None],
    ) -> np.ndarray:
        count = min(BATCHES, len(train_u8) // self._batch)
        order = np.random.default_rng(0).permutation(len(train_u8)).astype(np.int32)
        share = np.ones(self._batch, np.float32)
        gradients: list[np.ndarray] = []
        moments: _Moments | None = None
        for places in order[: count * self._batch].reshape(count, -1):
            _, _, gradient = self._look(
                active,
                replicas,
                weights,
                train_u8[places],
                share,
                places,
                np.bool_(True),
            )
            if self._wide:
                moments = _added(moments or _no_moments(gradient), gradient)
            else:
                gradients.append(np.asarray(gradient))
            tick(0)
        if moments is not None:
            return np.asarray(_ratio(moments), np.float64)
        if not count:
            return np.full(1, math.nan)
        return signal_to_noise(gradients, active)


class _Moments(NamedTuple):
    """Of batches' gradients, on the device: those of thousands of slots stay there.

    Attributes:
      batches: float32, how many.
      mean: (slots, weights).
      squares: (slots,), sum of squared distances from the mean.
    """

    batches: jax.Array
    mean: jax.Array
    squares: jax.Array


def _no_moments(gradient: jax.Array) -> _Moments:
    zeros = jnp.zeros_like(gradient)
    return _Moments(jnp.float32(0), zeros, zeros[:, 0])


@functools.partial(jax.jit, donate_argnums=0)
def _added(moments: _Moments, gradient: jax.Array) -> _Moments:
    """With one batch more, by Welford's recurrence."""
    batches = moments.batches + 1
    distance = gradient - moments.mean
    mean = moments.mean + distance / batches
    squares = jnp.sum(distance * (gradient - mean), axis=1)
    return _Moments(batches, mean, moments.squares + squares)


@jax.jit
def _ratio(moments: _Moments) -> jax.Array:
    """As `signal_to_noise`, in float32; nan for one batch."""
    noise = moments.squares / (moments.batches - 1)
    signal = jnp.sum(moments.mean**2, axis=1) - noise / moments.batches
    return jnp.sqrt(jnp.maximum(signal, 0) / noise)


def _look(
    network: Network,
    settings: Settings,
    replica: Replica,
    weights: jax.Array,
    images_u8: jax.Array,
    share: jax.Array,
    places: jax.Array,
    training: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """What a batch says of pixels, its code, and its mean loss's gradient in weights.

    Of pixels and gradient what is not asked for is 0.
    """
    loss = replica.loss
    own = weights[: size_of(network)]
    pixels = as_intensity(images_u8)
    images = network_target(network, pixels)
    given = network_input(network, probe_key(0), images)
    targets = images
    if settings.targets is not None:
        noisy = settings.targets(noise_key(replica.seed), images, places)
        targets = jnp.where(training, noisy, images)

    def read(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
        out = network.apply(parameters_of(network, flat), given)
        return out.raw, out.code

    own_weights = network.pixels.weights(pixels)

    def total(raw: jax.Array) -> jax.Array:
        scalars = scalars_of(network, loss, weights)
        return jnp.sum(loss.fn(raw, targets, scalars, weights=own_weights))

    raw, back, code = jax.vjp(read, own, has_aux=True)
    slopes = jax.grad(total)(raw)
    counted = network.pixels.counted(pixels)
    looked = functools.partial(
        _pixels, loss, raw, slopes, images, share, own_weights, counted
    )

    found, gradient = jax.lax.cond(
        training,
        lambda: (zeros_of(looked), back(slopes / len(images))[0]),
        lambda: (looked(), jnp.zeros_like(own)),
    )
    return found, code, gradient[: len(own) - network.carried]


def _pixels(
    loss: Loss | OneOf,
    raw: jax.Array,
    slopes: jax.Array,
    images: jax.Array,
    share: jax.Array,
    weights: jax.Array | None,
    counted: jax.Array | None,
) -> dict[str, jax.Array]:
    """Counts of pixels and powers of bands, summed over the images of a batch.

    Args:
      slopes: dL/draw of each image's own loss.
      share: float32 (batch,), 1 for an image and 0 for filling.
      weights: of the pixels in the loss; None where all weigh alike.
      counted: 1 for a pixel that counts and 0 for another; None where all do.
    """
    bends = jax.grad(lambda raw: jnp.sum(loss.read_out(raw)))(raw)
    image = loss.read_out(raw)
    blocked = (*image.shape[:-1], -1, image.shape[-1])

    def steepest(gradient: jax.Array) -> jax.Array:
        return jnp.max(jnp.abs(gradient.reshape(blocked)), axis=-2)

    # The mean over an image's pixels divided each pixel's own gradient.
    scale: jax.Array | int = image[0].size
    residual = image - images
    if weights is not None:
        total = jnp.sum(weights, axis=(1, 2, 3), keepdims=True)
        scale = total / jnp.where(weights > 0, weights, 1)
    stalled = steepest(slopes) * scale < STALLED
    wrong = jnp.abs(residual) > WRONG
    flags = {
        "stalled_share": stalled,
        "stuck_share": stalled & wrong,
        "saturated_share": steepest(bends) < SATURATED,
    }
    if counted is not None:
        flags = {name: flag & (counted > 0) for name, flag in flags.items()}
        residual, images = (jnp.where(counted > 0, x, 0) for x in (residual, images))
    counts = {
        name: share @ jnp.sum(flag, axis=(1, 2, 3), dtype=jnp.float32)
        for name, flag in flags.items()
    }
    powers = functools.partial(_powers, share)
    return counts | {"residual": powers(residual), "target": powers(images)}


def _powers(share: jax.Array, values: jax.Array) -> jax.Array:
    """Power in each band, (BANDS,), summed over images."""
    bands = jnp.asarray(bands_of(*values.shape[1:3]))
    waves = jnp.fft.fft2(values, axes=(1, 2))
    power = jnp.sum(waves.real**2 + waves.imag**2, axis=-1)
    return jnp.einsum("n,nhw,khw->k", share, power, bands)
