"""What a trained network's gradients, codes and residuals look like: DIAGNOSTICS.

They explain a result and rank nothing. `lossjax.training.diagnoser` measures them, on
validation images and training batches, never on test images.
"""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence

import numpy as np

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
        f"frequencies {ends} cycles per pixel; 1 where nothing of it is drawn",
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
                "residual power over target power above 0.25 cycles per pixel, over "
                "the same below; above 1 where fine detail is lost first",
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
    if not codes.shape[2]:  # a model that says no code
        return np.full(len(codes), math.nan)
    deviation = codes.std(axis=1, dtype=np.float64)
    whole = np.sqrt(np.mean(deviation**2, axis=1, keepdims=True))
    return np.mean(deviation <= DEAD * whole, axis=1)


def signal_to_noise(gradients: Sequence[np.ndarray], active: np.ndarray) -> np.ndarray:
    """Ratio (slots,) of batches' gradients, each (slots, weights); nan for one batch.

    Of an idle slot, where `active` (slots,) is False, it says nothing.
    """
    count, slots = len(gradients), len(active)
    if count < 2:
        return np.full(slots, math.nan)
    squares, signal = np.zeros((count, slots)), np.zeros(slots)
    # Gradients of a diverged run can be infinite: its ratio is nan, which is no error.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for slot in np.flatnonzero(active):  # one by one: float64 takes twice the room
            own = np.stack([batch[slot] for batch in gradients])
            mean = own.mean(axis=0, dtype=np.float64)
            squares[:, slot] = ((own - mean) ** 2).sum(axis=1)
            signal[slot] = (mean**2).sum()
        noise = squares.sum(axis=0) / (count - 1)
        signal -= noise / count
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
