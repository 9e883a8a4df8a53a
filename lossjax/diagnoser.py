"""Measures DIAGNOSTICS of many trained replicas at once."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.diagnostics import (
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
from lossjax.models import Network
from lossjax.objective import probe_key, seen
from lossjax.replicas import Layout, Replica, as_intensity, blocks_of, put, spread
from lossjax.training import Settings, noise_key, scalars_of, unravelling

_SHARES = ("stalled_share", "stuck_share", "saturated_share")


class Diagnoser:
    """Measures replicas of any loss family of one network.

    A network that corrupts its input is measured with the noise that it is scored with,
    a variational one at the mean of its code and without the code's price.

    What depends on the loss is a small program for each family; the network's own are
    compiled once for all.
    """

    def __init__(
        self, network: Network, settings: Settings, layout: Layout, mesh: Mesh
    ) -> None:
        self._batch, self._mesh = settings.batch_size, mesh
        size, unravel = unravelling(network)
        self._size = size

        def given(images_u8: jax.Array) -> jax.Array:
            return seen(network, probe_key(0), as_intensity(images_u8))

        def forward(weights: jax.Array, images_u8: jax.Array) -> Any:
            return network.apply(unravel(weights[:size]), given(images_u8))

        def pull(weights: jax.Array, slopes: jax.Array, images_u8: jax.Array) -> Any:
            images = given(images_u8)
            _, back = jax.vjp(
                lambda flat: network.apply(unravel(flat), images).raw, weights[:size]
            )
            return back(slopes)[0]

        def pixels(
            replica: Replica, weights: jax.Array, raw: jax.Array, *shared: Any
        ) -> Any:
            return _pixels(settings, replica, weights[size:], raw, *shared)

        def over_slots(function: Callable[..., Any], shared: int) -> Any:
            return spread(_if_active(function), mesh, layout, shared=shared)

        self._forward = over_slots(forward, 1)
        self._pull = over_slots(pull, 1)
        self._pixels = over_slots(pixels, 4)
        self._powers = over_slots(_powers, 2)

    def compile(
        self, replicas: Replica, train_u8: np.ndarray, validation_u8: np.ndarray
    ) -> None:
        """Compile all that `measure` needs ahead of its first call, for these shapes.

        Slots that rest compute nothing.
        """
        idle = replicas._replace(active=np.zeros_like(replicas.active))
        size = self._size + len(idle.loss.scalars)
        weights = np.zeros((len(idle.active), size), np.float32)
        parts = train_u8[: 2 * self._batch], validation_u8[: self._batch]
        self.measure(idle, put(weights, self._mesh), *parts, lambda steps: None)

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
          train_u8: uint8 (n, height, width, channels), of which a few are used.
          validation_u8: uint8, the same form.
          tick: called with 0 between calls to the devices; may raise.
        """
        active = np.asarray(replicas.active)
        replicas = put(replicas, self._mesh)
        sums: dict[str, np.ndarray] = {}
        codes = []
        blocks = blocks_of(validation_u8[:IMAGES], self._batch)
        for images, share in zip(blocks.images, blocks.weights, strict=True):
            raw, code = self._forward(active, weights, images)
            places = np.zeros(len(images), np.int32)
            found, image, _ = self._pixels(
                active, replicas, weights, raw, images, share, places, np.bool_(False)
            )
            found |= self._powers(active, image, images, share)
            for name, values in found.items():
                sums[name] = sums.get(name, 0) + np.asarray(values, np.float64)
            codes.append(np.asarray(code)[:, share > 0])
            tick(0)
        pixels = len(validation_u8[:IMAGES]) * math.prod(validation_u8.shape[1:])
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
        gradients = []
        for places in order[: count * self._batch].reshape(count, -1):
            images = train_u8[places]
            raw, _ = self._forward(active, weights, images)
            _, _, slopes = self._pixels(
                active, replicas, weights, raw, images, share, places, np.bool_(True)
            )
            gradients.append(np.asarray(self._pull(active, weights, slopes, images)))
            tick(0)
        return signal_to_noise(np.stack(gradients)) if count else np.full(1, math.nan)


def _if_active(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of an active slot's arguments, zeros for an idle one."""

    def either(active: jax.Array, *arguments: Any) -> Any:
        shapes = jax.eval_shape(function, *arguments)

        def rest() -> Any:
            return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        return jax.lax.cond(active, lambda: function(*arguments), rest)

    return either


def _pixels(
    settings: Settings,
    replica: Replica,
    trained: jax.Array,
    raw: jax.Array,
    images_u8: jax.Array,
    share: jax.Array,
    places: jax.Array,
    training: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """Counts of pixels, the read-out, and dL/draw of the batch's mean loss."""
    loss = replica.loss
    images = as_intensity(images_u8)
    targets = images
    if settings.targets is not None:
        noisy = settings.targets(noise_key(replica.seed), images, places)
        targets = jnp.where(training, noisy, images)

    def total(raw: jax.Array) -> jax.Array:
        return jnp.sum(loss.fn(raw, targets, scalars_of(loss, trained)))

    slopes = jax.grad(total)(raw)
    bends = jax.grad(lambda raw: jnp.sum(loss.read_out(raw)))(raw)
    image = loss.read_out(raw)
    blocked = (*image.shape[:-1], -1, image.shape[-1])

    def steepest(gradient: jax.Array) -> jax.Array:
        return jnp.max(jnp.abs(gradient.reshape(blocked)), axis=-2)

    # The mean over an image's pixels divided each pixel's own gradient.
    stalled = steepest(slopes) * (image[0].size) < STALLED
    wrong = jnp.abs(image - targets) > WRONG
    flags = {
        "stalled_share": stalled,
        "stuck_share": stalled & wrong,
        "saturated_share": steepest(bends) < SATURATED,
    }
    counts = {
        name: share @ jnp.sum(flag, axis=(1, 2, 3), dtype=jnp.float32)
        for name, flag in flags.items()
    }
    return counts, image, slopes / images.shape[0]


def _powers(
    image: jax.Array, images_u8: jax.Array, share: jax.Array
) -> dict[str, jax.Array]:
    """Power of residual and target in each band, (BANDS,), summed over images."""
    target = as_intensity(images_u8)
    bands = jnp.asarray(bands_of(*image.shape[1:3]))

    def powers(values: jax.Array) -> jax.Array:
        waves = jnp.fft.fft2(values, axes=(1, 2))
        power = jnp.sum(waves.real**2 + waves.imag**2, axis=-1)
        return jnp.einsum("n,nhw,khw->k", share, power, bands)

    return {"residual": powers(image - target), "target": powers(target)}
