"""What a trained network's gradients, codes and residuals look like: DIAGNOSTICS.

They explain a result and rank nothing. Everything but the signal-to-noise ratio is
measured on validation images, never on test images.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.models import Network
from lossjax.replicas import (
    Layout,
    Replica,
    as_intensity,
    blocks_of,
    put,
    spread,
)
from lossjax.training import Settings, noise_key, scalars_of, unravelling

STALLED = 1e-4  # of a pixel's own loss, in its unit, per unit of raw output
WRONG = 0.1  # of intensity
SATURATED = 0.01  # of intensity per unit of raw output
DEAD = 0.01  # of the code's root mean square deviation
BANDS = 4  # of radial frequency, each an eighth of a cycle a pixel wide
BATCHES = 8  # training batches that the signal-to-noise ratio is of
IMAGES = 2048  # most validation images that are looked at
QUARTER = 0.25  # of the mean image's squared error: the threshold of time


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """A number that explains a run; `note` is the whole convention behind it."""

    name: str
    unit: str
    note: str


def _residual(band: int) -> Diagnostic:
    ends = f"{(band - 1) / 8:g} to {band / 8:g}" if band < BANDS else "over 0.375"
    return Diagnostic(
        f"residual_{band}",
        "share of the target's power",
        f"power of read-out minus target over that of the target, at radial "
        f"frequencies {ends} cycles a pixel; 1 where nothing of it is drawn",
    )


DIAGNOSTICS: Mapping[str, Diagnostic] = types.MappingProxyType(
    {
        row.name: row
        for row in (
            Diagnostic(
                "stalled_share",
                "share of pixels",
                "|dL/dz| < 1e-4, where L is the pixel's own loss (not divided by the "
                "number of pixels) and z its raw output, the steepest of its blocks",
            ),
            Diagnostic(
                "stuck_share",
                "share of pixels",
                "stalled, and the read-out is wrong by more than 0.1",
            ),
            Diagnostic(
                "saturated_share",
                "share of pixels",
                "the read-out's derivative in raw output, the largest of a pixel's "
                "blocks, is below 0.01: behind a sigmoid |z| > 4.6, behind a clip "
                "z outside [0, 1]",
            ),
            Diagnostic(
                "gradient_snr",
                "ratio",
                "length of the mean gradient over 8 training batches, less what noise "
                "adds to it, over the standard deviation of one batch's gradient; 0 "
                "where the mean is no longer than noise makes it",
            ),
            Diagnostic(
                "dead_units",
                "share of code units",
                "standard deviation over images below 1 % of the code's root mean "
                "square deviation",
            ),
            *(_residual(band) for band in range(1, BANDS + 1)),
            Diagnostic(
                "blur",
                "ratio",
                "residual power over target power above 0.25 cycles a pixel, over the "
                "same below; above 1 where fine detail is lost first",
            ),
            Diagnostic(
                "steps_to_quarter",
                "steps",
                "until validation mse is a quarter of that of the mean image, linear "
                "between the points of the learning curve; empty where it never is",
            ),
        )
    }
)


class Diagnoser:
    """Measures replicas of any loss family of one network.

    What depends on the loss is a small program for each family; the network's own are
    compiled once for all.
    """

    def __init__(
        self, network: Network, settings: Settings, layout: Layout, mesh: Mesh
    ) -> None:
        self._batch, self._mesh = settings.batch_size, mesh
        size, unravel = unravelling(network)

        def forward(weights: jax.Array, images_u8: jax.Array) -> Any:
            return network.apply(unravel(weights[:size]), as_intensity(images_u8))

        def pull(weights: jax.Array, slopes: jax.Array, images_u8: jax.Array) -> Any:
            images = as_intensity(images_u8)
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


_SHARES = ("stalled_share", "stuck_share", "saturated_share")


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
    blocked = (*image.shape[:-1], loss.channels, image.shape[-1])

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


def bands_of(height: int, width: int) -> np.ndarray:
    """Masks (BANDS, height, width) of radial frequency; the mean is in none."""
    down, across = np.fft.fftfreq(height), np.fft.fftfreq(width)
    radius = np.hypot(down[:, None], across[None, :])
    ends = np.r_[np.arange(BANDS) / 8, np.inf]
    pairs = zip(ends[:-1], ends[1:], strict=True)
    return np.stack([(radius > a) & (radius <= b) for a, b in pairs]).astype(np.float32)


def spectrum(residual: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Ratios of powers (slots, BANDS), by band and of the upper half to the lower."""
    half = BANDS // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = residual / target
        upper, lower = (
            residual[:, part].sum(1) / target[:, part].sum(1)
            for part in (slice(half, None), slice(half))
        )
        blur = upper / lower
    named = {f"residual_{k + 1}": ratio[:, k] for k in range(BANDS)}
    return named | {"blur": blur}


def dead_units(codes: np.ndarray) -> np.ndarray:
    """Share (slots,) of dead units of codes (slots, images, units)."""
    deviation = codes.std(axis=1, dtype=np.float64)
    whole = np.sqrt(np.mean(deviation**2, axis=1, keepdims=True))
    return np.mean(deviation <= DEAD * whole, axis=1)


def signal_to_noise(gradients: np.ndarray) -> np.ndarray:
    """Ratio (slots,) of batches' gradients (batches, slots, weights); nan for one."""
    count = len(gradients)
    if count < 2:
        return np.full(gradients.shape[1], math.nan)
    mean = gradients.mean(axis=0, dtype=np.float64)
    noise = ((gradients - mean) ** 2).sum(axis=(0, 2)) / (count - 1)
    signal = (mean**2).sum(axis=1) - noise / count
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(np.maximum(signal, 0) / noise)


def steps_to(
    threshold: float, first: float, steps: Sequence[float], values: Sequence[float]
) -> float:
    """The step at which a curve first comes down to `threshold`; nan if it never does.

    Linear between the curve's points and from `first`, its value at step 0.
    """
    before = (0.0, first)
    for step, value in zip(steps, values, strict=True):
        if value <= threshold:
            share = (before[1] - threshold) / (before[1] - value)
            return before[0] + max(share, 0.0) * (step - before[0])
        before = (step, value)
    return math.nan
